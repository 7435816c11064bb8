"""How a run ends: recorded, held until the supervisor heeds its code, and never later than its deadline."""

import asyncio
import logging
import os
import threading
import time
from contextlib import suppress

from bot_runner.descendants import end_descendants
from bot_runner.failure import BotFailedError
from bot_runner.keeper import Keeper
from bot_runner.logs import LogWriter
from bot_runner.redaction import Redactor
from bot_runner.stop import Stop
from bot_runner.vitals import Vitals
from toolkit.botfile import BotFile
from toolkit.lifecycle import FailureClass, State

# Seconds after the bot's time to stop. The supervisor kills at 3 s: whatever hangs, the end comes before.
FORCE_S = 1.2
LAST_S = 2.4
# A deaf bot whose loop has not taken notice of its end after this long will not drain either.
NOTICE_S = 2.0
TASKS_S = 0.5
CHILDREN_S = 0.4
FLUSH_S = 0.5
EXIT_S = 1.0
# The runner's own end, which waits for nothing, whatever comes before the app's: see `own_exit`.
_end_process = os._exit
_log = logging.getLogger("bot_runner")


class Ending:
    """The end of one run.

    Parameters:
        bot: the bot file.
        born: when the process began, on the monotonic clock.
        stop: knows whether and why the end was asked for.
        vitals: are told of the hold.
        keeper: records the end.
        writer: is flushed last.
    """

    def __init__(
        self, bot: BotFile, born: float, stop: Stop, vitals: Vitals, keeper: Keeper, writer: LogWriter
    ) -> None:
        self._bot, self._born, self._stop, self._vitals = bot, born, stop, vitals
        self._keeper, self._writer = keeper, writer
        self._last = threading.Lock()
        self._failure: BotFailedError | None = None

    def arm(self, loop: asyncio.AbstractEventLoop) -> None:
        """The end was asked for: see to it, in the side loop, that it comes."""
        loop.call_later(self._bot.stop_s + FORCE_S, self._force)
        last = threading.Timer(self._bot.stop_s + LAST_S, self._exit)
        last.daemon = True
        with suppress(RuntimeError):  # no thread may be left: the first end does without
            last.start()
        failure = self._stop.failure
        if failure and failure.failure is FailureClass.DEAF:
            loop.call_later(NOTICE_S, self._force_unless_noticed)

    async def hold(self, failure: BotFailedError | None) -> None:
        """Stay until the supervisor heeds exit codes, or until it asks for the end.

        supervisord starts anew whatever ends before ``startsecs``, without a look at its code.
        """
        self._failure = failure
        if failure is None:
            return
        _log.error("ends: %s: %s", failure.failure.words, failure.reason)
        _log.info("hint: %s", failure.failure.hint(self._bot.name))
        state = State.BACKOFF if failure.failure.restart_helps else State.QUARANTINED
        self._vitals.is_down(state, f"{failure.failure.words}: {failure.reason}")
        seconds = self._bot.hold_s - (time.monotonic() - self._born)
        if seconds > 0:
            await self._stop.outside_asks(seconds)

    def settle(self, loop: asyncio.AbstractEventLoop) -> None:
        """End what the bot left: tasks, then processes. From here on nothing else may end the process."""
        if not self._last.acquire(blocking=False):
            threading.Event().wait()  # it is being ended by force
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            ended = loop.create_task(asyncio.wait(tasks, timeout=TASKS_S))
            while not ended.done():
                # Nor may what a task makes of that: sys.exit, a stop of the loop, its own cancellation.
                with suppress(SystemExit, KeyboardInterrupt, RuntimeError, asyncio.CancelledError):
                    loop.run_until_complete(ended)
        self._end_children()

    def breaks(self, error: Exception, redact: Redactor) -> BotFailedError:
        """The runner's own code failed, or the app took from under it what it stands on: keep why."""
        _log.critical("bot-runner itself failed", exc_info=error)
        reason = redact.line(f"bot-runner itself failed: {type(error).__name__}: {error}")
        failure = BotFailedError(FailureClass.TEMPORARY, reason)
        with suppress(Exception):  # whatever failed may be needed here too
            failure = self._keeper.end(failure) or failure
        self._writer.flush(FLUSH_S)
        # It is held as any failure is.
        self._bound_exit(max(0.0, self._bot.hold_s - (time.monotonic() - self._born)), failure.failure.code)
        return failure

    def flush(self, code: int) -> None:
        """Write the last log lines, and bound what Python does at its exit."""
        self._writer.flush(FLUSH_S)
        self._bound_exit(0.0, code)

    def _bound_exit(self, hold_s: float, code: int) -> None:
        """Have the process end soon after so many seconds: Python waits for threads, which may never end."""
        with suppress(RuntimeError):  # as above
            threading.Thread(target=_exit_after, args=(hold_s + EXIT_S, code), daemon=True).start()

    def _end_children(self) -> None:
        count = end_descendants(CHILDREN_S, 2 * CHILDREN_S)
        if count:
            _log.info("ended %d processes that the bot had started", count)

    def _force_unless_noticed(self) -> None:
        if self._vitals.phase in {State.INITIALIZING, State.RUNNING, State.PAUSED}:
            self._force()

    def _force(self) -> None:
        """End the process though the bot's loop does not react."""
        if not self._last.acquire(blocking=False):
            return
        seconds = time.monotonic() - (self._stop.asked_at or 0.0)
        _log.error("the bot did not end within %.1f s: its event loop hangs; it is ended", seconds)
        self._failure = self._keeper.end(self._stop.failure)
        self._end_children()
        self._writer.flush(FLUSH_S)
        self._exit()

    def _exit(self) -> None:
        """End the process here and now, without a wait for anything."""
        failure = self._failure or self._stop.failure
        _end_process(failure.failure.code if failure else 0)


def _exit_after(seconds: float, code: int) -> None:
    time.sleep(seconds)
    _end_process(code)
