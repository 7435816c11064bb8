"""The run record: a runner's own memory of its starts, read by everything that shows a bot."""

import os
from pathlib import Path
from typing import Literal

import msgspec

from toolkit.errors import OddFileError
from toolkit.processes import arguments
from toolkit.regular_files import read_regular

VERSION = 1
# Bytes; a record has some hundred.
_LONGEST = 1 << 16


class LastExit(msgspec.Struct, frozen=True, kw_only=True):
    """How the last run ended.

    Parameters:
        at: when, RFC 3339 in UTC; of an end that nobody saw, when the next start found it.
        kind: ``stopped`` (asked to), ``failed`` (ended by itself, with a class), or ``died`` (the app called
            ``os._exit``; or nothing was recorded: a signal, the kernel or a power cut ended it).
        failure: the name of the FailureClass, or "" where there is none.
        code: the exit code, where the runner or the app chose it.
        reason: one line for people, without secrets.
        uptime_s: how long that run lasted, in seconds.
        pid: the process that it was.
    """

    at: str
    kind: Literal["stopped", "failed", "died"]
    failure: str = ""
    code: int | None = None
    reason: str = ""
    uptime_s: float = 0.0
    pid: int | None = None


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What one bot's starts were.

    Parameters:
        starts: starts since the last orderly stop, this one included.
        total_starts: starts since the record began.
        failures: runs in a row that ended unasked before they counted as healthy.
        started_at: when the present or last run began, RFC 3339 in UTC.
        pid: the runner of the present run; None when it ended in a way that was recorded.
        paused: an operator wants it to take no updates; that outlives a crash, but no orderly end.
        last_exit: how the run before the present one ended, or the last one where none is present.
    """

    version: int = VERSION
    starts: int = 0
    total_starts: int = 0
    failures: int = 0
    started_at: str = ""
    pid: int | None = None
    paused: bool = False
    last_exit: LastExit | None = None

    @property
    def restarts(self) -> int:
        """Starts since the last orderly stop that nobody asked for: all but the first."""
        return max(0, self.starts - 1)


def living(record: RunRecord, bot_file: Path) -> int | None:
    """The process id of the present run, if that process lives and still is this bot's.

    Parameters:
        bot_file: the bot's, which its process was started with.
    """
    if record.pid is None:
        return None
    return record.pid if os.fsencode(bot_file) in arguments(record.pid) else None


def read(path: Path) -> RunRecord:
    """The record in a file; an empty one where there is none or it cannot be understood."""
    try:
        return msgspec.json.decode(read_regular(path, _LONGEST), type=RunRecord)
    except (OSError, OddFileError, msgspec.DecodeError):
        return RunRecord()
