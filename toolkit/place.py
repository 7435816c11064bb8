"""Where a fleet runs: under which supervisor, and whose."""

from dataclasses import dataclass
from typing import Literal

BackendName = Literal["supervisord", "systemd"]
Mode = Literal["user", "system"]


@dataclass(frozen=True, slots=True)
class Place:
    """A supervisor and a mode, the four of which a fleet has one.

    Parameters:
        backend: the supervisor.
        mode: ``system``, the machine's own, which runs as root and starts bots as other users; or ``user``:
            the user's systemd manager, or a private supervisord of the fleet.
    """

    backend: BackendName
    mode: Mode

    def __str__(self) -> str:
        return f"{self.backend}, {self.mode} mode"


PRIVATE_SUPERVISORD = Place("supervisord", "user")
SYSTEM_SUPERVISORD = Place("supervisord", "system")
USER_SYSTEMD = Place("systemd", "user")
SYSTEM_SYSTEMD = Place("systemd", "system")
PLACES = (PRIVATE_SUPERVISORD, SYSTEM_SUPERVISORD, USER_SYSTEMD, SYSTEM_SYSTEMD)
