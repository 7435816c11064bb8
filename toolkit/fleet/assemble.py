"""Make the fleet of files in which no problem was found."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from toolkit.botfile import TELEGRAM_API, App, Health, Limits, Log, Restart
from toolkit.fleet.addresses import prefixes
from toolkit.fleet.draft import Draft
from toolkit.fleet.model import Bot, Fleet, Position, Resources, Type
from toolkit.fleet.quantities import byte_count, percent, seconds
from toolkit.fleet.sources import Document
from toolkit.fleet.tokens import argv, reference


def assemble(draft: Draft, root: Path | None) -> Fleet:
    """The fleet that sound files describe.

    Parameters:
        root: the folder that takes the place of the one in the fleet file, if any.
    """
    value = draft.fleet.tree.value
    own_root = Path(draft.fleet.absolute(value["root"])) if "root" in value else None
    return Fleet(
        name=value["fleet"],
        file=draft.fleet.path,
        backend=value.get("backend", "auto"),
        mode=value.get("mode", "auto"),
        root=root.absolute() if root else own_root,
        endpoint=_endpoint(value) or TELEGRAM_API,
        config=value.get("config", {}),
        types={name: _type(name, entry, draft.fleet) for name, entry in draft.types().items()},
        bots={name: _bot(name, document) for name, document in draft.bots.items()},
        sources=tuple(document.source for document in draft.documents if document.source),
        positions={
            path: Position(document.shown, line)
            for document in reversed(draft.documents)
            for path, line in document.tree.lines.items()
        },
    )


def _type(name: str, entry: Mapping[str, Any], document: Document) -> Type:
    return Type(
        name=name,
        app=_app(entry, document),
        directory=document.absolute(entry.get("directory", ".")),
        user=entry.get("user", ""),
        python=entry.get("python", ""),
        endpoint=_endpoint(entry),
        config=entry.get("config", {}),
        environment=entry.get("environment", {}),
        limits=_limits(entry.get("limits", {})),
        resources=_resources(entry.get("limits", {})),
        needs=frozenset(entry.get("needs", [])),
        restart=_restart(entry.get("restart", {})),
        health=_health(entry.get("health", {})),
        log=_log(entry.get("log", {})),
        concurrency=_concurrency(entry.get("concurrency", "auto")),
        delivery=entry.get("delivery", "at-least-once"),
        stop_s=seconds(entry.get("stop_timeout", 10.0)),
    )


def _app(entry: Mapping[str, Any], document: Document) -> App:
    app = entry["app"]
    ready = app.get("ready", "start")
    if "exec" in app:
        return App(
            kind="exec", argv=argv(app["exec"], document), ready=ready, token_env=app.get("token_env", "")
        )
    search = tuple(document.absolute(folder) for folder in entry.get("search", ["."]))
    if "async" in app:
        return App(kind="async", target=app["async"], ready=ready, search=search)
    return App(kind="telegram", target=app["telegram"], search=search)


def _limits(entry: Mapping[str, Any]) -> Limits:
    return Limits(**{key: entry[key] for key in Limits.__struct_fields__ if key in entry})


def _resources(entry: Mapping[str, Any]) -> Resources:
    read: Mapping[str, Callable[[Any], Any]] = {
        "memory_high": byte_count,
        "memory_max": byte_count,
        "cpu_quota": percent,
        "ip_allow": prefixes,
    }
    keys = [field.name for field in fields(Resources) if field.name in entry]
    return Resources(**{key: read[key](entry[key]) if key in read else entry[key] for key in keys})


def _restart(entry: Mapping[str, Any]) -> Restart:
    durations = {"pause": "pause_s", "pause_max": "pause_max_s", "healthy": "healthy_s"}
    values: dict[str, Any] = {key: value for key, value in entry.items() if key not in durations}
    values |= {field: seconds(entry[key]) for key, field in durations.items() if key in entry}
    return Restart(**values)


def _health(entry: Mapping[str, str | float]) -> Health:
    return Health(**{f"{key}_s": seconds(value) for key, value in entry.items()})


def _concurrency(value: str | int) -> int | None:
    return None if isinstance(value, str) else value


def _log(entry: Mapping[str, Any]) -> Log:
    size = {"max_bytes": byte_count(entry["max_bytes"])} if "max_bytes" in entry else {}
    return Log(**{**entry, **size})


def _bot(name: str, document: Document) -> Bot:
    entry = document.tree.value["bots"][name]
    return Bot(
        name=name,
        type=entry["type"],
        token=reference(entry["token"], document) if "token" in entry else None,
        endpoint=_endpoint(entry),
        config=entry.get("config", {}),
    )


def _endpoint(entry: Mapping[str, Any]) -> str | None:
    endpoint = entry.get("endpoint")
    return endpoint.rstrip("/") if endpoint else None
