"""Where everything of a fleet lies, and what it is called there."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from toolkit.place import PRIVATE_SUPERVISORD, Place

BOT_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,30}[a-z0-9])?")
FLEET_NAME = re.compile(r"[a-z0-9]{1,24}")
TYPE_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
# The selector of every bot, and what the private supervisord's own log is called after.
RESERVED_BOT_NAMES = ("all", "supervisord")
# sun_path is 108 bytes with its closing NUL: unix(7).
MAX_SOCKET_PATH = 107
# ut_user of utmp(5) has 32 bytes: systemd takes no longer name.
_MAX_USER_NAME = 31
_NAME = "bot-toolkit"


@dataclass(frozen=True, slots=True)
class FleetPaths:
    """The folders and names of one fleet. Make it with ``fleet_paths``.

    Parameters:
        fleet: the fleet's name.
        home: what the fleet keeps: database, lock, bot files, the bots' own folders. In user mode all else
            lies here too, 0700.
        place: the supervisor and its mode.
        root: in system mode what all lies under.
        user_units: where systemd's user manager looks for units.
        include: the pattern of units that the machine's supervisord includes; None is Debian's.

    In user mode sockets do not lie in ``XDG_RUNTIME_DIR``: that folder ends with the user's last login,
    while a private supervisord goes on.
    """

    fleet: str
    home: Path
    place: Place = PRIVATE_SUPERVISORD
    root: Path = Path("/")
    user_units: Path | None = None
    include: Path | None = None

    @property
    def is_system(self) -> bool:
        """Whether the fleet is in system mode."""
        return self.place.mode == "system"

    @property
    def units(self) -> Path:
        """The folder in which the supervisor finds rendered units; in system mode those of others too."""
        if self.place.backend == "systemd":
            return self.root / "etc/systemd/system" if self.is_system else self.user_units or self.home
        return self._included.parent

    @property
    def _included(self) -> Path:
        """The pattern of units that a supervisord includes."""
        if self.is_system:
            return self.include or self.root / "etc/supervisor/conf.d/*.conf"
        return self.home / "units/*.conf"

    @property
    def config(self) -> Path:
        """What an administrator writes: the fleet file and secrets, in system mode."""
        return self.root / "etc" / _NAME / self.fleet if self.is_system else self.home

    @property
    def run(self) -> Path:
        """The folder of the bots' folders of sockets."""
        return self.root / "run" / _NAME / self.fleet if self.is_system else self.home / "run"

    @property
    def logs(self) -> Path:
        """The folder of the bots' logs; empty under systemd, where they go to the journal."""
        return self.root / "var/log" / _NAME / self.fleet if self.is_system else self.home / "log"

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
    def records(self) -> Path:
        """The folder of the database and the lock: in system mode one that no bot can look into."""
        return self.home / "records" if self.is_system else self.home

    @property
    def database(self) -> Path:
        """Revisions, the applied manifest and what operators want, in SQLite."""
        return self.records / "fleet.db"

    @property
    def lock(self) -> Path:
        """Held by the one command that changes the fleet."""
        return self.records / "fleet.lock"

    @property
    def group(self) -> str:
        """The Unix group of the fleet's operators and bots, in system mode."""
        return f"bot-{self.fleet}"

    @property
    def target(self) -> str:
        """The systemd target that starts and stops all bots."""
        return f"bot-{self.fleet}.target"

    @property
    def slice(self) -> str:
        """The systemd slice that all bots run in, below ``bot.slice``."""
        return f"bot-{self.fleet}.slice"

    @property
    def sysusers(self) -> Path:
        """What makes the group: sysusers.d(5)."""
        return self.root / "etc/sysusers.d" / f"bot-{self.fleet}.conf"

    @property
    def tmpfiles(self) -> Path:
        """What makes the folders, at each boot: tmpfiles.d(5)."""
        return self.root / "etc/tmpfiles.d" / f"bot-{self.fleet}.conf"

    @property
    def polkit_rule(self) -> Path:
        """What lets the group manage the fleet's units without being root: polkit(8)."""
        return self.root / "etc/polkit-1/rules.d" / f"50-bot-{self.fleet}.rules"

    @property
    def strays(self) -> Path:
        """The folder of what supervisors catch; in system mode no bot may write there."""
        # No bot can have this name: each has a folder of its own beside it.
        return self.logs / "_stray" if self.is_system else self.logs

    def unit(self, bot: str) -> Path:
        """The bot's unit as a file."""
        systemd = self.place.backend == "systemd"
        if systemd:
            return self.units / self.service(bot)
        return self._included.with_name(self._included.name.replace("*", self.program(bot)))

    def program(self, bot: str) -> str:
        """The bot's name under supervisord."""
        return f"{self.fleet}-{bot}"

    def service(self, bot: str) -> str:
        """The bot's name under systemd. A fleet's name has no ``-``: no two bots share one."""
        return f"bot-{self.fleet}-{bot}.service"

    def user(self, bot: str) -> str:
        """The user that systemd makes up for the bot while it runs."""
        name = f"bot-{self.fleet}-{bot}"
        if len(name) <= _MAX_USER_NAME:
            return name
        import hashlib  # not needed by commands that only read

        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        return f"{name[: _MAX_USER_NAME - 9]}-{digest}"

    def state(self, bot: str) -> Path:
        """The bot's own folder: run record and what the bot itself keeps."""
        return self.home / "bots" / bot

    def botfile(self, bot: str) -> Path:
        """All that the bot's runner reads. In system mode the bot itself may not write it."""
        return self.home / "botfiles" / f"{bot}.json" if self.is_system else self.state(bot) / "bot.json"

    def run_record(self, bot: str) -> Path:
        """The runner's own memory of its starts."""
        return self.state(bot) / "run.json"

    def control_socket(self, bot: str) -> Path:
        """The bot's control socket, in a folder of its own."""
        return self.run / bot / "control.sock"

    def log(self, bot: str) -> Path:
        """The bot's log, written and rotated by its runner: in system mode in a folder of the bot's own."""
        return self.logs / bot / f"{bot}.log" if self.is_system else self.logs / f"{bot}.log"

    def stray_log(self, bot: str) -> Path:
        """What the supervisor catches before the runner's own log is open; written as root in system mode."""
        return self.strays / f"{bot}.log" if self.is_system else self.logs / f"{bot}.stray.log"


def runner_of(python: str) -> str:
    """The ``bot-runner`` that is installed in an interpreter's environment."""
    return os.path.join(os.path.dirname(python), "bot-runner")


def is_bot_name(name: str) -> bool:
    """Whether a fleet file may give a bot this name."""
    return bool(BOT_NAME.fullmatch(name)) and name not in RESERVED_BOT_NAMES


def default_root() -> Path:
    """``bot-toolkit`` in the user's XDG state folder."""
    return _xdg("XDG_STATE_HOME", ".local/state") / _NAME


def _xdg(variable: str, default: str) -> Path:
    given = os.environ.get(variable, "")
    return Path(given) if os.path.isabs(given) else Path.home() / default


def fleet_paths(
    fleet: str, root: Path | None = None, place: Place = PRIVATE_SUPERVISORD, include: Path | None = None
) -> FleetPaths:
    """The paths of a fleet.

    Parameters:
        fleet: the fleet's name.
        root: what takes the place of the user's state folder, or in system mode of ``/``, for tests and
            trials.
        place: the supervisor and its mode.
        include: the pattern of units that the machine's supervisord includes, where it is not Debian's.
    """
    if place.mode == "system":
        under = (root or Path("/")).absolute()
        return FleetPaths(fleet, under / "var/lib" / _NAME / fleet, place, under, include=include)
    home = (root or default_root()).absolute() / fleet
    units = _xdg("XDG_CONFIG_HOME", ".config") / "systemd/user" if place.backend == "systemd" else None
    return FleetPaths(fleet, home, place, user_units=units)
