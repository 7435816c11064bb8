"""Updates as the Bot API gave them: their JSON beside what python-telegram-bot makes of it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from telegram import Update
from telegram.ext import ExtBot

from toolkit.spool import LARGEST_ID


class _Answer(msgspec.Struct):
    result: list[msgspec.Raw]


class _Head(msgspec.Struct):
    # A negative one, asked for, would have the Bot API forget all before it.
    update_id: Annotated[int, msgspec.Meta(ge=0, le=LARGEST_ID)]


@dataclass(frozen=True, slots=True)
class Received:
    """One update.

    Parameters:
        update_id: Telegram's.
        raw: its JSON.
        update: the update, or None where python-telegram-bot cannot read it.
        fault: why it cannot, in words.
    """

    update_id: int
    raw: bytes
    update: Update | None
    fault: str = ""


def read(bot: ExtBot[Any], update_id: int, raw: bytes) -> Received:
    """An update from its JSON, as ``get_updates`` would give it."""
    try:
        update = Update.de_json(json.loads(raw), bot)
        bot.insert_callback_data(update)
    except Exception as error:  # noqa: BLE001  what does not fit python-telegram-bot's classes raises anything
        fault = f"python-telegram-bot cannot read it: {type(error).__name__}: {error}"
        return Received(update_id, raw, None, fault)
    if update.update_id != update_id:
        return Received(update_id, raw, None, f"it says that it is update {update.update_id}")
    return Received(update_id, raw, update)


class Overheard:
    """Listens to the answers to a bot's polls.

    The request's class is exchanged for a subclass of it, so that this works with whatever HTTP layer the
    app brought: python-telegram-bot hands on what it parsed, and throws the bytes away.

    Parameters:
        bot: whose request for polls is listened to.
    """

    def __init__(self, bot: ExtBot[Any]) -> None:
        self._bot = bot
        self._payload = b""
        own: Any = type(bot._request[0])  # noqa: SLF001  there is no public way to the request for polls
        overheard = self

        class Listening(own):  # type: ignore[misc]  # the app may bring a class of its own
            __slots__ = ()

            async def do_request(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
                overheard._payload = b""
                code, overheard._payload = await super().do_request(*args, **kwargs)
                return code, overheard._payload

        Listening.__name__ = Listening.__qualname__ = own.__name__
        bot._request[0].__class__ = Listening  # noqa: SLF001  as above

    def paired(self, updates: Sequence[Update]) -> list[Received]:
        """The updates of the last poll with their JSON.

        Raises:
            ValueError: what one has for its id is none.
        """
        for update in updates:
            if type(update.update_id) is not int or not 0 <= update.update_id <= LARGEST_ID:
                raise ValueError(f"{update.update_id!r} is no update's id")
        raws = self._raws()
        if len(raws) != len(updates):  # a bot class of the app's own gave something else than it was given
            raws = [update.to_json().encode() for update in updates]
        pairs = zip(updates, raws, strict=True)
        return [Received(update.update_id, raw, update) for update, raw in pairs]

    def one_by_one(self) -> list[Received]:
        """What the last poll brought, where python-telegram-bot raised on it; nothing if it is garbage."""
        try:
            numbered = [(msgspec.json.decode(raw, type=_Head).update_id, raw) for raw in self._raws()]
        except msgspec.DecodeError:
            return []
        return [read(self._bot, number, raw) for number, raw in numbered]

    def _raws(self) -> list[bytes]:
        payload, self._payload = self._payload, b""
        try:
            return [bytes(raw) for raw in msgspec.json.decode(payload, type=_Answer).result]
        except msgspec.DecodeError:
            return []
