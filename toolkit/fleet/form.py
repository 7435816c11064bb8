"""Check a file's form with jsonschema, and tell what it finds in our words."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from toolkit.errors import nearest
from toolkit.fleet.report import Report
from toolkit.fleet.schema import BOTS_SCHEMA, SCHEMA, TOKEN
from toolkit.fleet.schema_values import Schema
from toolkit.fleet.sources import Document
from toolkit.fleet.yaml_tree import Path

_KINDS = {dict: "a mapping", list: "a list", str: "text", bool: "true or false", type(None): "nothing"}

# What these say of a mapping stands beside whatever else is wrong with it; of a value the first fault counts.
_OF_KEYS = ("additionalProperties", "required")


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    # A schema's patterns are ECMA-262's, where $ is the very end; Python's also fits before a last newline.
    return re.compile(re.sub(r"\$$", r"\\Z", pattern))


def _pattern(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _compiled(pattern).search(instance):
        yield ValidationError("does not fit the pattern")


_Validator = extend(Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]
_FLEET = _Validator(SCHEMA)
_BOTS = _Validator(BOTS_SCHEMA)


def check_fleet(document: Document, report: Report) -> None:
    """Report what in the fleet file has not the form of one."""
    _check(_FLEET, document, report)


def check_bots(document: Document, report: Report) -> None:
    """Report what in a file of `bots.d` has not the form of one."""
    _check(_BOTS, document, report)


def _check(validator: Any, document: Document, report: Report) -> None:
    for error in validator.iter_errors(document.tree.value):
        of_keys = error.validator in _OF_KEYS
        for path, message, hint in _words(error, tuple(error.absolute_path)):
            if of_keys or not report.has(document, path):
                report.add(document, path, message, hint)


def _words(error: ValidationError, path: Path) -> Iterable[tuple[Path, str, str]]:
    schema: Schema = error.schema if isinstance(error.schema, dict) else {}
    instance: Any = error.instance
    wanted: Any = error.validator_value
    title = schema.get("title", "")
    if error.validator == "additionalProperties":
        return _unknown_keys(instance, schema["properties"], path)
    if error.validator == "required":
        missing = [key for key in wanted if key not in instance]
        return [(path, f"`{key}` is missing: {_meaning(schema, key)}", "") for key in missing]
    if "propertyNames" in error.relative_schema_path:
        return [((*path, instance), f"expected {title}", _name_hint(error))]
    if error.validator == "not":
        return [(path, schema["description"].lower().rstrip("."), "remove it")]
    if schema is TOKEN and error.validator == "type":
        hint = "put the token in a file and name that: `token: {file: PATH}`"
        return [(path, f"expected a reference to the token, {title}", hint)]
    return [(path, _expected(error, title), _value_hint(error))]


def _unknown_keys(instance: dict[str, Any], known: Schema, path: Path) -> Iterator[tuple[Path, str, str]]:
    words = "unknown key, expected one of " + ", ".join(known)
    for key in instance:
        if key not in known:
            yield (*path, key), words, nearest(key, known)


def _meaning(schema: Schema, key: str) -> str:
    about = schema["properties"][key]
    return f"expected {about['title']}"


def _expected(error: ValidationError, title: str) -> str:
    found = _KINDS.get(type(error.instance), "a number")
    return f"expected {title}, found {found}" if error.validator == "type" else f"expected {title}"


def _value_hint(error: ValidationError) -> str:
    wanted: Any = error.validator_value
    if error.validator == "enum" and isinstance(error.instance, str):
        return nearest(error.instance, wanted)
    if error.validator == "type" and wanted == "string":
        return "quote it" if isinstance(error.instance, (bool, int, float)) else ""
    return ""


def _name_hint(error: ValidationError) -> str:
    return "this name is reserved" if error.validator == "not" else ""
