"""Takes updates in by a loop of the runner's own.

python-telegram-bot's Updater ends its polling for good at one 401 or 404, while everything looks well, and it
takes in without bound. This loop asks for no more than there is room for, and whatever goes wrong, it either
goes on or ends the process with its class.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from telegram import Update
from telegram.error import TelegramError
from telegram.ext import ExtBot

from bot_runner.failure import BotFailedError
from bot_runner.faults import Fault, Tries, classify
from bot_runner.redaction import Redactor
from bot_runner.vitals import Vitals
from toolkit.lifecycle import FailureClass

POLL_S = 10
# The longest a poll may take as a whole, also where the app brought its own HTTP layer.
POLL_DEADLINE_S = POLL_S + 15.0
CONFIRM_S = 2.0
ROOM = 100
_LARGEST_BATCH = 100  # https://core.telegram.org/bots/api#getupdates
_TROUBLE_AFTER = 2
_log = logging.getLogger(__name__)


class Intake:
    """The one poller of a bot.

    Parameters:
        bot: asks for the updates.
        queue: where the application takes them from.
        vitals: hears of each answered poll, and of trouble.
        redact: takes secrets out of reasons.
        allowed: the kinds of update to ask for.
    """

    def __init__(
        self,
        bot: ExtBot[Any],
        queue: "asyncio.Queue[object]",
        vitals: Vitals,
        redact: Redactor,
        allowed: Sequence[str] | None,
    ) -> None:
        self._bot, self._queue, self._vitals, self._redact = bot, queue, vitals, redact
        self._allowed = allowed
        self._offset: int | None = None
        self._unfinished: dict[int, None] = {}
        self._room = asyncio.Event()
        self._tries = Tries()

    @property
    def unfinished(self) -> int:
        """Updates that were taken in and are not handled yet."""
        return len(self._unfinished)

    def done(self, update: object) -> None:
        """An update was handled, well or not."""
        if isinstance(update, Update):
            self._unfinished.pop(update.update_id, None)
        if len(self._unfinished) <= ROOM // 2:
            self._room.set()

    async def probe(self) -> None:
        """Poll once without waiting and without an offset, which confirms nothing but shows a 401 or 409."""
        async with asyncio.timeout(POLL_DEADLINE_S):
            await self._bot.get_updates(limit=1, timeout=0, allowed_updates=self._allowed)
        self._vitals.polled()

    async def run(self) -> None:
        """Poll until cancelled.

        Raises:
            BotFailedError: TOKEN_REFUSED.
        """
        while True:
            await self._wait_for_room()
            try:
                updates = await self._poll()
            except Exception as error:  # noqa: BLE001  an answer that makes no sense may raise anything
                await self._pause(error)
                continue
            self._vitals.polled()
            self._tries.succeeded()
            self._vitals.well("poll")
            for update in updates:
                self._offset = update.update_id + 1
                self._unfinished[update.update_id] = None
                self._queue.put_nowait(update)

    async def confirm(self) -> None:
        """Tell the API which updates are done, so that the next run does not get them again.

        What has not been handled comes again.
        """
        if self._offset is None:
            return
        offset = min(self._unfinished, default=self._offset)
        try:
            async with asyncio.timeout(CONFIRM_S):
                await self._bot.get_updates(offset=offset, limit=1, timeout=0, allowed_updates=self._allowed)
        except (TelegramError, TimeoutError) as error:
            _log.warning("the last updates could not be confirmed and may come again: %s", error)

    async def _poll(self) -> tuple[Update, ...]:
        limit = min(ROOM - len(self._unfinished), _LARGEST_BATCH)
        self._vitals.polls_for(POLL_DEADLINE_S)
        async with asyncio.timeout(POLL_DEADLINE_S):
            return await self._bot.get_updates(
                offset=self._offset, limit=limit, timeout=POLL_S, allowed_updates=self._allowed
            )

    async def _wait_for_room(self) -> None:
        # Asked again for each place that gets free, the API would be polled once per update.
        if len(self._unfinished) > ROOM // 2:
            self._room.clear()
            self._vitals.polls_for(None)
            self._vitals.full = True
            try:
                await self._room.wait()
            finally:
                self._vitals.full = False

    async def _pause(self, error: Exception) -> None:
        fault = classify(error)
        reason = self._redact.line(f"getUpdates: {fault.value.words} ({error})")
        if fault is Fault.REFUSED:
            raise BotFailedError(FailureClass.TOKEN_REFUSED, "getUpdates: token refused, 401") from None
        if fault is Fault.GARBAGE and not isinstance(error, TelegramError):
            _log.debug("a poll's answer was not understood", exc_info=error)
        pause = self._tries.pause_s(error, fault)
        # One dropped connection is no trouble yet.
        if self._tries.failed >= _TROUBLE_AFTER or fault in {Fault.CONFLICT, Fault.MISROUTED, Fault.FLOOD}:
            self._vitals.trouble("poll", reason)
        self._vitals.polls_for(pause)
        await asyncio.sleep(pause)
