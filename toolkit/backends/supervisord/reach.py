"""How a supervisord is reached, and what is said of it where it is not."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


def _unknown() -> int | None:
    return None


@dataclass(frozen=True, slots=True)
class Reach:
    """What calls need to know of a supervisord.

    Parameters:
        name: it in words, such as ``the supervisord of fleet demo``.
        socket: where it listens.
        pidfile: where it writes its process id.
        start_hint: what to do where it does not run.
        permission_hint: what to do where the socket may not be used.
        login: ``user:password`` where its socket asks for one; never shown.
        living: the process id of one that runs even so, where nobody listens on its socket.
        lost_hint: what to do then.
    """

    name: str
    socket: Path
    pidfile: Path
    start_hint: str
    permission_hint: str
    login: str = ""
    living: Callable[[], int | None] = _unknown
    lost_hint: str = ""

    def __repr__(self) -> str:
        return f"Reach({self.name!r}, {self.socket})"
