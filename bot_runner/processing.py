"""Has updates handled: concurrently, but in order for each chat, and with a count of what is under way."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Hashable
from enum import Enum
from typing import Any, Protocol

from telegram import Update
from telegram.ext import Application, BaseUpdateProcessor, ConversationHandler, SimpleUpdateProcessor

from bot_runner.turns import Turns
from bot_runner.vitals import Vitals

AnyApplication = Application[Any, Any, Any, Any, Any, Any]
# As many as there are connections for calls: one more would wait for one.
CONCURRENCY = 16
# python-telegram-bot's own bound on updates under way; the intake's room and the turns are narrower.
_UNBOUNDED = 1_000_000
_ENDS_PROCESS = (SystemExit, KeyboardInterrupt)
_log = logging.getLogger(__name__)


class End(Enum):
    """How an update's handlers ended; the worst of them counts."""

    DONE = 0  # also where one raised, which the app's error handlers have heard of
    CUT = 1  # cancelled
    DIED = 2  # it ends the process


class Desk(Protocol):
    """Where the processor tells of the updates that it handles."""

    async def begin(self, update: object) -> None:
        """An update's handlers are about to begin; they wait for this."""

    def ended(self, update: object, end: End) -> None:
        """An update's handlers have ended, those with ``block=False`` among them."""


def order_key(update: object) -> Hashable:
    """Updates of one key are handled one after another.

    The chat's id; without a chat, as for an inline query, the user's, which is that of the private chat with
    the bot; then a poll's. What has none of them, such as objects that the app itself queues, has one key.
    """
    if isinstance(update, Update):
        if chat := update.effective_chat:
            return chat.id
        if user := update.effective_user:
            return user.id
        if update.poll:
            return update.poll.id
    return None


def _id(update: object) -> int:
    return update.update_id if isinstance(update, Update) else id(update)


class Processor(BaseUpdateProcessor):
    """Stands in for the app's own processor.

    Parameters:
        inner: the app's own processor, which is told of the start and the end.
        vitals: takes the figures.
        desk: hears of each update's beginning and end.
        wanted: how many updates the fleet file wants handled at once; None leaves it to the app.

    Attributes:
        turns: None where the app's own processor does the work, with the concurrency that the app asked for.
    """

    def __init__(
        self,
        inner: BaseUpdateProcessor,
        vitals: Vitals,
        desk: Desk,
        wanted: int | None = None,
    ) -> None:
        self.turns: Turns | None = None
        self._inner, self._vitals, self._desk, self._wanted = inner, vitals, desk, wanted
        self._left_to_app = wanted is None and _is_apps_own(inner)
        self._under_way: dict[int, int] = {}
        self._taken = 0
        self._worst: dict[int, End] = {}
        self._apps_limit = inner.max_concurrent_updates
        super().__init__(self._apps_limit if self._left_to_app else _UNBOUNDED)
        # At 1 python-telegram-bot awaits handlers in the task that fetches updates, and one that ends by
        # GeneratorExit or a cancellation ends that task for good (Application.__update_fetcher).
        self._max_concurrent_updates = _UNBOUNDED

    @property
    def at_once(self) -> int:
        """How many updates are handled at once."""
        return self.turns.limit if self.turns else self._apps_limit

    @property
    def current_concurrent_updates(self) -> int:
        """How many updates are being handled now."""
        return len(self._under_way)

    def decide(self, application: AnyApplication) -> None:
        """Say how many updates are handled at once, now that the application has these handlers.

        What the fleet file wants; else what the app asked for itself; else 1 where it has conversations,
        which may span chats, or 16.
        """
        if self._left_to_app:
            return
        limit = self._wanted or (1 if _has_conversation(application) else CONCURRENCY)
        if self.turns:
            self.turns.limit = limit
        else:
            self.turns = Turns(limit)

    async def do_process_update(self, update: object, coroutine: Awaitable[Any]) -> None:
        """Have the update handled when it is its turn, and count."""
        turns = self.turns
        if turns is None:
            work = self._inner.do_process_update(update, self._begun(update, coroutine))
            await self._in_turn(update, work)
            return
        # One at a time means in the order of arrival, whatever the chat.
        key = order_key(update) if turns.limit > 1 else None
        try:
            await turns.take(key)
        except BaseException:
            coroutine.close()  # type: ignore[attr-defined]  # Application.process_update is a coroutine
            raise
        try:
            await self._in_turn(update, self._begun(update, coroutine))
        finally:
            turns.give(key)

    async def _in_turn(self, update: object, work: Awaitable[Any]) -> None:
        self._moved(1)
        try:
            await self._handle(update, work)
        finally:
            self._moved(-1)

    def _moved(self, change: int) -> None:
        self._taken += change
        self._vitals.moved(self._taken, self.at_once)

    async def _begun(self, update: object, coroutine: Awaitable[Any]) -> None:
        """The work on an update, from the moment it really begins: an app's own processor may wait before."""
        try:
            await self._desk.begin(update)
            await coroutine
        finally:
            coroutine.close()  # type: ignore[attr-defined]  # as above; it may not have begun

    async def _handle(self, update: object, work: Awaitable[Any]) -> None:
        number = _id(update)
        self._vitals.in_flight[number] = time.monotonic()
        self._under_way[number] = self._under_way.get(number, 0) + 1
        task = asyncio.current_task()
        try:
            await work
        except BaseException as error:
            self._ended(update, number, error, task)
            raise
        self._ended(update, number, None, task)

    def goes_on(self, update: object, task: "asyncio.Task[Any]") -> None:
        """The update is handled further in a task, for a handler with ``block=False``."""
        number = _id(update)
        if number in self._under_way:
            self._under_way[number] += 1
            task.add_done_callback(lambda task: self._ended(update, number, _error_of(task), task))

    def _ended(
        self, update: object, number: int, error: BaseException | None, task: "asyncio.Task[Any] | None"
    ) -> None:
        """A handler has ended in this task, or all of them that block have."""
        if error and _is_unheard(error, task):
            self._vitals.errors += 1
            _log.error("a handler ended by %s", type(error).__name__, exc_info=error)
        end = _end(error)
        if end is not End.DONE and end.value > self._worst.get(number, End.DONE).value:
            self._worst[number] = end
        left = self._under_way[number] = self._under_way[number] - 1
        if left:
            return
        del self._under_way[number]
        self._moved(0)  # first, for those who look from another thread
        self._vitals.in_flight.pop(number, None)
        self._desk.ended(update, self._worst.pop(number, End.DONE))
        self._vitals.updates_handled += 1

    async def initialize(self) -> None:
        """Prepare the app's own processor."""
        await self._inner.initialize()

    async def shutdown(self) -> None:
        """End the app's own processor."""
        await self._inner.shutdown()


def _end(error: BaseException | None) -> End:
    """How a handler ended that raised this."""
    if isinstance(error, asyncio.CancelledError):
        return End.CUT
    return End.DIED if isinstance(error, _ENDS_PROCESS) else End.DONE


def _is_unheard(error: BaseException, task: "asyncio.Task[Any] | None") -> bool:
    """Whether it passes error handlers by and ends no process: GeneratorExit, the app's own cancellation."""
    if isinstance(error, asyncio.CancelledError):
        return task is not None and not task.cancelling()
    return not isinstance(error, (Exception, *_ENDS_PROCESS))


def _error_of(task: "asyncio.Task[Any]") -> BaseException | None:
    try:
        return task.exception()
    except asyncio.CancelledError as error:
        return error


def _is_apps_own(processor: BaseUpdateProcessor) -> bool:
    """Whether the app asked for it: python-telegram-bot's default takes one update at a time."""
    return type(processor) is not SimpleUpdateProcessor or processor.max_concurrent_updates > 1


def _has_conversation(application: AnyApplication) -> bool:
    groups = application.handlers.values()
    return any(isinstance(handler, ConversationHandler) for group in groups for handler in group)
