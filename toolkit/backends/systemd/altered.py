"""What an administrator has done to units with systemd's own means."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit.backends.altered import Alteration, Kind
from toolkit.backends.systemd.manager import Manager
from toolkit.render.systemd_marks import drop_ins_of_others, take_away, unmask, unread_drop_ins

# org.freedesktop.systemd1(5), the interface of units.
PROPERTIES = ("LoadState", "DropInPaths", "NeedDaemonReload")


def altered(manager: Manager, folder: Path, units: Sequence[str], systemctl: str) -> list[Alteration]:
    """What was done to units.

    Parameters:
        folder: where the toolkit writes them.
        systemctl: the command for this manager.
    """
    # Of those that are yet to be deployed systemd knows nothing, and would look for each.
    known = [unit for unit in units if os.path.lexists(folder / unit)]
    told = manager.properties([(unit, "Unit") for unit in known], PROPERTIES)
    facts = dict(zip(known, told, strict=True))
    return [one for unit in units for one in _of_unit(folder / unit, facts.get(unit, {}), systemctl)]


def is_masked(file: Path) -> bool:
    """Whether a mask is in the place of a unit's file; systemd may not have read that yet."""
    try:
        return str(file.readlink()) == os.devnull
    except OSError:
        return False


def _of_unit(file: Path, facts: Mapping[str, Any], systemctl: str) -> Iterator[Alteration]:
    unit = file.name
    if is_masked(file) or facts.get("LoadState") == "masked":
        yield Alteration(unit, Kind.MASKED, "is masked: systemd does not start it", unmask(systemctl, unit))
        return
    read = facts.get("DropInPaths") or []
    if others := drop_ins_of_others(read):
        hint = f"`{systemctl} cat {unit}` shows it; to take it away: {take_away(systemctl, unit, others)}"
        yield Alteration(unit, Kind.OVERRIDDEN, f"is overridden by {', '.join(others)}", hint)
    found = [str(path) for path in sorted(Path(f"{file}.d").glob("*.conf")) if path.is_file()]
    unread = unread_drop_ins(found, read)
    if unread or facts.get("NeedDaemonReload"):
        what = ", ".join(unread) or f"{file}, or a drop-in of it"
        hint = f"`{systemctl} daemon-reload`, and `toolkit deploy` too, has systemd read it"
        yield Alteration(unit, Kind.UNREAD, f"changed on disk since systemd read it: {what}", hint)
