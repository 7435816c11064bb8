"""supervisord: a private one, one per fleet, or the machine's; spoken to on its Unix socket alone."""

import math
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from toolkit.backends import DISABLED, ENABLED, Phase, UnitStatus
from toolkit.backends.altered import Alteration
from toolkit.backends.supervisord import configuration, rpc
from toolkit.backends.supervisord.ownership import bot_of, enable
from toolkit.backends.supervisord.reach import Reach
from toolkit.backends.supervisord.rpc import FaultError, Rpc
from toolkit.backends.supervisord.start import nudge, start
from toolkit.backends.supervisord.states import ProcessState
from toolkit.backends.supervisord.stop import stop
from toolkit.errors import BackendError
from toolkit.paths import FleetPaths
from toolkit.render import RenderedFile
from toolkit.render.supervisord_marks import with_enabled

CALL_S = 10.0
# It parses 1,000 units in 3.2 s and answers nothing meanwhile.
RELOAD_S = 60.0
_REMOVE_TRIES = 3
# Within so many seconds after a reload, units are added without another.
_FRESH_S = 2.0

_PHASES = {
    ProcessState.STOPPED: Phase.STOPPED,
    ProcessState.STARTING: Phase.STARTING,
    ProcessState.RUNNING: Phase.RUNNING,
    ProcessState.BACKOFF: Phase.BACKOFF,
    ProcessState.STOPPING: Phase.STOPPING,
    ProcessState.EXITED: Phase.EXITED,
    ProcessState.FATAL: Phase.FAILED,
}


class Daemon(Protocol):
    """Whose supervisord it is, and so what may be done with it."""

    reach: Reach

    def pid(self, call: Rpc) -> int | None:
        """Its process id, None where it does not run."""
        ...

    def launch(self, call: Rpc) -> None:
        """Start it with the installed units."""
        ...

    def end(self, call: Rpc, deadline_s: float) -> None:
        """End it after its programs."""
        ...

    def check(self, call: Rpc, files: Sequence[RenderedFile]) -> None:
        """Parse what would be installed."""
        ...

    def make_room(self, call: Rpc) -> None:
        """See that it may open as many files as the installed units need."""
        ...


def _daemon(paths: FleetPaths) -> Daemon:
    if paths.is_system:
        from toolkit.backends.supervisord.service import ServiceDaemon

        return ServiceDaemon(paths, configuration.of_machine(paths.root))
    from toolkit.backends.supervisord.private import PrivateDaemon

    return PrivateDaemon(paths)


class Supervisord:
    """The supervisord backend.

    Parameters:
        paths: the fleet's.
        timeout_s: seconds for a call that only asks.

    Raises:
        BackendError: the machine has no supervisord that is configured for it.
    """

    name = "supervisord"

    def __init__(self, paths: FleetPaths, timeout_s: float = CALL_S) -> None:
        self._paths = paths
        self._daemon = _daemon(paths)
        self._rpc = Rpc(self._daemon.reach, timeout_s)
        self._read_at = -math.inf

    def alive(self) -> bool:
        """Whether the supervisord runs and answers.

        Raises:
            BackendError: one runs that does not answer, is ending, or is not this fleet's; to start
                another beside it would run every bot twice.
        """
        return self._daemon.pid(self._rpc) is not None

    def control(self) -> str:
        """A private one is named by its configuration; the machine's is the program's default."""
        conf = "" if self._paths.is_system else f" -c {self._paths.supervisord_conf}"
        return f"supervisorctl{conf} status"

    def fleeting(self) -> str:
        """Nothing: a private one outlives logins."""
        return ""

    def launch(self) -> None:
        """Start a private one with the installed units; those with autostart have been spawned then.

        Raises:
            RefusedError: it runs already, another command is starting it, or it is the machine's.
            BackendError: it did not come up; the message has its last words.
        """
        self._daemon.launch(self._rpc)

    def end(self, deadline_s: float = 60.0) -> None:
        """End a private one after its programs; have the machine's start none of them when it starts anew.

        Parameters:
            deadline_s: seconds for the programs, and again for supervisord; what is left is killed.
        """
        self._daemon.end(self._rpc, deadline_s)

    def units(self) -> dict[str, UnitStatus]:
        """Every program of this fleet, by its bot's name, in one round trip."""
        found = {}
        for info in self._rpc("supervisor.getAllProcessInfo"):
            bot = bot_of(info, self._paths)
            if bot:
                found[bot] = _status(bot, info)
        return found

    def closer(self, units: Collection[UnitStatus]) -> dict[str, UnitStatus]:
        """The same: supervisord tells all at once."""
        return {unit.bot: unit for unit in units}

    def check(self, files: Sequence[RenderedFile]) -> None:
        """Parse what would be installed.

        Parameters:
            files: all units of the fleet, and the configuration if it is to be written too.

        Raises:
            BackendError: supervisord could not read it; the message names the file.
            RefusedError: a name is another's.
        """
        self._daemon.check(self._rpc, files)

    def altered(self, bots: Sequence[str]) -> tuple[Alteration, ...]:
        """Nothing: a program is what its file says."""
        del bots
        return ()

    def reload(self, enabled: Collection[str] | None = None) -> None:
        """Have it read the installed units, which say themselves what is enabled; bots stay untouched."""
        del enabled
        self._daemon.make_room(self._rpc)
        self._rpc("supervisor.reloadConfig", timeout_s=RELOAD_S)
        self._read_at = time.monotonic()

    def keep(self, bots: Sequence[str], *, enabled: bool) -> None:
        """Have bots come up with supervisord from now on, or not: it reads that when it starts."""
        enable(map(self._paths.unit, bots), enabled)

    def kept_otherwise(self, bots: Mapping[str, bool]) -> dict[Path, str]:
        """Units that say otherwise themselves; one that is not there says nothing."""
        found = {}
        for bot, enabled in bots.items():
            path = self._paths.unit(bot)
            with suppress(OSError):
                text = path.read_text(encoding="utf-8", errors="replace")
                if with_enabled(text, enabled) != text:
                    found[path] = DISABLED if enabled else ENABLED
        return found

    def limits(self, bots: Sequence[str]) -> dict[str, dict[str, int]]:
        """None: supervisord's limits are those of a process's start."""
        del bots
        return {}

    def limit(self, wanted: Mapping[str, Mapping[str, int]]) -> None:
        """Nothing: there are none."""

    def add(self, bot: str) -> None:
        """Put a unit in force as it is installed; it has been spawned then, if its unit says so."""
        # What is added is what was read last, which anyone may have done since, with other files in place.
        if time.monotonic() - self._read_at > _FRESH_S:
            self.reload()
        try:
            self._put_in(bot)
        except FaultError as fault:
            if fault.code != rpc.BAD_NAME:
                raise
            self.reload()  # another has had it read while this unit's file was not there
            self._put_in(bot)
        nudge(self._rpc)

    def _put_in(self, bot: str) -> None:
        try:
            self._rpc("supervisor.addProcessGroup", self._paths.program(bot))
        except FaultError as fault:
            if fault.code != rpc.ALREADY_ADDED:
                raise

    def remove(self, bot: str, stop_s: float = 60.0) -> None:
        """Take a unit out of force; one that is not in force is no error.

        Parameters:
            stop_s: seconds to stop it where it runs, against expectation.
        """
        program = self._paths.program(bot)
        for _ in range(_REMOVE_TRIES):
            try:
                self._rpc("supervisor.removeProcessGroup", program)
            except FaultError as fault:
                if fault.code == rpc.BAD_NAME:
                    return
                if fault.code != rpc.STILL_RUNNING:
                    raise
                stop(self._rpc, [program], stop_s)
            else:
                return
        raise BackendError(f"{program} runs again whenever it is stopped", "who else starts it?")

    def start(self, bots: Sequence[str], deadline_s: float = 30.0) -> None:
        """Start programs, at once also where the supervisor waits to retry.

        Parameters:
            deadline_s: seconds to wait for those that are still stopping.

        Raises:
            BackendError: names every program that could not be spawned; the others are started.
        """
        if bots:
            start(self._rpc, [self._paths.program(bot) for bot in bots], deadline_s)

    def stop(self, bots: Sequence[str], deadline_s: float) -> None:
        """Stop bots in parallel and wait until they, and what they started, have ended."""
        if bots:
            stop(self._rpc, map(self._paths.program, bots), deadline_s)


def _status(bot: str, info: dict[str, Any]) -> UnitStatus:
    phase = _PHASES.get(info["state"], Phase.FAILED)
    up = phase in (Phase.STARTING, Phase.RUNNING)
    ended = phase in (Phase.EXITED, Phase.STOPPED) and info["stop"]
    return UnitStatus(
        bot,
        phase,
        pid=info["pid"] or None,
        since=float(info["start"] if up else 0 if phase is Phase.STOPPING else info["stop"]),
        # It tells -1 for every signal.
        exit_code=info["exitstatus"] if ended and info["exitstatus"] >= 0 else None,
        # Of others their phase says all.
        detail=info["spawnerr"] or (info["statename"] if phase in (Phase.EXITED, Phase.FAILED) else ""),
    )
