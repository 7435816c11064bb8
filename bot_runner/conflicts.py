"""409, told apart: an earlier poll that has not ended, a webhook that was set, or another process that polls.

A twin under this toolkit on this machine is none of them: the token lock keeps it out.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from telegram import Bot

# A process that was killed may leave a poll that the Bot API holds for as long as it was asked to, 10 s.
GRACE_S = 15.0
# Pollers that take turns are each answered now and then: after one more 409 within this it is such a case.
CALM_S = 60.0
# Then it is over when polls have stood unharmed for so long; one of an idle bot does, as it takes 10 s.
STOOD_S = 9.0
_ASK_S = 5.0
EARLIER = "an earlier poll of this bot may not have ended yet"
OTHER = "another process polls with this token, on another machine or without this toolkit; find and stop it"


class Conflicts:
    """The conflicts of one run.

    Parameters:
        bot: is asked for its webhook.
        clock: monotonic seconds.
    """

    def __init__(self, bot: Bot, clock: Callable[[], float] = time.monotonic) -> None:
        self._bot, self._clock = bot, clock
        self._first: float | None = None
        self._last = float("-inf")
        self._stood = 0.0
        self._now_on = self._lasts = self._settled = False

    async def name(self, error: BaseException) -> str:
        """What is behind one more 409, in words without any secret."""
        now = self._clock()
        if not self._now_on:
            self._lasts = now - self._last < CALM_S
        self._first, self._last, self._now_on = self._first or now, now, True
        self._stood = 0.0
        if "webhook" in str(error).lower():
            return f"a webhook is set{await self._host()}; a restart of this bot takes it away"
        return EARLIER if not self._settled and now - self._first < GRACE_S else OTHER

    def answered(self, stood_s: float = 0.0) -> bool:
        """A poll was answered; whether no conflict is to be told of any more.

        Parameters:
            stood_s: seconds for which that poll had waited.
        """
        self._now_on, self._settled = False, True
        self._stood += stood_s
        return not self._lasts or self._stood >= STOOD_S

    async def _host(self) -> str:
        """Where the webhook points; its host alone, as a webhook's path is often a secret."""
        try:
            async with asyncio.timeout(_ASK_S):
                info: Any = await self._bot.get_webhook_info()
            host = urlsplit(info.url).hostname
        except Exception:  # noqa: BLE001  the answer may be anything, and the trouble is told without it
            host = None
        return f" to {host}" if host else ""
