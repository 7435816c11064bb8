"""Hands updates to the application, and knows those that it is not done with."""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from typing import Any

from telegram import Update
from telegram.ext import ExtBot

from bot_runner.delivery import Delivery
from bot_runner.processing import End
from bot_runner.raw_updates import Received, read
from bot_runner.vitals import Vitals
from toolkit.spool import Entry

ROOM = 100
# So long a suspect has the application for itself: if it ends the process, no other shares its fate.
ALONE_S = 10.0
_log = logging.getLogger(__name__)


class Handover:
    """The updates that were taken in and are not handled yet.

    Parameters:
        bot: whose updates they are.
        queue: where the application takes them from.
        delivery: has their spool.
        vitals: hears how many there are.

    Attributes:
        cut_is: what it means that a handler is cancelled: its own doing, until the end cancels them.
    """

    def __init__(
        self, bot: ExtBot[Any], queue: "asyncio.Queue[object]", delivery: Delivery, vitals: Vitals
    ) -> None:
        self._bot, self._queue, self._delivery, self._vitals = bot, queue, delivery, vitals
        self._unfinished: dict[int, None] = {}
        self._suspects: deque[Received] = deque()
        self._waiting: deque[Received] = deque()
        self._alone: tuple[int, asyncio.Event] | None = None
        self._room, self._come, self._idle = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.cut_is = End.DONE

    @property
    def unfinished(self) -> int:
        """How many there are."""
        return len(self._unfinished)

    @property
    def room(self) -> int:
        """How many more may be taken in."""
        return ROOM - len(self._unfinished)

    @property
    def is_full(self) -> bool:
        """Whether to wait for room: asked for each place, the API would be polled once per update."""
        return len(self._unfinished) > ROOM // 2

    async def wait_for_room(self) -> None:
        """Wait until it is not full any more."""
        self._room.clear()
        await self._room.wait()

    async def finished(self) -> None:
        """Wait until all that was taken in is handled."""
        while self._unfinished:
            self._idle.clear()
            await self._idle.wait()

    def take_left(self) -> None:
        """Take in what an earlier run left, which comes before all that is new."""
        suspects, rest = self._delivery.left()
        self._suspects.extend(self._readable(self._read(suspects)))
        self._waiting.extend(self._readable(self._read(rest)))
        if suspects or rest:
            _log.info(
                "%d updates are left from before; the bot died while it handled %d of them: these come"
                " first, one by one",
                len(suspects) + len(rest),
                len(suspects),
            )

    def take(self, received: Sequence[Received]) -> None:
        """Take in updates that are in the spool."""
        self._waiting.extend(self._readable(received))
        self._come.set()

    def take_back(self, number: int, raw: bytes) -> None:
        """Take in an update that was set aside and is in the spool again."""
        self.take([read(self._bot, number, raw)])

    async def run(self) -> None:
        """Hand over the suspects one by one, then all else as it comes, until cancelled."""
        while self._suspects:
            await self._alone_with(self._suspects.popleft())
        while True:
            self._come.clear()
            while self._waiting:
                # An app may bring a queue that takes so many and no more.
                await self._queue.put(self._waiting[0].update)
                self._waiting.popleft()
            await self._come.wait()

    async def _alone_with(self, suspect: Received) -> None:
        self._alone = suspect.update_id, asyncio.Event()
        await self._queue.put(suspect.update)
        try:
            async with asyncio.timeout(ALONE_S):
                await self._alone[1].wait()
        except TimeoutError:
            _log.warning("update %d takes its time; the others go on beside it", suspect.update_id)
        self._alone = None

    async def begin(self, update: object) -> None:
        """An update's handler is about to begin."""
        if isinstance(update, Update):
            await self._delivery.begin(update.update_id)

    def ended(self, update: object, end: End) -> None:
        """An update's handlers have ended."""
        if not isinstance(update, Update):
            return
        number = update.update_id
        meaning = self.cut_is if end is End.CUT else end
        if meaning is End.DONE:
            self._delivery.spool.done(number)
        elif meaning is End.CUT:
            self._delivery.spool.let_go(number)
        self._unfinished.pop(number, None)
        self._vitals.holds(len(self._unfinished))
        if not self.is_full:
            self._room.set()
        if not self._unfinished:
            self._idle.set()
        if self._alone and self._alone[0] == number:
            self._alone[1].set()

    def _read(self, entries: Sequence[Entry]) -> list[Received]:
        return [read(self._bot, entry.update_id, entry.raw) for entry in entries]

    def _readable(self, received: Sequence[Received]) -> list[Received]:
        """Those that can be handled and are not on their way yet; what cannot be read is set aside."""
        good = []
        for each in received:
            if each.update_id in self._unfinished:
                continue
            if each.update is None:
                self._delivery.set_aside(Entry(each.update_id, each.raw), each.fault)
            else:
                self._unfinished[each.update_id] = None
                good.append(each)
        self._vitals.holds(len(self._unfinished))
        return good
