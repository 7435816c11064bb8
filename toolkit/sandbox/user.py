"""What a user does: speak, press a button, or anything else as a raw update."""

import time
from collections.abc import Iterator
from typing import Any

from toolkit.sandbox.bot import About, Bot
from toolkit.sandbox.chats import Chat, Message, user_object
from toolkit.sandbox.entities import find_entities
from toolkit.sandbox.methods.compose import MAX_TEXT
from toolkit.sandbox.pending import Update
from toolkit.sandbox.replies import ApiError, bad_request

DEFAULT_USER = 1_000_001
_NAMES = ("first_name", "last_name", "username")
User = int | dict[str, Any] | None


def say(bot: Bot, text: str, chat_id: int | None = None, user: User = None) -> Update | None:
    """A user sends text to the bot.

    Parameters:
        bot: who hears it.
        text: at most 4096 characters; commands in it are marked as Telegram marks them.
        chat_id: where, by default the user's private chat; a negative one is a group.
        user: who, as an id or an object with ``id``.

    Raises:
        ApiError: 400, the text or the user is none.
        QueueFullError: too many updates are pending.
    """
    if not text.strip() or len(text) > MAX_TEXT:
        raise bad_request(f"a message has 1 to {MAX_TEXT} characters")
    sender, chat = _who_and_where(bot, chat_id, user)
    entities = find_entities(text)
    message: Message = {
        "message_id": bot.messages.new_id(),
        "from": sender,
        "chat": chat,
        "date": int(time.time()),
        "text": text,
    }
    if entities:
        message["entities"] = entities
    bot.messages.add(message)
    return bot.accept("message", message, About(chat["id"], message["message_id"], text=text))


def press(bot: Bot, button: str, chat_id: int | None, message_id: int | None, user: User) -> Update | None:
    """A user presses an inline button.

    Parameters:
        bot: whose message it is under.
        button: its data or its text.
        chat_id: by default the user's private chat.
        message_id: by default the newest message of the chat that has such a button.
        user: who.

    Raises:
        ApiError: 400, there is no such button, or pressing it tells the bot nothing.
        QueueFullError: too many updates are pending.
    """
    sender, chat = _who_and_where(bot, chat_id, user)
    found = bot.messages.with_button(chat["id"], button, message_id)
    if found is None:
        raise bad_request(f"no message in chat {chat['id']} has the button {button!r}")
    message, pressed = found
    if "callback_data" not in pressed:
        raise bad_request(f"the button {button!r} has no callback_data: pressing it tells the bot nothing")
    query_id = new_query_id(bot)
    query = {
        "id": query_id,
        "from": sender,
        "message": message,
        "chat_instance": str(chat["id"]),
        "data": pressed["callback_data"],
    }
    return bot.accept("callback_query", query, About(chat["id"], 0, query_id, pressed["callback_data"]))


def inject(bot: Bot, raw: dict[str, Any]) -> Update | None:
    """Give the bot an update as it stands; ids and dates that are missing are put in.

    Raises:
        ApiError: 400, it is no update with exactly one kind of content.
        QueueFullError: too many updates are pending.
    """
    kinds = [key for key in raw if key != "update_id"]
    if len(kinds) != 1 or not isinstance(raw[kinds[0]], dict):
        raise bad_request("an update has exactly one field, an object, beside update_id")
    kind, content = kinds[0], raw[kinds[0]]
    if not kind.endswith("_query"):
        return _inject_message(bot, kind, content)
    sender = {**user_object(DEFAULT_USER), **_dict(content.get("from"))}
    query = {"id": new_query_id(bot), "chat_instance": "1", **content, "from": sender}
    if kind == "inline_query":
        query = {"query": "", "offset": "", **query}
    text = str(content.get("data") or content.get("query") or "")
    return bot.accept(kind, query, About(_number(sender.get("id")), 0, str(query["id"]), text))


def _inject_message(bot: Bot, kind: str, content: dict[str, Any]) -> Update | None:
    chat = _dict(content.get("chat"))
    chat_id, message_id = _number(chat.get("id")), _number(content.get("message_id"))
    if kind in ("message", "edited_message", "channel_post", "edited_channel_post"):
        sender, known = _who_and_where(bot, chat_id or None, content.get("from"))
        chat_id, message_id = known["id"], message_id or bot.messages.new_id()
        own = {"message_id": message_id, "chat": {**known, **chat, "id": chat_id}}
        content = {"date": int(time.time()), **content, **own}
        content.pop("from", None)
        if "channel" not in kind:
            content["from"] = sender
        bot.messages.add(content)
    return bot.accept(kind, content, About(chat_id, message_id, text=str(content.get("text", ""))))


def flood(bot: Bot, count: int, text: str, chats: int) -> Iterator[Update | None]:
    """Many messages, one after another as the iterator is advanced.

    Parameters:
        bot: who hears them.
        count: how many.
        text: ``{n}`` in it becomes the message's number, from 1; without it the number is put behind.
        chats: over how many private chats they are spread in turn, from DEFAULT_USER on.
    """
    template = text if "{n}" in text else text + " {n}"
    for number in range(count):
        yield say(bot, template.replace("{n}", str(number + 1)), user=DEFAULT_USER + number % chats)


def new_query_id(bot: Bot) -> str:
    """An id for a query, in the form of Telegram's."""
    return f"{int(bot.id) % 10**6:06}{bot.messages.new_id():012}"


def _who_and_where(bot: Bot, chat_id: int | None, user: User) -> tuple[dict[str, Any], Chat]:
    known = user if isinstance(user, dict) else {}
    user_id = user if isinstance(user, int) else _number(known.get("id"))
    user_id = user_id or (chat_id if chat_id and chat_id > 0 else DEFAULT_USER)
    if not 0 < user_id < 1 << 52:  # https://core.telegram.org/bots/api#user
        raise ApiError(400, "Bad Request: a user's id is a positive number of at most 52 bits")
    sender = user_object(user_id, known)
    chat = bot.chats.chat(chat_id or user_id)
    if known and chat["id"] == user_id:
        names = {key: sender[key] for key in _NAMES if key in sender}
        chat = {"id": user_id, "type": "private", **names}
        bot.chats.learn(chat)
    return sender, chat


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
