"""Counts what the application does with its updates."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from telegram import Update
from telegram.ext import Application, BaseUpdateProcessor

from bot_runner.vitals import Vitals

AnyApplication = Application[Any, Any, Any, Any, Any, Any]


class CountingProcessor(BaseUpdateProcessor):
    """Does what the app's own processor does, and tells how long each update takes.

    Parameters:
        inner: the app's own processor.
        vitals: takes the figures.
        done: called with each update when its handlers are done.
    """

    __slots__ = ("_done", "_inner", "_vitals")

    def __init__(self, inner: BaseUpdateProcessor, vitals: Vitals, done: Callable[[object], None]) -> None:
        super().__init__(inner.max_concurrent_updates)
        self._inner, self._vitals, self._done = inner, vitals, done

    async def do_process_update(self, update: object, coroutine: Awaitable[Any]) -> None:
        """Have the update handled, and count."""
        key = update.update_id if isinstance(update, Update) else id(update)
        self._vitals.in_flight[key] = time.monotonic()
        try:
            await self._inner.do_process_update(update, coroutine)
        finally:
            self._vitals.in_flight.pop(key, None)
            self._vitals.updates_handled += 1
            self._done(update)

    async def initialize(self) -> None:
        """Prepare the app's own processor."""
        await self._inner.initialize()

    async def shutdown(self) -> None:
        """End the app's own processor."""
        await self._inner.shutdown()


def watch(
    application: AnyApplication,
    vitals: Vitals,
    done: Callable[[object], None],
    stop_running: Callable[[], None],
) -> None:
    """Count an application's updates and errors, and hear of its wish to stop.

    An application's class is exchanged for a subclass of it, as python-telegram-bot offers no hook for an
    error that is not also taken for its handling, and its attributes cannot be set from Python 3.13 on.
    """
    own: Any = type(application)

    class Watched(own):  # type: ignore[misc]  # the app may bring a class of its own
        __slots__ = ()

        async def process_error(self, *args: Any, **kwargs: Any) -> Any:
            vitals.errors += 1
            return await super().process_error(*args, **kwargs)

        def stop_running(self) -> None:
            stop_running()

    Watched.__name__ = Watched.__qualname__ = own.__name__
    application.__class__ = Watched
    application._update_processor = CountingProcessor(  # noqa: SLF001  a built application offers no other way
        application.update_processor, vitals, done
    )
