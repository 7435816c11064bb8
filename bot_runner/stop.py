"""The wish to end: asked by a signal, an operator, or a failure; acted upon by the bot's loop."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from bot_runner.failure import BotFailedError

UNWILLING_S = 1.0


class Stop:
    """Asked once; what comes later changes nothing.

    Parameters:
        loop: the bot's event loop.

    Attributes:
        asked_at: when, on the monotonic clock; None as long as the bot is to run.
        why: who asked, or what failed.
        failure: what failed, where nobody asked.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._event = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []
        self.asked_at: float | None = None
        self.why = ""
        self.failure: BotFailedError | None = None
        self._outside = asyncio.Event()

    @property
    def asked(self) -> bool:
        """Whether the bot is to end."""
        return self.asked_at is not None

    def listen(self, listener: Callable[[], None]) -> None:
        """Call this when the end is asked for; it may run in a signal handler, so it may only enqueue."""
        self._listeners.append(listener)

    def ask(self, why: str) -> None:
        """Ask for the end from outside. Safe in a signal handler and from any thread: it only enqueues."""
        self._begin(why)
        self._loop.call_soon_threadsafe(self._outside.set)

    def fail(self, failure: BotFailedError) -> None:
        """Ask for the end because of a failure, unless it was asked for already."""
        if self.asked_at is None:
            self.failure = failure
            self._begin(failure.reason)

    def _begin(self, why: str) -> None:
        if self.asked_at is None:
            self.asked_at, self.why = time.monotonic(), why
            for listener in self._listeners:
                listener()
            self._loop.call_soon_threadsafe(self._event.set)

    def remaining(self, stop_s: float) -> float:
        """Seconds left of so many since the end was asked for, never below 0."""
        return max(0.0, stop_s - (time.monotonic() - (self.asked_at or time.monotonic())))

    async def wait(self, within_s: float | None = None) -> bool:
        """Wait until the end is asked for; whether it was, within so many seconds."""
        return await _within(within_s, self._event)

    async def outside_asks(self, within_s: float) -> bool:
        """Wait until somebody asks, also after a failure; whether that was within so many seconds."""
        return await _within(within_s, self._outside)

    async def race(self, work: Awaitable[object]) -> bool:
        """Do the work until it is done or the end is asked for; whether it was done.

        Raises:
            Exception: whatever the work raised.
        """
        task = asyncio.ensure_future(work)
        asked = asyncio.ensure_future(self._event.wait())
        try:
            await asyncio.wait({task, asked}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
                return True
        finally:
            asked.cancel()
            task.cancel()
        await asyncio.wait({task}, timeout=UNWILLING_S)
        return False


async def _within(seconds: float | None, event: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
