"""The limits of control groups, which change while a bot runs."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from toolkit.backends.systemd.manager import Manager
from toolkit.render.systemd_limits import SETTINGS, differing, without_default
from toolkit.render.systemd_marks import drop_ins_of_others, is_live_limit


def in_force(manager: Manager, services: Sequence[str]) -> list[dict[str, int]]:
    """The limits of each service, by the names of org.freedesktop.systemd1(5).

    What a drop-in of others sets is left out: it stays in force, and comes back with every reload.
    """
    found = manager.properties([(service, "Service") for service in services], tuple(SETTINGS))
    default = manager.default_tasks() if found else None
    told = manager.properties([(service, "Unit") for service in services], ("DropInPaths",))
    overridden = [set_by(drop_ins_of_others(facts.get("DropInPaths", ()))) for facts in told]
    return [
        {name: value for name, value in without_default(limits, default).items() if name not in others}
        for limits, others in zip(found, overridden, strict=True)
    ]


def set_by(drop_ins: Sequence[str]) -> set[str]:
    """The limits that drop-ins set; of those that cannot be read, none."""
    lines: list[str] = []
    for path in drop_ins:
        with suppress(OSError):
            lines += Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    keys = {line.partition("=")[0].strip() for line in lines}
    return {name for name, key in SETTINGS.items() if key in keys}


def bring(manager: Manager, wanted: Mapping[str, Mapping[str, int]]) -> None:
    """Bring limits in force that are in the units by now, and have been read.

    A reload itself writes the limits of units into their control groups: systemd PR #5619. What
    `systemctl set-property` left behind would win over them at every reload: it is taken away.

    Parameters:
        wanted: of each service, by the names of org.freedesktop.systemd1(5).
    """
    due = _due(manager, wanted)
    told = manager.properties([(service, "Unit") for service in due], ("DropInPaths",))
    stale = [Path(path) for facts in told for path in facts.get("DropInPaths", ()) if is_live_limit(path)]
    if stale:
        for path in stale:
            path.unlink(missing_ok=True)
        manager.reload()
        due = _due(manager, wanted)
    for service, limits in due.items():
        manager.set_live(service, {name: ("t", value) for name, value in limits.items()})


def _due(manager: Manager, wanted: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    found = zip(wanted.items(), in_force(manager, list(wanted)), strict=True)
    due = {
        service: {name: limits[name] for name in differing(limits, told)} for (service, limits), told in found
    }
    return {service: limits for service, limits in due.items() if limits}
