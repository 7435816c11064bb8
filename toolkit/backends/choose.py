"""Pick the place of a fleet: what its file says, else where it is deployed, else what this machine has."""

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from toolkit.paths import FleetPaths, fleet_paths
from toolkit.place import (
    PLACES,
    PRIVATE_SUPERVISORD,
    SYSTEM_SUPERVISORD,
    SYSTEM_SYSTEMD,
    USER_SYSTEMD,
    BackendName,
    Place,
)

# There while systemd is the machine's init: sd_booted(3).
SYSTEMD_RUNS = Path("/run/systemd/system")


@dataclass(frozen=True, slots=True)
class Choice:
    """A place, and why that one."""

    place: Place
    reason: str


def choose(
    backend: Literal["auto", "supervisord", "systemd"],
    mode: Literal["auto", "user", "system"],
    fleet: str,
    root: Path | None = None,
) -> Choice:
    """The place for a fleet.

    Parameters:
        backend: as the fleet file has it.
        mode: likewise.
        fleet: its name.
        root: what all of the fleet lies under, if that was said.
    """
    fitting = [
        place for place in PLACES if backend in ("auto", place.backend) and mode in ("auto", place.mode)
    ]
    if len(fitting) == 1:
        return Choice(fitting[0], "the fleet file says so")
    there = next((place for place in fitting if _is_deployed(paths_in(place, fleet, root))), None)
    if there:
        return Choice(there, "the fleet is deployed there")
    picked, reason = _backend(mode, root) if backend == "auto" else (backend, "the fleet file says so")
    if mode != "auto":
        return Choice(Place(picked, mode), reason)
    if picked == "supervisord":
        return Choice(PRIVATE_SUPERVISORD, f"{reason}; a private one, as no mode is named")
    if os.geteuid() == 0:
        return Choice(SYSTEM_SYSTEMD, f"{reason}; system mode, as you are root")
    return Choice(USER_SYSTEMD, f"{reason}; user mode, as you are not root")


def paths_in(place: Place, fleet: str, root: Path | None = None) -> FleetPaths:
    """The paths of a fleet in a place of this machine; the parameters are those of ``choose``."""
    include = None
    if place == SYSTEM_SUPERVISORD:
        from toolkit.backends.supervisord.configuration import include_of_machine

        include = include_of_machine((root or Path("/")).absolute())
    return fleet_paths(fleet, root, place, include)


def _backend(mode: str, root: Path | None) -> tuple[BackendName, str]:
    """The supervisor where the fleet file leaves it open: systemd where it runs and may be used."""
    obstacle = _obstacle(mode, root)
    return ("supervisord", obstacle) if obstacle else ("systemd", "systemd runs here")


def _obstacle(mode: str, root: Path | None) -> str:
    """Why it cannot be systemd, "" where it can."""
    if not SYSTEMD_RUNS.is_dir():
        return "systemd does not run here"
    if find_spec("jeepney") is None:
        return "the toolkit was installed without its extra `systemd`"
    if root is not None:
        return "systemd does not look into the fleet's root for units"
    if mode == "system" or (mode == "auto" and os.geteuid() == 0):
        return ""
    from toolkit.backends.systemd.where import socket_path

    bus = socket_path("user")
    if not bus.startswith("\0") and not Path(bus).exists():
        return f"systemd runs here, but the user has no manager on {bus}"
    return ""


def _is_deployed(paths: FleetPaths) -> bool:
    if paths.place == SYSTEM_SUPERVISORD:
        return next(paths.units.glob(paths.unit("*").name), None) is not None
    known = paths.supervisord_conf if paths.place == PRIVATE_SUPERVISORD else paths.units / paths.target
    try:
        return known.exists()
    except PermissionError:
        return True  # a folder of another user's: whoever may not enter it can still read the fleet file
