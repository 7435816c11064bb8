"""Takes updates in by a loop of the runner's own.

python-telegram-bot's Updater ends its polling for good at one 401 or 404, while everything looks well, and it
takes in without bound. This loop asks for no more than there is room for, tells the Bot API of no update that
is not on disk, and whatever goes wrong, it either goes on or ends the process with its class.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any

from telegram.error import Conflict, TelegramError
from telegram.ext import ExtBot

from bot_runner.conflicts import Conflicts
from bot_runner.delivery import Delivery
from bot_runner.failure import BotFailedError
from bot_runner.faults import SHUT_DOWN, Fault, Tries, Words, classify, is_shut_down
from bot_runner.handover import Handover
from bot_runner.raw_updates import Overheard, Received
from bot_runner.vitals import Vitals
from toolkit.lifecycle import FailureClass

POLL_S = 10
# The longest a poll may take as a whole, also where the app brought its own HTTP layer.
POLL_DEADLINE_S = POLL_S + 15.0
CONFIRM_S = 2.0
_LARGEST_BATCH = 100  # https://core.telegram.org/bots/api#getupdates
_TROUBLE_AFTER = 2
# A poll that is answered sooner has not waited: one may be; where all are, the server never waits.
_HASTE_S, _HASTY_AFTER = 0.5, 3
# No outage ends like that: a connection that does not come back in so many tries, some 30 s, never does.
_OCCUPIED_TOO_OFTEN = 20
# A poll that got no answer in time has taken 15 s; of the others, one alone may pass.
_TOLD_AT_ONCE = {Fault.TIMEOUT, Fault.MISROUTED, Fault.FLOOD}
_log = logging.getLogger(__name__)


class Intake:
    """The one poller of a bot.

    Parameters:
        bot: asks for the updates.
        delivery: has the spool.
        handover: takes the updates on.
        vitals: hears of each answered poll, and of trouble.
        words: what is told of faults.
        allowed: the kinds of update to ask for.
    """

    def __init__(
        self,
        bot: ExtBot[Any],
        delivery: Delivery,
        handover: Handover,
        vitals: Vitals,
        words: Words,
        allowed: Sequence[str] | None,
    ) -> None:
        self._bot, self._delivery, self._handover = bot, delivery, handover
        self._vitals, self._words, self._allowed = vitals, words, allowed
        self._overheard = Overheard(bot)
        self._tries, self._conflict_tries, self._haste = Tries(), Tries(), Tries()
        self._conflicts = Conflicts(bot)

    async def probe(self) -> None:
        """Poll once without waiting and without an offset, which confirms nothing but shows a 401 or 409."""
        try:
            async with asyncio.timeout(POLL_DEADLINE_S):
                await self._bot.get_updates(limit=1, timeout=0, allowed_updates=self._allowed)
        except Conflict as error:
            raise Conflict(await self._conflicts.name(error)) from None
        self._conflicts.answered()
        self._vitals.polled()

    async def run(self) -> None:
        """Poll until cancelled.

        Raises:
            BotFailedError: TOKEN_REFUSED; APP_CRASHED where the app shut its bot down; DEAF where there is no
                connection for polls any more.
        """
        # What the spool has is durable before the first poll says so.
        await self._delivery.secure()
        while True:
            await self._wait_for_room()
            began, offset, waits = time.monotonic(), self._delivery.offset, not self._tries.failed
            try:
                received = await self._poll()
            except Exception as error:  # noqa: BLE001  an answer that makes no sense may raise anything
                await self._pause(error)
                continue
            stood_s = time.monotonic() - began
            self._vitals.polled()
            self._tries.succeeded()
            self._vitals.well("poll")
            if self._conflicts.answered(stood_s):
                self._conflict_tries.succeeded()
                self._vitals.well("conflict")
            if received:
                await self._take(received)
            has_news = any(offset is None or each.update_id >= offset for each in received)
            if has_news or not waits or stood_s >= _HASTE_S:
                self._haste.succeeded()
            else:
                await self._slow_down()

    def rests(self) -> None:
        """It was cancelled, to be run again: what troubled it is none of the bot's troubles now."""
        self._vitals.polls_for(None)
        for source in ("poll", "conflict"):
            self._vitals.well(source)

    async def confirm(self) -> None:
        """Tell the API what was taken: it is in the spool, or done."""
        try:
            async with asyncio.timeout(CONFIRM_S):
                await self._delivery.secure()
                if (offset := self._delivery.offset) is not None:
                    await self._bot.get_updates(
                        offset=offset, limit=1, timeout=0, allowed_updates=self._allowed
                    )
        except Exception as error:  # noqa: BLE001  the next update may be one that cannot be read
            _log.warning("the last updates may not be confirmed yet; the next poll does it: %s", error)

    async def _take(self, received: list[Received]) -> None:
        fresh = await self._delivery.take([(each.update_id, each.raw) for each in received])
        if fresh is not None:
            # Handlers need not wait for the disk: only the next poll confirms.
            self._handover.take([each for each in received if each.update_id in fresh])
            await self._delivery.secure()

    async def _poll(self) -> list[Received]:
        self._vitals.polls_for(POLL_DEADLINE_S)
        async with asyncio.timeout(POLL_DEADLINE_S):
            try:
                updates = await self._bot.get_updates(
                    offset=self._delivery.offset,
                    limit=min(self._handover.room, _LARGEST_BATCH),
                    # A server that is back is told of at once, not after a poll's length.
                    timeout=0 if self._tries.failed else POLL_S,
                    allowed_updates=self._allowed,
                )
            except TelegramError:
                raise
            except Exception as error:
                received = self._overheard.one_by_one()
                if not received:
                    raise
                _log.warning("a poll's updates are read one by one, as one cannot be read", exc_info=error)
                return received
            return self._overheard.paired(updates)

    async def _wait_for_room(self) -> None:
        if self._handover.is_full:
            self._vitals.polls_for(None)
            self._vitals.full = True
            try:
                await self._handover.wait_for_room()
            finally:
                self._vitals.full = False

    async def _pause(self, error: Exception) -> None:
        fault = classify(error)
        if fault is Fault.CONFLICT:
            self._vitals.well("poll")
            why = await self._conflicts.name(error)
            self._vitals.trouble("conflict", self._words("getUpdates", fault, why))
            await self._rest(self._conflict_tries.pause_s(error, fault))
            return
        if fault is Fault.REFUSED:
            raise BotFailedError(FailureClass.TOKEN_REFUSED, self._words("getUpdates", fault)) from None
        if is_shut_down(error):
            raise BotFailedError(FailureClass.APP_CRASHED, SHUT_DOWN) from None
        if fault is Fault.GARBAGE and not isinstance(error, TelegramError):
            _log.debug("a poll's answer was not understood", exc_info=error)
        pause = self._tries.pause_s(error, fault)
        if fault is Fault.OCCUPIED and self._tries.failed >= _OCCUPIED_TOO_OFTEN:
            raise BotFailedError(FailureClass.DEAF, self._words("getUpdates", fault)) from None
        # One dropped connection is no trouble yet.
        if self._tries.failed >= _TROUBLE_AFTER or fault in _TOLD_AT_ONCE:
            self._vitals.trouble("poll", self._words("getUpdates", fault, error))
        await self._rest(pause)

    async def _slow_down(self) -> None:
        """Let some time pass where the server does not: asked again at once it would be asked without end."""
        pause = self._haste.pause_s(None, Fault.HASTY)
        if self._haste.failed == _HASTY_AFTER:
            _log.warning("%s; it is asked twice a second", self._words("getUpdates", Fault.HASTY))
        if self._haste.failed >= _HASTY_AFTER:
            await self._rest(pause)

    async def _rest(self, pause: float) -> None:
        self._vitals.polls_for(pause)
        await asyncio.sleep(pause)
