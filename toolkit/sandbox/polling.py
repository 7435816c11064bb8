"""getUpdates with long polling: https://core.telegram.org/bots/api#getupdates.

One poll waits at a time. A second one ends the first with 409, as Telegram does; a poll that comes while a
webhook is set gets 409 itself.
"""

import asyncio
import time

import msgspec

from toolkit.sandbox.args import Args
from toolkit.sandbox.bot import Bot, WaitingPoll, Wake
from toolkit.sandbox.connection import Connection
from toolkit.sandbox.methods.webhook import update_allowed
from toolkit.sandbox.pending import Update
from toolkit.sandbox.replies import ApiError, Reply

MAX_TIMEOUT = 50
_BY_WEBHOOK = (
    "Conflict: can't use getUpdates method while webhook is active; "
    "use deleteWebhook to delete the webhook first"
)


class Poll:
    """One getUpdates call.

    Parameters:
        bot: who polls.
        args: offset, limit, timeout in seconds, allowed_updates.
        connection: the call's.

    Raises:
        ApiError: 400, a parameter is wrong.
    """

    def __init__(self, bot: Bot, args: Args, connection: Connection) -> None:
        self._bot, self._connection = bot, connection
        self._offset = args.integer("offset")
        self._limit = min(100, max(1, args.integer("limit", 100)))
        timeout = min(MAX_TIMEOUT, max(0, args.integer("timeout")))
        self._deadline = time.monotonic() + timeout
        bot.polls += 1
        bot.last_poll_at = time.time()
        bot.first_poll_at = bot.first_poll_at or bot.last_poll_at
        if bot.poll is not None:
            bot.overlapping_polls += not bot.poll.has_left()
            bot.wake(Wake.OTHER_POLL)
        if bot.webhook is None:
            update_allowed(bot, args)

    async def answer(self) -> Reply | Wake:
        """The updates, as soon as there are any or the time is over.

        Returns:
            FAULT where a fault was set meanwhile: look for it, then go on; CLOSING where there is to be no
            answer.

        Raises:
            ApiError: 409, another poll or a webhook took over.
            ConnectionResetError: the client left.
        """
        bot = self._bot
        while True:
            if bot.webhook is not None:
                raise ApiError(409, _BY_WEBHOOK)
            updates = bot.queue.take(self._offset, self._limit)
            left = self._deadline - time.monotonic()
            if updates or left <= 0:
                return _reply(bot, updates)
            reason = await self._wait(left)
            if reason in (Wake.OTHER_POLL, Wake.WEBHOOK):
                raise ApiError(409, f"Conflict: {reason.value}")
            if reason in (Wake.FAULT, Wake.CLOSING):
                return reason

    async def _wait(self, seconds: float) -> Wake:
        waiting: asyncio.Future[Wake] = asyncio.get_running_loop().create_future()
        self._bot.poll = poll = WaitingPoll(waiting, lambda: self._connection.has_left)
        try:
            await self._connection.wait(waiting, seconds)
        finally:
            if self._bot.poll is poll:
                self._bot.poll = None
        return waiting.result() if waiting.done() else Wake.UPDATE


def _reply(bot: Bot, updates: list[Update]) -> Reply:
    now = time.time()
    for update in updates:
        bot.ledger.deliver(update, now)
    bodies = [msgspec.Raw(update.body) for update in updates]
    return Reply(200, msgspec.json.encode({"ok": True, "result": bodies}))
