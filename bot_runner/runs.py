"""The run record as the runner keeps it: what a start and an end make of it, and how starts are paced."""

from datetime import datetime
from pathlib import Path

import msgspec

from bot_runner.failure import BotFailedError
from bot_runner.pacing import growing, jittered
from toolkit.botfile import Restart
from toolkit.files import write_atomically
from toolkit.lifecycle import FailureClass
from toolkit.run_record import LastExit, RunRecord

UNRECORDED = "it ended without a word: killed by a signal, or the machine went down"


def _helps(last: LastExit) -> bool:
    failure = FailureClass.of(last.failure)
    return failure is None or failure.restart_helps


def ended(record: RunRecord, last: LastExit, healthy_s: float) -> RunRecord:
    """The record after the end of a run.

    Parameters:
        record: the record of that run.
        last: how it ended.
        healthy_s: seconds of run after which an end is the first failure again.

    An end that no supervisor follows by a start is forgotten as a failure: whoever starts the bot next has
    seen to its cause.
    """
    if last.kind == "stopped" or not _helps(last):
        failures = 0
    else:
        failures = (0 if last.uptime_s >= healthy_s else record.failures) + 1
    last = msgspec.structs.replace(last, pid=record.pid)
    return msgspec.structs.replace(record, pid=None, failures=failures, last_exit=last)


def _seconds_between(earlier: str, later: str) -> float:
    try:
        return max(0.0, (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds())
    except (ValueError, TypeError):  # TypeError: one of them says no time zone
        return 0.0


def begun(record: RunRecord, *, pid: int, now: str, healthy_s: float, deaf: str = "") -> RunRecord:
    """The record at the beginning of a run; it finds out whether the last one died unrecorded.

    Parameters:
        record: what the last run left.
        pid: the runner's process id.
        now: RFC 3339 in UTC.
        healthy_s: seconds of run after which an end is the first failure again.
        deaf: the reason where the last run, if it died unrecorded, was ended because it was deaf.
    """
    if record.pid is not None:
        uptime = _seconds_between(record.started_at, now)
        died = LastExit(at=now, kind="died", reason=UNRECORDED, uptime_s=uptime)
        if deaf:
            died = LastExit(
                at=now, kind="failed", failure=FailureClass.DEAF.name, reason=deaf, uptime_s=uptime
            )
        record = ended(record, died, healthy_s)
    last = record.last_exit
    first = last is None or last.kind == "stopped" or not _helps(last)
    return msgspec.structs.replace(
        record,
        starts=1 if first else record.starts + 1,
        total_starts=record.total_starts + 1,
        started_at=now,
        pid=pid,
        paused=record.paused and not first,
    )


def pause_s(failures: int, restart: Restart, fraction: float) -> float:
    """Seconds to wait before a start.

    Parameters:
        failures: unhealthy runs in a row; after the first the bot comes back at once.
        restart: the bot's restart policy.
        fraction: a random number of [0, 1).
    """
    pause = growing(failures - 1, restart.pause_s, 2.0, restart.pause_max_s)
    return min(jittered(pause, fraction), restart.pause_max_s)


def in_crash_loop(record: RunRecord, restart: Restart) -> bool:
    """Whether so many runs in a row failed that the bot is to be left down.

    What lies outside the machine, such as a network that went away during the start, is never the last straw.
    """
    if not restart.limit or record.failures < restart.limit or record.last_exit is None:
        return False
    return record.last_exit.failure not in (FailureClass.TEMPORARY.name, FailureClass.BAD_UPSTREAM.name)


def crash_loop(record: RunRecord) -> BotFailedError:
    """What a bot ends with after too many failed runs in a row."""
    last = record.last_exit
    words = "unknown" if last is None else last.reason or last.failure or last.kind
    return BotFailedError(
        FailureClass.CRASH_LOOP, f"{record.failures} runs in a row failed; the last one: {words}"
    )


def save(path: Path, record: RunRecord) -> None:
    """Put the record on disk: after this returns it survives a power cut.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    write_atomically(path, msgspec.json.encode(record))
