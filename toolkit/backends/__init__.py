"""The supervisors: one small file each, found by name."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Protocol

from toolkit.backends.altered import Alteration
from toolkit.errors import BackendError, MissingExtraError
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


# What a file says of whether its bot comes up with the supervisor.
ENABLED, DISABLED = "enabled", "disabled"
UP = (Phase.STARTING, Phase.RUNNING, Phase.BACKOFF, Phase.STOPPING)
# Seconds in which bots must have stopped whose own time to drain is not known.
STOP_S = 630.0


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


class Supervision(StrEnum):
    """Whether a bot's supervisor could be asked."""

    ANSWERS = "answers"
    NOT_RUNNING = "not running"
    SOCKET_GONE = "socket gone"


class UnaskedError(BackendError):
    """The supervisor cannot be asked; its bots may run all the same."""

    supervision: Supervision


class NotRunningError(UnaskedError):
    """The supervisor does not run."""

    supervision = Supervision.NOT_RUNNING


class SocketGoneError(UnaskedError):
    """The supervisor runs, and cannot be asked: its socket is gone. A private one can still be ended."""

    supervision = Supervision.SOCKET_GONE


class HungError(BackendError):
    """The supervisor took the call and gave no answer in time: it is stopped, or busy."""


class Backend(Protocol):
    """What the toolkit asks of a supervisor. Every call has a deadline."""

    name: str

    def alive(self) -> bool:
        """Whether the supervisor runs and answers."""
        ...

    def control(self) -> str:
        """What an administrator types to see the fleet with the supervisor's own program."""
        ...

    def fleeting(self) -> str:
        """Why bots that run now would end unasked, and what to do; "" where they stay up."""
        ...

    def launch(self) -> None:
        """Start the supervisor with the installed units; those with autostart come up."""
        ...

    def end(self, deadline_s: float = 60.0) -> None:
        """End the supervisor, after its bots.

        Parameters:
            deadline_s: seconds for the bots, where they still run, and again for the supervisor.
        """
        ...

    def units(self) -> dict[str, UnitStatus]:
        """Every unit of this fleet by its bot's name, in one round trip.

        Raises:
            NotRunningError: the supervisor does not run.
            SocketGoneError: it runs, and cannot be asked.
        """
        ...

    def closer(self, units: Collection[UnitStatus]) -> dict[str, UnitStatus]:
        """The same units by their bots' names, with all that the supervisor can tell of each."""
        ...

    def check(self, files: Sequence[RenderedFile]) -> None:
        """Parse a staged copy with the supervisor's own parser, before anything is installed."""
        ...

    def altered(self, bots: Sequence[str]) -> Sequence[Alteration]:
        """What others have done to bots' units and to those that bots share, besides editing files."""
        ...

    def reload(self, enabled: Collection[str] | None = None) -> None:
        """Have the supervisor read the installed units, once; running bots stay untouched.

        Parameters:
            enabled: the bots that come up with the supervisor, and no others; None leaves that as it is.
        """
        ...

    def keep(self, bots: Sequence[str], *, enabled: bool) -> None:
        """Have bots come up with the supervisor from now on, or not. Running bots stay untouched."""
        ...

    def kept_otherwise(self, bots: Mapping[str, bool]) -> dict[Path, str]:
        """The files that have bots come up with the supervisor though they are not to, or that fail to.

        Parameters:
            bots: whether each is to come up.

        Returns:
            What each file says, in a word; the next reload with these bots, or a unit put in place, mends it.
        """
        ...

    def limits(self, bots: Sequence[str]) -> dict[str, dict[str, int]]:
        """The limits of running bots that can change while they run; none where the supervisor has none."""
        ...

    def limit(self, wanted: Mapping[str, Mapping[str, int]]) -> None:
        """Bring such limits in force on running bots, whose units have them by now."""
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

    def stop(self, bots: Sequence[str], deadline_s: float) -> None:
        """Stop bots in parallel and wait until all have ended; those that have not by then are killed."""
        ...


BACKENDS = {
    "supervisord": "toolkit.backends.supervisord:Supervisord",
    "systemd": "toolkit.backends.systemd:Systemd",
}


def backend(paths: FleetPaths) -> Backend:
    """The supervisor of a fleet, as the place in its paths names it.

    Raises:
        MissingExtraError: the toolkit was installed without what this supervisor needs.
    """
    name = paths.place.backend
    module, _, attribute = BACKENDS[name].partition(":")
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("toolkit"):
            raise
        raise MissingExtraError(f"the {name} backend", error.name, name) from None
    made: Backend = getattr(found, attribute)(paths)
    return made
