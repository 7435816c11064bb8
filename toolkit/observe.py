"""Look at bots: ask their supervisor, read their run records and ask themselves; one view of each."""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.backends import NOT_RUNNING_WORDS, Backend, NotRunningError, Phase, SocketGoneError, UnitStatus
from toolkit.derive import seconds, unasked, understood, view_of_answer, view_of_silence
from toolkit.errors import BackendError
from toolkit.ipc.client import Asked, Failure
from toolkit.paths import FleetPaths
from toolkit.view import BotView, is_untold, with_words

if TYPE_CHECKING:
    from toolkit.run_record import RunRecord

ANSWER_S = 2.0


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
    units: dict[str, UnitStatus] | None = None
    silence: BackendError | None = None
    try:
        units = backend.units()
    except (NotRunningError, SocketGoneError) as error:
        silence = error
    finally:
        answers = {bot: understood(answer) for bot, answer in asked.answers().items()}
    known = {bot: _unit_of(paths, bot, units, silence) for bot in bots}
    silent = [unit for bot, unit in known.items() if isinstance(answers[bot], Failure)]
    if silent and units is not None:
        known |= backend.closer(silent)
    return [_view(paths, kind, backend.name, known[bot], answers[bot], silence) for bot, kind in bots.items()]


def _view(
    paths: FleetPaths,
    kind: str,
    backend: str,
    unit: UnitStatus,
    answer: dict[str, Any] | Failure,
    silence: BackendError | None,
) -> BotView:
    """One bot's view; what its supervisor would tell of a process is found out where that is silent."""
    if not isinstance(answer, Failure):
        if not silence:
            return view_of_answer(kind, backend, unit, answer)
        return unasked(view_of_answer(kind, backend, replace(unit, phase=Phase.RUNNING), answer), silence)
    record, living = _record(paths, unit.bot)
    if silence and living:
        unit = replace(unit, phase=Phase.RUNNING, pid=living)
    view = view_of_silence(kind, backend, unit, record, answer, now=time.time())
    if is_untold(view):
        view = with_words(view, _last_words(paths.stray_log(unit.bot), record))
    return unasked(view, silence) if silence and living else view


def _record(paths: FleetPaths, bot: str) -> "tuple[RunRecord, int | None]":
    """A bot's run record, and the process that it names if that lives."""
    from toolkit import run_record  # costs 8 ms, and is needed for bots that do not answer alone

    record = run_record.read(paths.run_record(bot))
    return record, run_record.living(record, paths.botfile(bot))


def _last_words(stray_log: Path, record: "RunRecord") -> str:
    from toolkit import last_words  # as above

    return last_words.of(stray_log, seconds(record.started_at))


def _unit_of(
    paths: FleetPaths, bot: str, units: Mapping[str, UnitStatus] | None, silence: BackendError | None
) -> UnitStatus:
    """A unit as its supervisor tells it, or where that is silent, by its file."""
    if units is not None:
        return units.get(bot) or UnitStatus(bot, Phase.ABSENT)
    if not paths.unit(bot).exists():
        return UnitStatus(bot, Phase.ABSENT)
    lost = silence.message if isinstance(silence, SocketGoneError) else ""
    return UnitStatus(bot, Phase.STOPPED, detail=lost or NOT_RUNNING_WORDS)
