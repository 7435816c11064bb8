"""An application whose handling of updates, errors and own end the runner hears of."""

import asyncio
from collections.abc import Callable
from typing import Any

from bot_runner.processing import AnyApplication, Desk, Processor
from bot_runner.vitals import Vitals
from toolkit.lifecycle import State

_NON_BLOCKING = ":process_update_non_blocking:"


def watch(
    application: AnyApplication,
    vitals: Vitals,
    desk: Desk,
    ends_itself: Callable[[str], None],
    wanted: int | None = None,
) -> Processor:
    """Take over how an application handles its updates, count its errors, hear of its wish to stop.

    An application's class is exchanged for a subclass of it, as python-telegram-bot offers no hook for an
    error that is not also taken for its handling, and its attributes cannot be set from Python 3.13 on.

    Parameters:
        application: not started yet.
        vitals: takes the figures.
        desk: hears of each update's beginning and end.
        ends_itself: called with the name of the method instead of it, where the app calls ``stop_running`` or
            ``stop``.
        wanted: how many updates are handled at once; None leaves it to the app.
    """
    processor = Processor(application.update_processor, vitals, desk, wanted)
    application.__class__ = _watched(type(application), processor, vitals, ends_itself)
    processor.decide(application)
    application._update_processor = processor  # noqa: SLF001  a built application offers no other way
    return processor


def _watched(own: Any, processor: Processor, vitals: Vitals, ends_itself: Callable[[str], None]) -> Any:
    """A subclass of the application's own class, of the same name."""

    class Watched(own):  # type: ignore[misc]  # the app may bring a class of its own
        __slots__ = ()

        @property
        def concurrent_updates(self) -> int:
            return processor.at_once

        async def _update_fetcher(self) -> None:
            vitals.fetcher = asyncio.current_task()
            await super()._update_fetcher()

        async def process_error(self, *args: Any, **kwargs: Any) -> Any:
            vitals.errors += 1
            return await super().process_error(*args, **kwargs)

        def add_handler(self, *args: Any, **kwargs: Any) -> None:
            super().add_handler(*args, **kwargs)
            processor.decide(self)

        def create_task(self, coroutine: Any, update: Any = None, *, name: str | None = None) -> Any:
            task = super().create_task(coroutine, update, name=name)
            if name and _NON_BLOCKING in name:
                processor.goes_on(update, task)
            return task

        def stop_running(self) -> None:
            ends_itself("stop_running()")

        async def stop(self) -> None:
            if vitals.state is State.STOPPING:  # the runner's own call
                await super().stop()
            else:
                ends_itself("stop()")

    Watched.__name__ = Watched.__qualname__ = own.__name__
    return Watched
