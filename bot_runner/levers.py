"""What an operator may do to a bot while it runs, and what an app kind gives for that."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.botfile import BotFile
from toolkit.errors import OddFileError, ToolkitError
from toolkit.ipc.protocol import INVALID_PARAMS, REFUSED, RpcError
from toolkit.ipc.server import Method
from toolkit.spool import MOST_RETRIED, Spool, letters_of, listing


@dataclass(kw_only=True)
class Levers:
    """Set by the app kind, from the bot's loop; pulled by the control socket's thread.

    Attributes:
        paused: whether the bot is to take no updates.
        turned: called when ``paused`` has changed, in the control socket's thread.
        spool: the updates that are not handled yet; None as long as it is not open.
        unfinished: how many updates were taken in by this run and are not handled yet.
        take_back: hands an update that is in the spool again over to the application, from any thread.
    """

    paused: bool = False
    turned: Callable[[], object] = lambda: None
    spool: Spool | None = None
    unfinished: Callable[[], int] = lambda: 0
    take_back: Callable[[int, bytes], object] | None = None


@dataclass(kw_only=True)
class Interventions:
    """The methods of the control socket by which an operator steps in.

    Parameters:
        bot: the bot file.
        levers: what can be done.
        remember: keeps on disk whether the bot is paused, and tells whether it still may be; raises OSError
            where that cannot be kept.
    """

    bot: BotFile
    levers: Levers
    remember: Callable[[bool], bool]

    def __post_init__(self) -> None:
        self._letters = letters_of(Path(self.bot.files.state))
        self._one_at_a_time = asyncio.Lock()

    def methods(self) -> dict[str, Method]:
        """Each method's name and what answers it."""
        return {
            "pause": lambda _: self._pause(paused=True),
            "resume": lambda _: self._pause(paused=False),
            "dead_letters": self._dead_letters,
            "retry_update": self._retry_update,
        }

    def facts(self) -> dict[str, object]:
        """What ``status`` tells of it; all null for a bot that takes no updates."""
        if self.bot.app.kind != "telegram":
            return dict.fromkeys(("delivery", "paused", "spool", "unfinished", "dead_letters"))
        spool = self.levers.spool
        return {
            "delivery": self.bot.delivery,
            "paused": self.levers.paused,
            "spool": None if spool is None else len(spool),
            "unfinished": self.levers.unfinished(),
            "dead_letters": self._count(),
        }

    def _count(self) -> int | None:
        try:
            return len(self._letters.ids())
        except (OSError, OddFileError):
            return None

    def _need_telegram(self) -> None:
        if self.bot.app.kind != "telegram":
            raise RpcError(
                REFUSED,
                f"a bot of kind {self.bot.app.kind} takes its updates by itself: it can only be stopped",
            )

    async def _pause(self, *, paused: bool) -> dict[str, object]:
        self._need_telegram()
        # Also where the answer comes too late: what is on disk, and what the bot does, agree.
        return await asyncio.shield(self._turn(paused))

    async def _turn(self, paused: bool) -> dict[str, object]:
        what = "paused" if paused else "resumed"
        async with self._one_at_a_time:
            try:
                kept = await asyncio.to_thread(self.remember, paused)
            except OSError as error:
                path, why = self.bot.files.run_record, error.strerror or error
                raise RpcError(REFUSED, f"not {what}: {path} cannot be written: {why}") from None
            if not kept:
                raise RpcError(REFUSED, f"not {what}: the bot is ending")
            self.levers.paused = paused
            self.levers.turned()
        return {"paused": paused}

    async def _dead_letters(self, _: dict[str, Any]) -> dict[str, object]:
        return await asyncio.to_thread(listing, self._letters)

    async def _retry_update(self, params: dict[str, Any]) -> dict[str, object]:
        """Hand the dead letters of ``update_ids`` to the application again."""
        self._need_telegram()
        numbers = params.get("update_ids")
        if not isinstance(numbers, list) or not all(type(number) is int for number in numbers):
            raise RpcError(INVALID_PARAMS, "update_ids is a list of whole numbers")
        if len(numbers) > MOST_RETRIED:
            raise RpcError(INVALID_PARAMS, f"{MOST_RETRIED} updates at once at most")
        spool, take_back = self.levers.spool, self.levers.take_back
        if spool is None or take_back is None or self.levers.paused:
            raise RpcError(REFUSED, "the bot takes no updates now: it is paused, starting or ending")
        try:
            return {"retried": await asyncio.to_thread(self._retry, spool, numbers, take_back)}
        except ToolkitError as error:
            raise RpcError(REFUSED, error.message) from None

    @staticmethod
    def _retry(spool: Spool, numbers: Sequence[int], take_back: Callable[[int, bytes], object]) -> list[int]:
        retried = []
        for number in numbers:
            raw = spool.retry(number)
            if raw is not None:
                take_back(number, raw)
                retried.append(number)
        return retried
