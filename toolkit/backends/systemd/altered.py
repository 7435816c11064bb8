"""What an administrator has done to units with systemd's own means."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit.backends.altered import Alteration
from toolkit.backends.systemd.manager import Manager

# org.freedesktop.systemd1(5), the interface of units.
PROPERTIES = ("LoadState",)


def altered(manager: Manager, folder: Path, units: Sequence[str], systemctl: str) -> list[Alteration]:
    """What was done to units.

    Parameters:
        folder: where the toolkit writes them.
        systemctl: the command for this manager.
    """
    told = manager.properties([(unit, "Unit") for unit in units], PROPERTIES)
    return [
        one
        for unit, facts in zip(units, told, strict=True)
        for one in _of_unit(unit, facts, is_masked(folder / unit), systemctl)
    ]


def is_masked(file: Path) -> bool:
    """Whether a mask is in the place of a unit's file; systemd may not have read that yet."""
    try:
        return str(file.readlink()) == os.devnull
    except OSError:
        return False


def _of_unit(unit: str, facts: Mapping[str, Any], masked: bool, systemctl: str) -> Iterator[Alteration]:
    if masked or facts.get("LoadState") == "masked":
        hint = f"`{systemctl} unmask {unit}`, then `toolkit deploy`"
        yield Alteration(unit, "is masked: systemd does not start it", hint, masked=True)
