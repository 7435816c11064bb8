"""The state of one bot, derived from its supervisor, its run record and its own answer. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from types import NoneType
from typing import TYPE_CHECKING, Any

from toolkit.backends import Phase, Supervision, UnaskedError, UnitStatus
from toolkit.clock import seconds
from toolkit.ipc.client import Failure, FailureKind
from toolkit.lifecycle import NO_RESTART_CODES, FailureClass, State
from toolkit.view import BotView

if TYPE_CHECKING:
    from toolkit.run_record import LastExit, RunRecord

# A runner's interpreter needs this long at most, on a busy machine, until its socket is there.
HATCHING_S = 15.0
# One that supervisord has just begun has to load first, with all others of a machine that boots.
LOADING_S = 300.0
# supervisord looks once a second what is to be started again, and tells whole seconds.
_RESPAWN_S = 3.0
_MAKES_ANEW = "`toolkit admin restart-bot {bot}` makes it anew"
_ALONE = "runs without its supervisor"
_NOT_RUNNING = "the supervisor is not running"

_NUMBER, _COUNT = (int, float, NoneType), (int, NoneType)
_SHAPES: Mapping[str, tuple[type, ...]] = {
    "reason": (str, NoneType),
    "pid": _COUNT,
    "restarts": _COUNT,
    "memory_bytes": _COUNT,
    "dead_letters": _COUNT,
    "last_exit": (dict, NoneType),
    **dict.fromkeys(("uptime_s", "cpu_percent", "poll_age_s", "loop_lag_s", "oldest_in_flight_s"), _NUMBER),
}


def understood(answer: object) -> dict[str, Any] | Failure:
    """An answer to ``status``, or a failure where it is none: one bot's nonsense hides no other bot. Pure."""
    if isinstance(answer, Failure):
        return answer
    if (
        isinstance(answer, dict)
        and answer.get("state") in tuple(State)
        and all(isinstance(answer.get(name), types) for name, types in _SHAPES.items())
    ):
        return answer
    return Failure(FailureKind.PROTOCOL, "its answer cannot be understood")


def view_of_silence(
    kind: str,
    backend: str,
    unit: UnitStatus,
    record: "RunRecord",
    silence: Failure,
    *,
    now: float,
    made: bool = False,
    stands_still: bool = False,
) -> BotView:
    """A bot that does not answer, as its supervisor and its run record tell it. Pure.

    Parameters:
        kind: the bot's type.
        silence: why it does not answer.
        now: seconds since the epoch.
        made: whether its process has made its control socket.
        stands_still: whether its process is stopped, as by SIGSTOP.
    """
    lost = made and silence.kind is FailureKind.NOT_RUNNING
    end = _end_not_seen_yet(unit, record)
    youth = "" if lost or end else _youth(backend, unit, record, silence, now)
    comes_back = backend == "supervisord" and now - unit.since < _RESPAWN_S
    state, reason = _silent_state(unit, silence, youth, comes_back=comes_back, stands_still=stands_still)
    if end:
        state, reason = State.STOPPING if end.kind == "stopped" else State.BACKOFF, ""
    failure = None
    if state in (State.FAILED, State.QUARANTINED, State.BACKOFF):
        failure, words = _failure_of(unit, record)
        reason = words or reason
        if failure and not failure.restart_helps:
            state = State.QUARANTINED
    gone = state is State.DEGRADED and silence.kind is FailureKind.NOT_RUNNING
    return BotView(
        name=unit.bot,
        type=kind,
        backend=backend,
        state=state,
        reason=reason,
        hint=_MAKES_ANEW.format(bot=unit.bot) if gone else _hint(unit.bot, state, failure),
        pid=unit.pid,
        uptime_s=max(0.0, now - unit.since) if unit.pid and unit.since else None,
        restarts=record.restarts,
        failure=failure.name if failure else None,
        details={"last_exit": _plain_exit(record)},
    )


def view_of_answer(kind: str, backend: str, unit: UnitStatus, answer: dict[str, Any]) -> BotView:
    """A bot as it tells itself, but for what its supervisor knows better. Pure.

    Parameters:
        kind: the bot's type.
        answer: of the control socket's ``status``.
    """
    state = State(answer["state"])
    reason = str(answer.get("reason") or "")
    if unit.phase is Phase.STOPPING:
        state = State.STOPPING
    elif unit.phase not in (Phase.RUNNING, Phase.STARTING):
        reason = "; ".join(filter(None, (reason, _ALONE)))
    last_exit = answer.get("last_exit") or {}
    troubled = state in (State.BACKOFF, State.QUARANTINED)
    failure = FailureClass.of(str(last_exit.get("failure", ""))) if troubled else None
    return BotView(
        name=unit.bot,
        type=kind,
        backend=backend,
        state=state,
        ready=bool(answer.get("ready")),
        reason=reason,
        hint=_hint(unit.bot, state, failure, int(answer.get("dead_letters") or 0)),
        pid=answer.get("pid"),
        uptime_s=answer.get("uptime_s"),
        restarts=int(answer.get("restarts") or 0),
        memory_bytes=answer.get("memory_bytes"),
        cpu_percent=answer.get("cpu_percent"),
        failure=failure.name if failure else None,
        fingerprint=str(answer.get("fingerprint", "")),
        unit=str(answer.get("unit", "")),
        details=answer,
    )


def _end_not_seen_yet(unit: UnitStatus, record: "RunRecord") -> "LastExit | None":
    """The end that this very process has recorded, where its supervisor has not seen it go yet."""
    last = record.last_exit
    if record.pid is not None or last is None or unit.phase not in (Phase.RUNNING, Phase.STARTING):
        return None
    # After a reboot another process may have that number.
    return last if unit.pid == last.pid and seconds(last.at) >= unit.since else None


def _youth(backend: str, unit: UnitStatus, record: "RunRecord", silence: Failure, now: float) -> str:
    """Why a running process may be silent without a fault; "" where that is one.

    systemd calls a bot active once it was ready, supervisord as soon as it has lived for a second: a busy
    machine may take much longer to load its runner, which begins its record and then its socket.
    """
    begun = record.pid is not None and record.pid == unit.pid
    loads = not unit.since or now - unit.since < LOADING_S
    if backend != "systemd" and silence.kind is FailureKind.NOT_RUNNING and not begun and loads:
        return "its runner is not loaded yet"
    since = unit.since or (seconds(record.started_at) if begun else 0.0)
    if not since or now - since >= HATCHING_S:
        return ""
    missing = silence.kind is FailureKind.NOT_RUNNING and begun
    return "its process has just begun" + (f": {silence.message}" if missing else "")


def _failure_of(unit: UnitStatus, record: "RunRecord") -> tuple[FailureClass | None, str]:
    """What the last run failed with, where that is known, and in words."""
    last = record.last_exit
    if last and unit.exit_code not in (None, last.code):
        last = None  # that run left no record: it could not even begin
    # A runner that could not even read its bot file has left no record of that end, but its exit code.
    failure = FailureClass.of_code(unit.exit_code) or (FailureClass.of(last.failure) if last else None)
    told = last.reason if last and (failure is None or last.failure == failure.name) else ""
    return failure, ": ".join(filter(None, (failure.words if failure else "", told)))


def _silent_state(
    unit: UnitStatus, answer: Failure, youth: str, *, comes_back: bool, stands_still: bool
) -> tuple[State, str]:
    """The state of a bot that does not answer, by its supervisor alone.

    Parameters:
        comes_back: whether one that has ended may be about to be started again.
        stands_still: as of ``view_of_silence``.
    """
    match unit.phase:
        case Phase.RUNNING | Phase.STARTING if stands_still:
            return State.DEGRADED, f"its process is stopped: `kill -CONT {unit.pid}` has it go on"
        case Phase.RUNNING | Phase.STARTING if youth:
            return State.STARTING, youth
        case Phase.RUNNING if answer.kind is FailureKind.NOT_RUNNING:
            return State.DEGRADED, answer.message
        case Phase.RUNNING:
            return State.DEGRADED, f"no answer on its control socket: {answer.message}"
        case Phase.EXITED if unit.exit_code in NO_RESTART_CODES:
            state = State.QUARANTINED
        case Phase.EXITED if comes_back and unit.exit_code != 0:
            state = State.BACKOFF
        case Phase.EXITED if unit.exit_code:
            state = State.FAILED
        case phase:
            state = _STATES[phase]
    return state, unit.detail


_STATES = {
    Phase.ABSENT: State.DEFINED,
    Phase.STOPPED: State.STOPPED,
    Phase.STARTING: State.STARTING,
    Phase.BACKOFF: State.BACKOFF,
    Phase.STOPPING: State.STOPPING,
    Phase.EXITED: State.STOPPED,
    Phase.FAILED: State.FAILED,
}


_HINTS = {
    State.DEFINED: "`toolkit up` puts it in force",
    State.PAUSED: "`toolkit admin resume-bot {bot}` lets it go on",
    State.FAILED: "see `toolkit bot logs {bot}`; when it is mended, `toolkit admin start-bot {bot}`",
    State.DEGRADED: "see `toolkit bot logs {bot}`",
}


def _hint(bot: str, state: State, failure: FailureClass | None, dead_letters: int = 0) -> str:
    if failure:
        return failure.hint(bot)
    if state in _HINTS:
        return _HINTS[state].format(bot=bot)
    if dead_letters:
        are = "1 update is" if dead_letters == 1 else f"{dead_letters} updates are"
        return f"{are} set aside: see `toolkit bot dead-letters {bot}`"
    return ""


def _plain_exit(record: "RunRecord") -> dict[str, Any] | None:
    exit_ = record.last_exit
    return {name: getattr(exit_, name) for name in exit_.__struct_fields__} if exit_ else None


def with_hold(view: BotView, *, held: bool) -> BotView:
    """A bot with whether it is stopped because an operator wants it so, or is to run."""
    if view.state is not State.STOPPED:
        return view
    if held:
        return replace(view, held=True)
    hint = f"`toolkit admin start-bot {view.name}` starts it"
    return replace(view, reason=view.reason or "it is to run, and was stopped", hint=view.hint or hint)


def unasked(view: BotView, silence: UnaskedError) -> BotView:
    """A bot whose supervisor cannot be asked, with that said."""
    lost, stopped = silence.supervision is Supervision.SOCKET_GONE, view.state is State.STOPPED
    words = silence.message if lost else _NOT_RUNNING if stopped else _ALONE
    if view.state is not State.DEFINED:
        reason = "; ".join(filter(None, (view.reason, words)))
        view = replace(view, reason=reason, hint=silence.hint if lost or stopped else view.hint)
    return replace(view, supervisor=silence.supervision)
