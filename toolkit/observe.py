"""Look at bots: ask their supervisor, read their run records and ask themselves; one view of each."""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.backends import Backend, Phase, UnaskedError, UnitStatus
from toolkit.clock import seconds
from toolkit.derive import unasked, understood, view_of_answer, view_of_silence, with_hold
from toolkit.ipc import listening
from toolkit.ipc.client import Asked, Failure, FailureKind, ask_many
from toolkit.lifecycle import State
from toolkit.paths import FleetPaths
from toolkit.processes import is_stopped
from toolkit.view import BotView, is_untold, with_words

if TYPE_CHECKING:
    from toolkit.run_record import RunRecord

ANSWER_S = 2.0
_Answer = dict[str, Any] | Failure


def observe(
    paths: FleetPaths, bots: Mapping[str, str], backend: Backend, *, answer_s: float = ANSWER_S
) -> list[BotView]:
    """Look at bots: one round trip to the supervisor, and all control sockets under one deadline.

    Parameters:
        bots: the type of each bot, by name; the views come in this order.
        answer_s: seconds in which the bots must answer.
    """
    # The bots answer while the supervisor is asked.
    asked = Asked({bot: paths.control_socket(bot) for bot in bots}, "status", timeout_s=answer_s)
    silence: UnaskedError | None = None
    try:
        units = backend.units()
    except UnaskedError as error:
        silence = error
    finally:
        answers = {bot: understood(answer) for bot, answer in asked.answers().items()}
    silent = [bot for bot in bots if isinstance(answers[bot], Failure)]
    if silence:
        known = {bot: _unit_unasked(paths, bot, answers=bot not in silent) for bot in bots}
    else:
        known = {bot: units.get(bot) or UnitStatus(bot, Phase.ABSENT) for bot in bots}
        known |= backend.closer([known[bot] for bot in silent]) if silent else {}
    made = _made(paths, [known[bot] for bot in silent if _is_missing(answers[bot])])
    if made:  # by now it may answer
        again = ask_many(made, "status", timeout_s=answer_s)
        answers |= {bot: understood(answer) for bot, answer in again.items()}
    views = [
        _view(paths, kind, backend.name, known[bot], answers[bot], made=bot in made)
        for bot, kind in bots.items()
    ]
    if silence:
        views = [unasked(view, silence) for view in views]
    held = _held(paths) if any(view.state is State.STOPPED for view in views) else frozenset()
    return [with_hold(view, held=view.name in held) for view in views]


def _view(
    paths: FleetPaths, kind: str, backend: str, unit: UnitStatus, answer: _Answer, *, made: bool
) -> BotView:
    if not isinstance(answer, Failure):
        return view_of_answer(kind, backend, unit, answer)
    record = _record(paths, unit.bot)
    still = unit.pid is not None and is_stopped(unit.pid)
    view = view_of_silence(
        kind, backend, unit, record, answer, now=time.time(), made=made, stands_still=still
    )
    return with_words(view, _last_words(paths.stray_log(unit.bot), record)) if is_untold(view) else view


def _made(paths: FleetPaths, units: Iterable[UnitStatus]) -> dict[str, Path]:
    """The control sockets that running bots have made, by the bots' names."""
    running = {
        paths.control_socket(unit.bot): unit for unit in units if unit.pid and unit.phase is Phase.RUNNING
    }
    found = listening.made({path: unit.pid or 0 for path, unit in running.items()}) if running else ()
    return {running[path].bot: path for path in found}


def _is_missing(answer: _Answer) -> bool:
    return isinstance(answer, Failure) and answer.kind is FailureKind.NOT_RUNNING


def _held(paths: FleetPaths) -> frozenset[str]:
    """The bots that operators keep stopped."""
    from toolkit import revisions  # as below

    if not paths.database.exists():
        return frozenset()
    with revisions.opened(paths, to_read=True) as history:
        return history.held()


def _unit_unasked(paths: FleetPaths, bot: str, *, answers: bool) -> UnitStatus:
    """A unit whose supervisor cannot be asked: by its process, and by its file."""
    if answers:
        return UnitStatus(bot, Phase.RUNNING)
    from toolkit import run_record  # as below

    living = run_record.living(_record(paths, bot), paths.botfile(bot))
    if living:
        return UnitStatus(bot, Phase.RUNNING, pid=living)
    return UnitStatus(bot, Phase.STOPPED if paths.unit(bot).exists() else Phase.ABSENT)


def _record(paths: FleetPaths, bot: str) -> "RunRecord":
    from toolkit import run_record  # costs 8 ms, and is needed for bots that do not answer alone

    return run_record.read(paths.run_record(bot))


def _last_words(stray_log: Path, record: "RunRecord") -> str:
    from toolkit import last_words  # as above

    return last_words.of(stray_log, seconds(record.started_at))
