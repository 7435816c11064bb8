"""A private supervisord: one per fleet, which the toolkit starts and ends."""

import time
from collections.abc import Sequence

from toolkit.backends import HungError, NotRunningError, SocketGoneError
from toolkit.backends.supervisord import ending, finding, launching
from toolkit.backends.supervisord.reach import Reach
from toolkit.backends.supervisord.rpc import FaultError, Rpc
from toolkit.backends.supervisord.start import nudge
from toolkit.backends.supervisord.stop import stop
from toolkit.errors import BackendError, RefusedError
from toolkit.files import make_private
from toolkit.paths import FleetPaths
from toolkit.processes import opened
from toolkit.render import RenderedFile

# Its first turn forks all bots, some 10 ms each, before it answers again.
LAUNCH_S = 60.0
_GONE = "`toolkit up` starts another once it has ended"


class PrivateDaemon:
    """The fleet's own supervisord.

    Parameters:
        paths: the fleet's.
    """

    def __init__(self, paths: FleetPaths) -> None:
        self._paths = paths
        self.reach = Reach(
            name=f"the supervisord of fleet {paths.fleet}",
            socket=paths.supervisor_socket,
            pidfile=paths.supervisor_pidfile,
            start_hint="start it with `toolkit up`",
            permission_hint="run it as the user who started the fleet",
            living=lambda: finding.staying(finding.running_pid(paths)),
            lost_hint="`toolkit down` ends it and its bots, then `toolkit up` starts them again",
        )

    def pid(self, call: Rpc) -> int | None:
        """Its process id, None if none runs.

        Raises:
            SocketGoneError: one runs that cannot be asked.
            BackendError: one runs that does not answer, is ending, or is not this fleet's.
        """
        try:
            answers = call.many([("supervisor.getIdentification",), ("supervisor.getPID",)])
        except NotRunningError:
            return None
        for answer in answers:
            if isinstance(answer, FaultError):
                raise answer
        identifier, pid = answers
        if identifier != self._paths.fleet or not finding.is_ours(pid, self._paths):
            message = (
                f"{self._paths.supervisor_socket}: another supervisord answers ({identifier}, pid {pid})"
            )
            raise BackendError(message, f"end it (`kill {pid}`); {_GONE}")
        return int(pid)

    def launch(self, call: Rpc) -> None:
        """Start it with the installed units; when this returns, those with autostart have been spawned.

        Raises:
            RefusedError: it runs already, or another command is starting it.
            BackendError: it did not come up; the message has its last words.
        """
        self.pid(call)  # looks among all processes, which within the lock it may not
        self._make_folders()
        with launching.launching(self._paths):
            if self.pid(call) is not None:
                raise RefusedError(f"the supervisord of fleet {self._paths.fleet} runs already")
            launching.make_room(0, self._installed())
            launching.spawn(self._paths)
            self._await_first_turn(call)

    def end(self, call: Rpc, deadline_s: float) -> None:
        """Stop all programs in parallel, then supervisord itself, and wait until its process is gone.

        Parameters:
            deadline_s: seconds for the programs, and again for supervisord; what is left is killed.
        """
        try:
            pid = self.pid(call)
        except SocketGoneError:
            ending.terminate(self._paths, deadline_s)
            return
        if pid is None:
            return
        with opened(pid) as process:
            if process is not None:
                _shut_down(call, deadline_s)
                ending.wait_gone(process, deadline_s)
        call.close()
        launching.clear(self._paths)

    def check(self, call: Rpc, files: Sequence[RenderedFile]) -> None:
        """Parse what supervisord would find with these files installed, with its own parser."""
        from toolkit.backends.supervisord import staged

        del call  # it need not run
        # The parser wants the folders of the logs to be there.
        self._make_folders()
        staged.check(self._paths, files)

    def make_room(self, call: Rpc) -> None:
        """Let it open as many files as the installed units need.

        Raises:
            BackendError: the hard limit is too low, and it may not be raised.
        """
        launching.make_room(int(call("supervisor.getPID")), self._installed())

    def _make_folders(self) -> None:
        make_private(self._paths.logs)
        make_private(self._paths.supervisor_socket.parent)

    def _installed(self) -> int:
        return sum(1 for _ in self._paths.units.glob("*.conf"))

    def _await_first_turn(self, call: Rpc) -> None:
        """Wait until it answers and has spawned its programs."""
        end = time.monotonic() + LAUNCH_S
        while True:
            try:
                if self.pid(call) is None:
                    raise launching.not_started(self._paths, [])
                nudge(call)
            except HungError:
                if time.monotonic() >= end:
                    raise
            else:
                return


def _shut_down(call: Rpc, deadline_s: float) -> None:
    infos = call("supervisor.getAllProcessInfo")
    stop(call, [f"{info['group']}:{info['name']}" for info in infos], deadline_s)
    call("supervisor.shutdown")
