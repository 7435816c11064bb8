"""Users, chats and the messages in them."""

import hashlib
from collections import OrderedDict
from typing import Any

from toolkit.sandbox.replies import bad_request

MAX_MESSAGES = 10_000
MAX_CHATS = 10_000
# Supergroups and channels: https://core.telegram.org/api/bots/ids
_CHANNEL_BASE = -1_000_000_000_000

Chat = dict[str, Any]
Message = dict[str, Any]


def user_object(user_id: int, known: dict[str, Any] | None = None) -> dict[str, Any]:
    """A person, with a name made up where none is known."""
    return {
        "id": user_id,
        "is_bot": False,
        "first_name": f"User {user_id}",
        "language_code": "en",
        **(known or {}),
    }


def named_chat_id(name: str) -> int:
    """A stable id for the channel ``@name``."""
    digest = hashlib.sha256(name.lower().encode()).digest()
    return _CHANNEL_BASE - 1 - int.from_bytes(digest[:4]) % 10**9


class ChatBook:
    """The chats that a bot has seen. Any id is a chat: positive ones are private, others groups."""

    def __init__(self) -> None:
        self._chats: OrderedDict[int, Chat] = OrderedDict()

    def chat(self, chat_id: int) -> Chat:
        """The chat of that id."""
        return self._chats.get(chat_id) or self._made_up(chat_id)

    def learn(self, chat: Chat) -> None:
        """Remember what was told of a chat."""
        self._chats[chat["id"]] = chat
        if len(self._chats) > MAX_CHATS:
            self._chats.popitem(last=False)

    def resolve(self, wanted: str) -> Chat:
        """The chat behind a ``chat_id`` parameter, a number or ``@name``.

        Raises:
            ApiError: 400, there is none.
        """
        wanted = wanted.strip()
        if not wanted:
            raise bad_request("chat_id is empty")
        if wanted.startswith("@") and wanted[1:].replace("_", "").isalnum():
            name = wanted[1:]
            return {"id": named_chat_id(name), "type": "channel", "title": name, "username": name}
        digits = wanted.removeprefix("-")
        if not (digits.isascii() and digits.isdecimal() and len(digits) <= 16 and int(digits)):  # noqa: PLR2004 52 bits
            raise bad_request("chat not found")
        return self.chat(int(wanted))

    @staticmethod
    def _made_up(chat_id: int) -> Chat:
        if chat_id > 0:
            return {"id": chat_id, "type": "private", "first_name": f"User {chat_id}"}
        kind = "supergroup" if chat_id < _CHANNEL_BASE else "group"
        return {"id": chat_id, "type": kind, "title": f"Group {chat_id}"}


class MessageStore:
    """The newest messages of a bot's chats, for replies, edits, forwards and buttons.

    Parameters:
        limit: how many are kept.
    """

    def __init__(self, limit: int = MAX_MESSAGES) -> None:
        self._limit = limit
        self._messages: OrderedDict[int, Message] = OrderedDict()
        self._forgotten = 0
        self.last_id = 0

    def new_id(self) -> int:
        """The next message id; one sequence serves all chats of the bot."""
        self.last_id += 1
        return self.last_id

    def add(self, message: Message) -> None:
        """Keep a message; the oldest makes room for it."""
        self._messages[message["message_id"]] = message
        if len(self._messages) > self._limit:
            oldest, _ = self._messages.popitem(last=False)
            self._forgotten = max(self._forgotten, oldest)

    def get(self, chat_id: int, message_id: int) -> Message | None:
        """A message, unless it was never there, was deleted or is too old to be kept."""
        message = self._messages.get(message_id)
        return message if message is not None and message["chat"]["id"] == chat_id else None

    def too_old(self, message_id: int) -> bool:
        """Whether there may have been such a message that is not kept any more."""
        return 0 < message_id <= self._forgotten

    def delete(self, chat_id: int, message_id: int) -> bool:
        """Remove a message; whether there was or may have been one."""
        if self.get(chat_id, message_id) is not None:
            del self._messages[message_id]
            return True
        return self.too_old(message_id)

    def with_button(
        self, chat_id: int, button: str, message_id: int | None
    ) -> tuple[Message, dict[str, Any]] | None:
        """The newest message of a chat with an inline button of that data or text, and the button.

        Parameters:
            chat_id: of the chat.
            button: its ``callback_data`` or ``text``.
            message_id: look under this message only.
        """
        for message in reversed(self._messages.values()):
            if message["chat"]["id"] != chat_id or message_id not in (None, message["message_id"]):
                continue
            for each in buttons(message):
                if button in (each.get("callback_data"), each.get("text")):
                    return message, each
        return None


def buttons(message: Message) -> list[dict[str, Any]]:
    """The inline buttons under a message."""
    keyboard = message.get("reply_markup")
    rows = keyboard.get("inline_keyboard", []) if isinstance(keyboard, dict) else []
    return [button for row in rows for button in row]
