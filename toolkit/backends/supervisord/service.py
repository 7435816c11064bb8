"""An existing supervisord service: another's, which the toolkit neither starts nor ends nor reconfigures."""

import resource
from collections.abc import Sequence
from contextlib import suppress

from toolkit.backends import NotRunningError
from toolkit.backends.foreign import refuse_foreign
from toolkit.backends.supervisord import finding, whole
from toolkit.backends.supervisord.configuration import Configuration
from toolkit.backends.supervisord.ownership import bot_of, enable, installed
from toolkit.backends.supervisord.reach import Reach
from toolkit.backends.supervisord.rpc import Rpc
from toolkit.errors import BackendError, RefusedError
from toolkit.paths import FleetPaths
from toolkit.render import RenderedFile, systemd_marks
from toolkit.render.supervisord_marks import is_ours

# A program takes three, two pipes and its log file, and one is to spare. Its own are few.
_FILES_EACH, _OWN_FILES, _STEP = 4, 128, 1024


class ServiceDaemon:
    """The machine's supervisord, run as root, in whose folder of units the fleet's lie among others.

    Parameters:
        paths: the fleet's.
        configuration: of the service.
    """

    def __init__(self, paths: FleetPaths, configuration: Configuration) -> None:
        self._paths, self._configuration = paths, configuration
        self.reach = Reach(
            name="the machine's supervisord",
            socket=configuration.socket,
            pidfile=configuration.pidfile,
            start_hint=f"start it (`systemctl start supervisor`); its configuration is {configuration.path}",
            permission_hint="run it as root",
            login=configuration.login,
            living=lambda: finding.staying(finding.supervisord_of(configuration.pidfile)),
            lost_hint="restart it (`systemctl restart supervisor`), and with it all that it runs",
        )

    def pid(self, call: Rpc) -> int | None:
        """Its process id, None if it does not run.

        Raises:
            SocketGoneError: it runs, and cannot be asked.
        """
        try:
            return int(call("supervisor.getPID"))
        except NotRunningError:
            return None

    def launch(self, call: Rpc) -> None:
        """Refuse: the service is started by its owner.

        Raises:
            RefusedError: always.
        """
        del call
        raise RefusedError(f"{self.reach.name} is not running", self.reach.start_hint)

    def end(self, call: Rpc, deadline_s: float) -> None:
        """Leave the service and what others run in it; the fleet stays down also when it starts anew."""
        del call, deadline_s
        enable(installed(self._paths), enabled=False)

    def check(self, call: Rpc, files: Sequence[RenderedFile]) -> None:
        """Parse the service's whole configuration as it would be, with the parser of the service itself.

        Raises:
            RefusedError: a unit or a program of one of our names is another's.
            BackendError: the configuration cannot be read; the message names the file.
        """
        self._refuse_foreign(call, files)
        pid = self.pid(call)
        if pid is None:
            self.launch(call)
        else:
            whole.check(pid, self._configuration.path, self._paths, files)

    def make_room(self, call: Rpc) -> None:
        """See that it may open as many files as all programs need.

        Raises:
            BackendError: it may not.
        """
        programs = {str(info["group"]) for info in call("supervisor.getAllProcessInfo")}
        programs |= {path.stem for path in installed(self._paths)}
        soft, _ = resource.prlimit(int(call("supervisor.getPID")), resource.RLIMIT_NOFILE)
        needed = len(programs) * _FILES_EACH + _OWN_FILES
        if soft != resource.RLIM_INFINITY and soft < needed:
            wanted = -(-needed // _STEP) * _STEP
            conf = self._configuration.path
            raise BackendError(
                f"{self.reach.name} may open {soft} files, and {len(programs)} programs need {needed}",
                f"set `minfds={wanted}` in [supervisord] of {conf} and restart the service",
            )

    def _refuse_foreign(self, call: Rpc, files: Sequence[RenderedFile]) -> None:
        """Refuse where a name of ours is in use: by a file, or by a program in force."""
        refuse_foreign(files, lambda text: is_ours(text, self._paths.fleet))
        refuse_foreign(files, systemd_marks.is_ours)
        ours = {file.path.stem for file in files if file.path.parent == self._paths.units}
        with suppress(NotRunningError):
            for info in call("supervisor.getAllProcessInfo"):
                if info["group"] in ours and not bot_of(info, self._paths):
                    hint = "name the bot or the fleet otherwise"
                    raise RefusedError(f"{self.reach.name} runs another program {info['group']}", hint)
