"""Pick the place of a fleet: what its file says, else what this machine has."""

import os
from dataclasses import dataclass
from typing import Literal

from toolkit.place import BackendName, Mode, Place


@dataclass(frozen=True, slots=True)
class Choice:
    """A place, and why that one."""

    place: Place
    reason: str


def choose(
    backend: Literal["auto", "supervisord", "systemd"], mode: Literal["auto", "user", "system"]
) -> Choice:
    """The place for a fleet.

    Parameters:
        backend: as the fleet file has it.
        mode: likewise.
    """
    if backend == "auto":
        picked: BackendName = "supervisord"
        reason = "the private supervisord of this fleet, the default"
    else:
        picked, reason = backend, "the fleet file says so"
    if mode != "auto":
        return Choice(Place(picked, mode), reason)
    own: Mode = "system" if picked == "systemd" and os.geteuid() == 0 else "user"
    return Choice(Place(picked, own), reason)
