"""Keeps the run record of the present run: in memory for who asks, and on disk before it is acted on."""

import logging
import os
import threading
import time
from pathlib import Path

import msgspec

from bot_runner import runs
from bot_runner.failure import BotFailedError
from toolkit import run_record
from toolkit.botfile import Restart
from toolkit.clock import now
from toolkit.run_record import LastExit, RunRecord

_log = logging.getLogger("bot_runner")


class Keeper:
    """The run record of one run.

    Parameters:
        path: the record's file.
        restart: the bot's restart policy.
        born: when the process began, on the monotonic clock.
    """

    def __init__(self, path: Path, restart: Restart, born: float) -> None:
        self._path, self._restart, self._began = path, restart, born
        self._ended = False
        self._failure: BotFailedError | None = None
        self._lock = threading.Lock()
        # Given back at the end, when an app that leaks descriptors has left none for the record.
        self._spare = os.open(os.devnull, os.O_RDONLY)
        self.record: RunRecord = run_record.read(path)

    def begin(self, deaf: str = "") -> None:
        """A run begins.

        Parameters:
            deaf: why the last one was ended as deaf, where nothing else was recorded of its end.
        """
        healthy_s = self._restart.healthy_s
        self._save(runs.begun(self.record, pid=os.getpid(), now=now(), healthy_s=healthy_s, deaf=deaf))

    def pause(self, paused: bool) -> bool:
        """An operator wants the bot to take no updates, or to go on; whether it still may: not where it ends.

        Raises:
            OSError: that cannot be written, and a crash would forget it: it is not so.
        """
        with self._lock:
            if self._ended:
                return False
            record = msgspec.structs.replace(self.record, paused=paused)
            runs.save(self._path, record)
            self.record = record
        return True

    def begin_anew(self) -> None:
        """The run proper begins now: a pause before it would make a short run look healthy."""
        self._began = time.monotonic()
        with self._lock:
            self._save(msgspec.structs.replace(self.record, started_at=now()))

    def end(self, failure: BotFailedError | None) -> BotFailedError | None:
        """The run ends, asked to or with a failure; one failure too many becomes a crash loop.

        Returns:
            The failure that it ends with. Only the first end counts.
        """
        with self._lock:
            if self._ended:
                return self._failure
            record = self._after(_exit_of(failure))
            if failure and runs.in_crash_loop(record, self._restart):
                failure = runs.crash_loop(record)
                record = self._after(_exit_of(failure))
            self._ended, self._failure = True, failure
        self._keep_last(record)
        return failure

    def dies(self, code: int) -> None:
        """The app ends the process by ``os._exit`` with this code."""
        reason = f"the app ended its process by os._exit({code})"
        with self._lock:
            if self._ended:
                return
            record = self._after(LastExit(at=now(), kind="died", code=code, reason=reason))
            self._ended = True
        self._keep_last(record)

    def _after(self, last: LastExit) -> RunRecord:
        uptime_s = round(time.monotonic() - self._began, 3)
        timed = msgspec.structs.replace(last, uptime_s=uptime_s)
        return runs.ended(self.record, timed, self._restart.healthy_s)

    def _keep_last(self, record: RunRecord) -> None:
        os.close(self._spare)
        self._save(record)

    def _save(self, record: RunRecord) -> None:
        """Put it on disk; a bot whose disk is full runs all the same."""
        self.record = record
        try:
            runs.save(self._path, record)
        except OSError as error:
            _log.error("the run record cannot be written: %s", error.strerror)


def _exit_of(failure: BotFailedError | None) -> LastExit:
    if failure is None:
        return LastExit(at=now(), kind="stopped", code=0)
    kind = failure.failure
    return LastExit(at=now(), kind="failed", failure=kind.name, code=kind.code, reason=failure.reason)
