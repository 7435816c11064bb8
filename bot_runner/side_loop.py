"""A second event loop in a thread of its own: it answers and watches while the bot's is busy or hangs."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class SideLoop:
    """Runs from its construction to the end of the process."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        threading.Thread(target=self._run, name="side", daemon=True).start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def call(self, work: Coroutine[Any, Any, T], timeout: float) -> T:
        """Do the work there and wait for it, from another thread.

        Raises:
            TimeoutError: it was not done within so many seconds.
            Exception: whatever the work raised.
        """
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout)

    def soon(self, callback: Callable[..., object], *arguments: object) -> None:
        """Call this there; safe in a signal handler."""
        self.loop.call_soon_threadsafe(callback, *arguments)

    def keep(self, work: Coroutine[Any, Any, None], failed: Callable[[BaseException], object]) -> None:
        """Have the work done there, for as long as it takes.

        Parameters:
            work: runs to its end, or to that of the process.
            failed: is called there with what the work raised, if it did.
        """
        self.soon(self._start, work, failed)

    def _start(self, work: Coroutine[Any, Any, None], failed: Callable[[BaseException], object]) -> None:
        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and (error := task.exception()):
                failed(error)

        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(ended)
