"""The twelve states of a bot, how it gets from one to another, and the classes of its failures."""

from dataclasses import dataclass
from enum import Enum, StrEnum


class State(StrEnum):
    """Where a bot is in its life; the same words on every backend."""

    DEFINED = "DEFINED"
    STOPPED = "STOPPED"
    STARTING = "STARTING"
    INITIALIZING = "INITIALIZING"
    RUNNING = "RUNNING"
    DEGRADED = "DEGRADED"
    RELOADING = "RELOADING"
    PAUSED = "PAUSED"
    STOPPING = "STOPPING"
    BACKOFF = "BACKOFF"
    FAILED = "FAILED"
    QUARANTINED = "QUARANTINED"


# No process, and none that comes by itself.
DOWN = (State.DEFINED, State.STOPPED, State.FAILED, State.QUARANTINED)


class Event(StrEnum):
    """What moves a bot from one state to another."""

    INSTALL = "install"
    REMOVE = "remove"
    SPAWN = "spawn"
    HELLO = "hello"
    READY = "ready"
    DEGRADE = "degrade"
    RECOVER = "recover"
    RELOAD = "reload"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    EXIT = "exit"
    CRASH = "crash"
    FAIL = "fail"
    GIVE_UP = "give_up"
    QUARANTINE = "quarantine"


_ALIVE = (
    State.STARTING,
    State.INITIALIZING,
    State.RUNNING,
    State.DEGRADED,
    State.RELOADING,
    State.PAUSED,
)
_AT_REST = (State.STOPPED, State.BACKOFF, State.FAILED, State.QUARANTINED)

TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.DEFINED, Event.INSTALL): State.STOPPED,
    (State.STARTING, Event.HELLO): State.INITIALIZING,
    (State.INITIALIZING, Event.READY): State.RUNNING,
    (State.RUNNING, Event.DEGRADE): State.DEGRADED,
    (State.DEGRADED, Event.RECOVER): State.RUNNING,
    (State.RUNNING, Event.RELOAD): State.RELOADING,
    (State.DEGRADED, Event.RELOAD): State.RELOADING,
    (State.RELOADING, Event.READY): State.RUNNING,
    (State.RELOADING, Event.DEGRADE): State.DEGRADED,
    (State.RUNNING, Event.PAUSE): State.PAUSED,
    (State.DEGRADED, Event.PAUSE): State.PAUSED,
    (State.PAUSED, Event.RESUME): State.RUNNING,
    (State.STOPPING, Event.EXIT): State.STOPPED,
    (State.STOPPING, Event.CRASH): State.STOPPED,
    # The runner's own stop, because of a failure: what is stopping comes back.
    (State.STOPPING, Event.FAIL): State.BACKOFF,
    (State.BACKOFF, Event.STOP): State.STOPPED,
    **{(state, Event.SPAWN): State.STARTING for state in _AT_REST},
    **{(state, Event.REMOVE): State.DEFINED for state in _AT_REST},
    **{(state, Event.STOP): State.STOPPING for state in _ALIVE},
    **{(state, Event.EXIT): State.BACKOFF for state in _ALIVE},
    **{(state, Event.CRASH): State.BACKOFF for state in _ALIVE},
    **{(state, Event.GIVE_UP): State.FAILED for state in (State.STARTING, State.INITIALIZING, State.BACKOFF)},
    **{
        (state, Event.QUARANTINE): State.QUARANTINED
        for state in (*_ALIVE, State.STOPPING, State.BACKOFF, State.FAILED, State.STOPPED)
    },
}


def step(state: State, event: Event) -> State | None:
    """The state that follows, or None where the event cannot happen in that state."""
    return TRANSITIONS.get((state, event))


def may_follow(earlier: State, later: State) -> bool:
    """Whether a bot seen in one state may next be seen in the other: by one event, or by two at once.

    Two, as nobody sees a runner between its pause and its start, or a bot that resumes into a trouble.
    """
    between = {earlier} | {step(earlier, event) for event in Event}
    return any(state is later or _by_one(state, later) for state in between if state)


def _by_one(earlier: State, later: State) -> bool:
    return any(step(earlier, event) is later for event in Event)


@dataclass(frozen=True, slots=True)
class _Class:
    """What a class is; ``{bot}`` in the hint stands for the bot's name."""

    code: int
    words: str
    hint: str
    restart_helps: bool


class FailureClass(Enum):
    """Why a bot's process ended, told by its exit code.

    The codes follow ``sysexits.h`` where it has a fitting one and lie within 64 to 113, clear of the
    shell's (126 and up) and of what programs commonly return.
    """

    BAD_UPSTREAM = _Class(
        68, "misrouted", "404 from the API: check `endpoint` and the proxy before it", True
    )  # EX_NOHOST
    CONFLICT = _Class(
        69,
        "conflict",
        "another process polls with this token; find and stop it, or give this bot another token",
        True,
    )  # EX_UNAVAILABLE
    APP_CRASHED = _Class(
        70,
        "app crashed",
        "`toolkit bot logs {bot}` has its last words, and the traceback if there was one",
        True,
    )  # EX_SOFTWARE
    APP_IMPORT = _Class(
        72,
        "app failed to import",
        "mend that (`toolkit validate --import` tries it), then `toolkit admin start-bot {bot}`; "
        "a change of the fleet's files takes `toolkit deploy`",
        False,
    )  # EX_OSFILE
    TEMPORARY = _Class(75, "temporary", "it is retried by itself", True)  # EX_TEMPFAIL
    TOKEN_REFUSED = _Class(
        77, "token refused", "put a valid token in place, then `toolkit admin start-bot {bot}`", False
    )  # EX_NOPERM
    BAD_CONFIG = _Class(
        78,
        "bad configuration",
        "mend that, then `toolkit admin start-bot {bot}`; "
        "a change of the fleet's files takes `toolkit deploy`",
        False,
    )  # EX_CONFIG
    CRASH_LOOP = _Class(
        100, "crash loop", "see `toolkit bot logs {bot}`; then `toolkit admin start-bot {bot}`", False
    )
    DEAF = _Class(
        101,
        "deaf",
        "the log tells what it hung at (`toolkit bot logs {bot}`); it is restarted by itself",
        True,
    )

    @property
    def code(self) -> int:
        """The exit code of this class."""
        return self.value.code

    @property
    def words(self) -> str:
        """The class as a person reads it."""
        return self.value.words

    def hint(self, bot: str) -> str:
        """What to do about it, for the bot of this name."""
        return self.value.hint.format(bot=bot)

    @property
    def restart_helps(self) -> bool:
        """Whether the supervisor should start the bot again."""
        return self.value.restart_helps

    @classmethod
    def of(cls, name: str) -> "FailureClass | None":
        """The class of that name, as a run record holds it, or None."""
        return cls.__members__.get(name)

    @classmethod
    def of_code(cls, code: int | None) -> "FailureClass | None":
        """The class of an exit code, or None."""
        return next((failure for failure in cls if failure.code == code), None)


NO_RESTART_CODES = tuple(sorted(c.code for c in FailureClass if not c.restart_helps))
