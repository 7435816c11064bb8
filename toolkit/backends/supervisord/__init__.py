"""A private supervisord: one per fleet, started by `toolkit up`, spoken to on its own Unix socket alone."""

import os
import time
from collections.abc import Sequence
from typing import Any

from toolkit.backends import NotRunningError, Phase, UnitStatus
from toolkit.backends.supervisord import daemon, rpc
from toolkit.backends.supervisord.rpc import FaultError, HungError, Rpc
from toolkit.backends.supervisord.start import nudge, start
from toolkit.backends.supervisord.stop import stop
from toolkit.errors import BackendError, RefusedError
from toolkit.files import make_private
from toolkit.paths import BOT_NAME, FleetPaths
from toolkit.render import RenderedFile

CALL_S = 10.0
# It parses 1,000 units in 3.2 s and answers nothing meanwhile.
RELOAD_S = 60.0
# Its first turn forks all bots, some 10 ms each, before it answers again.
LAUNCH_S = 60.0
_REMOVE_TRIES = 3
_GONE = "`toolkit up` starts another once it has ended"

# supervisor.states.ProcessStates
_PHASES = {
    0: Phase.STOPPED,
    10: Phase.STARTING,
    20: Phase.RUNNING,
    30: Phase.BACKOFF,
    40: Phase.STOPPING,
    100: Phase.EXITED,
    200: Phase.FAILED,
}


class Supervisord:
    """The supervisord backend.

    Parameters:
        paths: the fleet's.
        timeout_s: seconds for a call that only asks.
    """

    name = "supervisord"

    def __init__(self, paths: FleetPaths, timeout_s: float = CALL_S) -> None:
        self._paths = paths
        self._rpc = Rpc(paths, timeout_s)

    def alive(self) -> bool:
        """Whether this fleet's supervisord runs and answers.

        Raises:
            BackendError: one runs that does not answer, is ending, or is not this fleet's; to start
                another beside it would run every bot twice.
        """
        return self._pid() is not None

    def launch(self) -> None:
        """Start it with the installed units; when this returns, those with autostart have been spawned.

        Raises:
            RefusedError: it runs already, or another command is starting it.
            BackendError: it did not come up; the message has its last words.
        """
        make_private(self._paths.logs)
        make_private(self._paths.supervisor_socket.parent)
        with daemon.launching(self._paths):
            if self.alive():
                raise RefusedError(f"the supervisord of fleet {self._paths.fleet} runs already")
            daemon.make_room(0, self._installed())
            daemon.spawn(self._paths)
            self._await_first_turn()

    def end(self, deadline_s: float = 60.0) -> tuple[str, ...]:
        """Stop all programs in parallel, then supervisord itself, and wait until its process is gone.

        Parameters:
            deadline_s: seconds for the programs, and again for supervisord; what is left is killed.

        Returns:
            The programs that had to be killed.
        """
        try:
            pid = self._pid()
        except FaultError as fault:
            pid = daemon.recorded_pid(self._paths)
            if fault.code != rpc.SHUTDOWN_STATE or pid is None:
                raise
        if pid is None:
            return ()
        process = os.pidfd_open(pid)
        try:
            killed = self._shut_down(deadline_s)
            daemon.wait_gone(process, deadline_s)
        finally:
            os.close(process)
            self._rpc.close()
        for stale in (self._paths.supervisor_socket, self._paths.supervisor_pidfile):
            stale.unlink(missing_ok=True)
        return killed

    def units(self) -> dict[str, UnitStatus]:
        """Every program of this fleet, by its bot's name, in one round trip."""
        prefix = self._paths.program("")
        found = {}
        for info in self._rpc("supervisor.getAllProcessInfo"):
            bot = str(info["group"]).removeprefix(prefix)
            if bot != info["group"] and BOT_NAME.fullmatch(bot):
                found[bot] = _status(bot, info)
        return found

    def check(self, files: Sequence[RenderedFile]) -> None:
        """Parse what would be installed.

        Parameters:
            files: all units of the fleet, and the configuration if it is to be written too.

        Raises:
            BackendError: supervisord could not read it; the message names the file.
        """
        from toolkit.backends.supervisord import staged

        # The parser wants the folders of the logs to be there.
        make_private(self._paths.logs)
        make_private(self._paths.supervisor_socket.parent)
        staged.check(self._paths, files)

    def reload(self) -> None:
        """Have it read the installed units; nothing that runs is touched."""
        daemon.make_room(int(self._rpc("supervisor.getPID")), self._installed())
        self._rpc("supervisor.reloadConfig", timeout_s=RELOAD_S)

    def add(self, bot: str) -> None:
        """Put a unit in force as it was at the last reload; it has been spawned then, if its unit says so."""
        try:
            self._rpc("supervisor.addProcessGroup", self._paths.program(bot))
        except FaultError as fault:
            if fault.code != rpc.ALREADY_ADDED:
                raise
        nudge(self._rpc)

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

    def stop(self, bots: Sequence[str], deadline_s: float) -> tuple[str, ...]:
        """Stop bots in parallel and wait until they, and what they started, have ended.

        Returns:
            The bots that had to be killed at the deadline.
        """
        programs = {self._paths.program(bot): bot for bot in bots}
        if not programs:
            return ()
        return tuple(programs[program] for program in stop(self._rpc, programs, deadline_s))

    def _pid(self) -> int | None:
        """The process id of this fleet's supervisord, None if none runs."""
        try:
            answers = self._rpc.many([("supervisor.getIdentification",), ("supervisor.getPID",)])
        except NotRunningError:
            pid = daemon.recorded_pid(self._paths)
            if pid is None:
                return None
            message = f"the supervisord of fleet {self._paths.fleet} (pid {pid}) runs but does not listen"
            raise BackendError(message, f"it is just ending, or `kill {pid}` ends it; {_GONE}") from None
        for answer in answers:
            if isinstance(answer, FaultError):
                raise answer
        identifier, pid = answers
        if identifier != self._paths.fleet or not daemon.is_ours(pid, self._paths):
            message = (
                f"{self._paths.supervisor_socket}: another supervisord answers ({identifier}, pid {pid})"
            )
            raise BackendError(message, f"end it (`kill {pid}`); {_GONE}")
        return int(pid)

    def _installed(self) -> int:
        return sum(1 for _ in self._paths.units.glob("*.conf"))

    def _await_first_turn(self) -> None:
        """Wait until it answers and has spawned its programs."""
        end = time.monotonic() + LAUNCH_S
        while True:
            try:
                if not self.alive():
                    raise daemon.not_started(self._paths, [])
                nudge(self._rpc)
            except HungError:
                if time.monotonic() >= end:
                    raise
            else:
                return

    def _shut_down(self, deadline_s: float) -> tuple[str, ...]:
        try:
            infos = self._rpc("supervisor.getAllProcessInfo")
            killed = stop(self._rpc, [f"{info['group']}:{info['name']}" for info in infos], deadline_s)
            self._rpc("supervisor.shutdown")
        except FaultError as fault:
            if fault.code != rpc.SHUTDOWN_STATE:
                raise
            return ()
        return tuple(killed)


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
        detail=info["spawnerr"] or info["statename"],
    )
