"""The bot file: all that one runner reads, resolved from the fleet."""

import hashlib
from pathlib import Path
from typing import Any, Literal

import msgspec

from toolkit.errors import ToolkitError
from toolkit.secrets import TokenReference

VERSION = 1
# Seconds: supervisord honours exit codes only after startsecs, which is 1 s in our units.
SUPERVISORD_HOLD_S = 1.05
TELEGRAM_API = "https://api.telegram.org"


class App(msgspec.Struct, frozen=True, kw_only=True):
    """What the bot is.

    Parameters:
        kind: ``telegram`` (a factory of a python-telegram-bot application), ``async`` (a coroutine
            function), or ``exec`` (any program).
        target: ``module:name`` for the first two.
        argv: the program and its arguments, for ``exec``.
        ready: ``start`` where running is enough to be ready, ``app`` where the app itself says so
            (``context.health.ready()``, or READY=1 from a program); a telegram app is ready when it polls.
        search: folders put in front of Python's module search path.
        token_env: the environment variable that gives an ``exec`` program its token; "" for none.
    """

    kind: Literal["telegram", "async", "exec"]
    target: str = ""
    argv: tuple[str, ...] = ()
    ready: Literal["start", "app"] = "start"
    search: tuple[str, ...] = ()
    token_env: str = ""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What the process may use; None leaves the system's default.

    Parameters:
        open_files: file descriptors (RLIMIT_NOFILE).
        processes: processes and threads of the user (RLIMIT_NPROC).
        core_bytes: size of a core dump (RLIMIT_CORE).
        nice: the scheduler's niceness.
    """

    open_files: int = 1024
    processes: int | None = None
    core_bytes: int = 0
    nice: int = 0


class Restart(msgspec.Struct, frozen=True, kw_only=True):
    """How a bot that ended unasked comes back.

    Parameters:
        policy: ``unexpected`` (all but the classes where it cannot help) or ``never``.
        pause_s: seconds before the second try in a row, doubled with each further one.
        pause_max_s: the longest pause, in seconds.
        limit: failed starts in a row after which the class is crash loop; 0 for no limit.
        healthy_s: seconds of run after which a crash counts as the first again.
    """

    policy: Literal["unexpected", "never"] = "unexpected"
    pause_s: float = 1.0
    pause_max_s: float = 60.0
    limit: int = 20
    healthy_s: float = 60.0


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """When a bot that runs is not well, in seconds; `toolkit.health` has the rule.

    Parameters:
        loop_s: its event loop blocked for longer is a hang; likewise a program that sent WATCHDOG=1 and
            does no more. A third of it is told as a trouble.
        poll_s: a poll later than its own deadline by more is a hang. A third of it is a trouble.
        handler_s: an update in its handler, or before it though none is in one, for longer is a trouble.
        stuck_s: all turns taken, or none though updates wait, and no update begun or ended for longer, is a
            hang; so is no file descriptor left. By default as long as an up- or download may take.
        start_s: the app's own code at one step of the start for longer is a hang: its import and factory,
            reading what it keeps, its `post_init`. A third of it is told as a trouble.
    """

    loop_s: float = 90.0
    poll_s: float = 30.0
    handler_s: float = 120.0
    stuck_s: float = 600.0
    start_s: float = 300.0


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """How the runner writes the bot's log.

    Parameters:
        format: ``json`` (one object a line) or ``text``.
        level: the least level that is written.
        max_bytes: size at which the file is rotated.
        keep: how many rotated files stay.
    """

    format: Literal["json", "text"] = "json"
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    max_bytes: int = 10_000_000
    keep: int = 3


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """Absolute paths of what the runner writes.

    Parameters:
        log: "" where the log goes to the systemd journal.
        shared: whether the group of the socket may connect to it.
    """

    state: str
    socket: str
    run_record: str
    log: str
    shared: bool = False


class BotFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One bot, resolved.

    Parameters:
        backend: the supervisor that starts it.
        config: the merged configuration.
        origins: for each dotted key of ``config`` the scope it comes from.
        endpoint: the Bot API server, without a path.
        health: when it counts as hung.
        concurrency: how many updates a telegram bot handles at once; None leaves it to the runner.
        delivery: ``at-least-once`` (an update whose handler the process died with is handled again) or
            ``at-most-once`` (it is lost).
        stop_s: seconds from SIGTERM to the end that the bot has to drain.
        hold_s: seconds after its start before which the runner does not end by itself, because
            supervisord honours exit codes only after ``startsecs``.
        die_with_parent: stop when the supervisor dies, for a supervisord that nothing else guards.
    """

    version: int = VERSION
    fleet: str
    name: str
    type: str
    backend: Literal["supervisord", "systemd"]
    app: App
    directory: str
    token: TokenReference | None = None
    endpoint: str = TELEGRAM_API
    config: dict[str, Any] = msgspec.field(default_factory=dict)
    origins: dict[str, str] = msgspec.field(default_factory=dict)
    limits: Limits = Limits()
    restart: Restart = Restart()
    health: Health = Health()
    log: Log = Log()
    files: Files
    concurrency: int | None = None
    delivery: Literal["at-least-once", "at-most-once"] = "at-least-once"
    stop_s: float = 10.0
    hold_s: float = 0.0
    die_with_parent: bool = False

    def fingerprint(self) -> str:
        """A digest of all that changes how the bot runs: everything but the origins."""
        plain = msgspec.structs.replace(self, origins={})
        return hashlib.sha256(msgspec.json.encode(plain, order="deterministic")).hexdigest()[:16]


def encode(bot: BotFile) -> str:
    """The bot file's text: indented JSON, the same for the same bot."""
    return msgspec.json.format(msgspec.json.encode(bot, order="sorted"), indent=2).decode() + "\n"


def decode(data: bytes) -> BotFile:
    """A bot file from its bytes.

    Raises:
        ToolkitError: it is no bot file of this version.
    """
    try:
        bot = msgspec.json.decode(data, type=BotFile)
    except msgspec.DecodeError as error:
        raise ToolkitError(f"not a bot file: {error}", "run `toolkit deploy` to write it anew") from None
    if bot.version != VERSION:
        raise ToolkitError(
            f"bot file of version {bot.version}, this runner reads version {VERSION}", "deploy anew"
        )
    return bot


def load(path: Path) -> BotFile:
    """Read a bot file.

    Raises:
        ToolkitError: it is missing, unreadable or no bot file; the message names the path.
    """
    try:
        return decode(path.read_bytes())
    except OSError as error:
        raise ToolkitError(f"{path}: {error.strerror}", "run `toolkit deploy` to write it") from None
    except ToolkitError as error:
        raise ToolkitError(f"{path}: {error.message}", error.hint) from None
