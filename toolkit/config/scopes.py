"""Merge configuration scopes, and keep where each value comes from."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

GLOBAL = "global"
TYPE = "type"
INSTANCE = "instance"


@dataclass(frozen=True, slots=True)
class Merged:
    """What holds when all scopes are laid over each other.

    Parameters:
        values: the configuration; the lists in it are those of the scopes, not copies.
        origins: for each leaf, named by its keys joined with dots, the scope it comes from. A key that
            holds a dot, or is empty, stands in double quotes. An empty mapping is a leaf.
    """

    values: dict[str, Any]
    origins: dict[str, str]


def merge(layers: Sequence[tuple[str, Mapping[str, Any]]]) -> Merged:
    """Lay scopes over each other: mappings are merged at every depth, all else is replaced.

    Parameters:
        layers: name and values of each scope; a later one wins.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for scope, layer in layers:
        _lay(values, origins, layer, scope, "")
    return Merged(values, origins)


def _lay(
    values: dict[str, Any], origins: dict[str, str], layer: Mapping[str, Any], scope: str, at: str
) -> None:
    """Lay one mapping over another that is there already, in place."""
    for key, value in layer.items():
        name = at + _word(key)
        if key in values:
            below = values[key]
            if isinstance(below, dict) and isinstance(value, Mapping):
                if value and not below:
                    origins.pop(name, None)
                _lay(below, origins, value, scope, name + ".")
                continue
            _forget(origins, name, below)
        _put(values, origins, key, value, scope, name)


def _put(
    values: dict[str, Any], origins: dict[str, str], key: str, value: Any, scope: str, name: str
) -> None:
    if isinstance(value, Mapping) and value:
        inner: dict[str, Any] = {}
        values[key] = inner
        _lay(inner, origins, value, scope, name + ".")
    else:
        values[key] = {} if isinstance(value, Mapping) else value
        origins[name] = scope


def _forget(origins: dict[str, str], name: str, below: Any) -> None:
    """Drop the origins of what is replaced."""
    if isinstance(below, dict) and below:
        for key, value in below.items():
            _forget(origins, f"{name}.{_word(key)}", value)
    else:
        origins.pop(name, None)


def _word(key: str) -> str:
    return json.dumps(key, ensure_ascii=False) if not key or "." in key or '"' in key else key
