"""The supervisors: one small file each, found by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from typing import Protocol

from toolkit.errors import BackendError
from toolkit.paths import FleetPaths
from toolkit.render import RenderedFile


class Phase(StrEnum):
    """What a supervisor says of a unit."""

    ABSENT = "absent"
    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    BACKOFF = "backoff"
    STOPPING = "stopping"
    EXITED = "exited"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class UnitStatus:
    """One unit as its supervisor sees it.

    Parameters:
        bot: the bot's name.
        pid: the main process, where one runs.
        since: seconds since the epoch of the last change of phase, 0 if unknown.
        exit_code: of the last end, where known.
        detail: the supervisor's own words.
    """

    bot: str
    phase: Phase
    pid: int | None = None
    since: float = 0.0
    exit_code: int | None = None
    detail: str = ""


class NotRunningError(BackendError):
    """The supervisor does not run."""


class Backend(Protocol):
    """What the toolkit asks of a supervisor. Every call has a deadline."""

    name: str

    def alive(self) -> bool:
        """Whether the supervisor runs and answers."""
        ...

    def launch(self) -> None:
        """Start the supervisor with the installed units; those with autostart come up."""
        ...

    def end(self) -> Sequence[str]:
        """End the supervisor, after its bots; give those programs that had to be killed."""
        ...

    def units(self) -> dict[str, UnitStatus]:
        """Every unit of this fleet by its bot's name, in one round trip.

        Raises:
            NotRunningError: the supervisor does not run.
        """
        ...

    def check(self, files: Sequence[RenderedFile]) -> None:
        """Parse a staged copy with the supervisor's own parser, before anything is installed."""
        ...

    def reload(self) -> None:
        """Have the supervisor read the installed units; running bots stay untouched."""
        ...

    def add(self, bot: str) -> None:
        """Put an installed unit in force; it starts if its unit says so."""
        ...

    def remove(self, bot: str) -> None:
        """Take a stopped bot's unit out of force."""
        ...

    def start(self, bots: Sequence[str]) -> None:
        """Start bots whose units are in force; those that run stay as they are."""
        ...

    def stop(self, bots: Sequence[str], deadline_s: float) -> Sequence[str]:
        """Stop bots in parallel and wait until all have ended; give those that had to be killed."""
        ...


BACKENDS = {"supervisord": "toolkit.backends.supervisord:Supervisord"}


def backend(name: str, paths: FleetPaths) -> Backend:
    """The backend of that name for one fleet."""
    if name not in BACKENDS:
        raise BackendError(f"the {name} backend is not there yet", "use `backend: supervisord`")
    module, _, attribute = BACKENDS[name].partition(":")
    made: Backend = getattr(import_module(module), attribute)(paths)
    return made
