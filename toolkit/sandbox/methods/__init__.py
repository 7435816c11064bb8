"""The methods of the Bot API, by subject. Each takes the bot and the parameters and gives the result."""

import difflib
from typing import Any

from toolkit.sandbox.args import Args
from toolkit.sandbox.bot import Bot
from toolkit.sandbox.methods import chat, edit, media, message, plain, profile, query, webhook
from toolkit.sandbox.methods.registry import METHODS
from toolkit.sandbox.replies import ApiError

__all__ = ["GET_UPDATES", "SUBJECTS", "call", "name_of", "near"]

# A poll may wait, and so is no function of the table.
GET_UPDATES = "getUpdates"
SUBJECTS = (chat, edit, media, message, plain, profile, query, webhook)


def name_of(method: str) -> str | None:
    """The method in Telegram's spelling, which takes any case; None where there is none."""
    if method.lower() == GET_UPDATES.lower():
        return GET_UPDATES
    found = METHODS.get(method.lower())
    return found[0] if found else None


def near(method: str) -> str | None:
    """The method that a name may have been meant for; None where none is like it."""
    found = difflib.get_close_matches(method.lower(), [GET_UPDATES.lower(), *METHODS], 1)
    return name_of(found[0]) if found else None


def call(bot: Bot, method: str, args: Args) -> Any:
    """Do what the method does.

    Raises:
        ApiError: the call is refused, or there is no such method.
    """
    found = METHODS.get(method.lower())
    if found is None:
        raise ApiError(404, "Not Found: method not found")
    return found[1](bot, args)
