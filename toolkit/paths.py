"""Where everything of a fleet lies."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

BOT_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,30}[a-z0-9])?")
FLEET_NAME = re.compile(r"[a-z0-9]{1,24}")
# sun_path is 108 bytes with its closing NUL: unix(7).
MAX_SOCKET_PATH = 107


@dataclass(frozen=True, slots=True)
class FleetPaths:
    """The folders of one fleet of one user.

    Parameters:
        fleet: the fleet's name.
        home: the folder that holds all of it, 0700.

    Sockets lie here too, and not in ``XDG_RUNTIME_DIR``: that folder ends with the user's last login,
    while a private supervisord goes on.
    """

    fleet: str
    home: Path

    @property
    def units(self) -> Path:
        """The folder of rendered units that the supervisor includes."""
        return self.home / "units"

    @property
    def supervisord_conf(self) -> Path:
        """The private supervisord's own configuration."""
        return self.home / "supervisord.conf"

    @property
    def supervisor_socket(self) -> Path:
        """The private supervisord's XML-RPC socket, in a 0700 folder of its own."""
        return self.home / "run" / "supervisor.sock"

    @property
    def supervisor_pidfile(self) -> Path:
        """Where the private supervisord writes its process id."""
        return self.home / "run" / "supervisord.pid"

    @property
    def supervisor_log(self) -> Path:
        """The private supervisord's own log."""
        return self.logs / "supervisord.log"

    @property
    def logs(self) -> Path:
        """The folder of the bots' logs."""
        return self.home / "log"

    @property
    def database(self) -> Path:
        """Revisions, the applied manifest and what operators want, in SQLite."""
        return self.home / "fleet.db"

    @property
    def lock(self) -> Path:
        """Held by the one command that changes the fleet."""
        return self.home / "fleet.lock"

    def unit(self, bot: str) -> Path:
        """The bot's unit under supervisord."""
        return self.units / f"{self.program(bot)}.conf"

    def program(self, bot: str) -> str:
        """The bot's name under supervisord."""
        return f"{self.fleet}-{bot}"

    def state(self, bot: str) -> Path:
        """The bot's own folder: bot file, run record and what the bot itself keeps."""
        return self.home / "bots" / bot

    def botfile(self, bot: str) -> Path:
        """All that the bot's runner reads."""
        return self.state(bot) / "bot.json"

    def run_record(self, bot: str) -> Path:
        """The runner's own memory of its starts."""
        return self.state(bot) / "run.json"

    def control_socket(self, bot: str) -> Path:
        """The bot's control socket, in a folder of its own."""
        return self.home / "run" / bot / "control.sock"

    def log(self, bot: str) -> Path:
        """The bot's log, written and rotated by its runner."""
        return self.logs / f"{bot}.log"

    def stray_log(self, bot: str) -> Path:
        """What the supervisor catches before the runner's own log is open."""
        return self.logs / f"{bot}.stray.log"


def default_root() -> Path:
    """``bot-toolkit`` in the user's XDG state folder."""
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if os.path.isabs(state) else Path.home() / ".local" / "state"
    return base / "bot-toolkit"


def fleet_paths(fleet: str, root: Path | None = None) -> FleetPaths:
    """The paths of a fleet.

    Parameters:
        fleet: the fleet's name.
        root: what takes the place of the user's state folder, for tests and trials.
    """
    return FleetPaths(fleet, (root or default_root()).absolute() / fleet)
