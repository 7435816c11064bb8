"""One bot as the server knows it."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from toolkit.sandbox.answers import AnswerLog
from toolkit.sandbox.chats import ChatBook, Message, MessageStore
from toolkit.sandbox.files import FileStore
from toolkit.sandbox.ledger import Ledger
from toolkit.sandbox.pending import QueueFullError, Update, UpdateQueue
from toolkit.sandbox.replies import encode
from toolkit.sandbox.shapes import Answer, Counters

NOT_BY_DEFAULT = frozenset({"chat_member", "message_reaction", "message_reaction_count"})
_ID_SPACE = 1 << 31


class Wake(Enum):
    """Why a waiting getUpdates goes on."""

    UPDATE = "update"
    OTHER_POLL = "terminated by other getUpdates request; make sure that only one bot instance is running"
    WEBHOOK = "terminated by setWebhook request"
    FAULT = "fault"
    CLOSING = "closing"


class WaitingPoll(NamedTuple):
    """A getUpdates that waits.

    Parameters:
        end: takes why it goes on.
        has_left: says whether its client has closed the connection.
    """

    end: asyncio.Future[Wake]
    has_left: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where updates are delivered to, as setWebhook said."""

    url: str
    secret: str
    max_connections: int
    certificate: bool


@dataclass(slots=True)
class Profile:
    """What a bot says of itself, by language code; commands by scope and language."""

    names: dict[str, str] = field(default_factory=dict)
    descriptions: dict[str, str] = field(default_factory=dict)
    short_descriptions: dict[str, str] = field(default_factory=dict)
    commands: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    menu_buttons: dict[str, dict[str, Any]] = field(default_factory=dict)
    rights: dict[str, dict[str, Any]] = field(default_factory=dict)


class Bot:
    """All that the server keeps of one bot.

    Parameters:
        bot_id: the digits before the token's colon.
        on_webhook: told after each change of ``webhook``.
        on_update: told of each new update.
    """

    def __init__(
        self,
        bot_id: str,
        on_webhook: Callable[["Bot"], None] = lambda _: None,
        on_update: Callable[["Bot", Update], None] = lambda _, __: None,
    ) -> None:
        self.id = bot_id
        self.username = f"sandbox{bot_id}bot"
        self.on_webhook, self.on_update = on_webhook, on_update
        self.queue, self.ledger, self.answers = UpdateQueue(), Ledger(), AnswerLog()
        self.chats, self.messages, self.files = ChatBook(), MessageStore(), FileStore()
        self.profile = Profile()
        self.refused = False
        self.allowed: frozenset[str] | None = None
        self.poll: WaitingPoll | None = None
        self.webhook: Webhook | None = None
        self.webhook_error: tuple[float, str] = (0.0, "")
        self.calls: Counter[str] = Counter()
        self.polls = self.overlapping_polls = self.sent = self.errors = self.faults = 0
        self.first_poll_at = self.last_poll_at = 0.0
        # Ids go on rising when the server is started again, else bots that stayed up would take new
        # updates for old ones.
        self._last_update_id = int(time.time() * 1000) % _ID_SPACE

    @property
    def user(self) -> dict[str, Any]:
        """The bot as the sender of a message."""
        name = self.profile.names.get("") or f"Sandbox bot {self.id}"
        return {"id": int(self.id), "is_bot": True, "first_name": name, "username": self.username}

    def accepts(self, kind: str) -> bool:
        """Whether the bot asked for updates of that kind."""
        return kind not in NOT_BY_DEFAULT if self.allowed is None else kind in self.allowed

    def accept(self, kind: str, content: Any, about: "About") -> Update | None:
        """Make an update for the bot; None where it did not ask for that kind.

        Raises:
            QueueFullError: too many are pending.
        """
        if not self.accepts(kind):
            return None
        if self.queue.room <= 0:
            raise QueueFullError
        self._last_update_id += 1
        body = encode({"update_id": self._last_update_id, kind: content})
        update = Update(
            self._last_update_id,
            kind,
            about.chat_id,
            about.message_id,
            about.query_id,
            about.text,
            body,
            time.time(),
        )
        self.queue.add(update)
        self.ledger.accept(update)
        self.wake(Wake.UPDATE)
        self.on_update(self, update)
        return update

    def wake(self, reason: Wake) -> None:
        """Let a waiting getUpdates go on."""
        if self.poll is not None and not self.poll.end.done():
            self.poll.end.set_result(reason)

    def set_webhook(self, webhook: Webhook | None, *, drop_pending: bool) -> None:
        """Put a webhook in force, or none."""
        self.webhook = webhook
        self.webhook_error = (0.0, "")
        if drop_pending:
            self.ledger.drop(self.queue.clear())
        if webhook is not None:
            self.wake(Wake.WEBHOOK)
        self.on_webhook(self)

    def show(self, method: str, message: Message, reply_markup: Any, reply_to: int | None = None) -> None:
        """Count and keep what the bot showed in a chat.

        Parameters:
            method: in Telegram's spelling.
            message: as it stands now.
            reply_markup: the keyboard that came with it, of any kind.
            reply_to: the message that it replies to or 0, for a message sent; None for an edited one.
        """
        now = time.time()
        chat_id = message["chat"]["id"]
        text = message.get("text") or message.get("caption") or ""
        update = None
        if reply_to is not None:
            self.sent += 1
            update = self.ledger.answer(chat_id, text, reply_to, now)
        self._keep(method, chat_id, message["message_id"], text, reply_markup, update, now)

    def show_query(self, method: str, query_id: str, text: str) -> None:
        """Count and keep the bot's answer to a query."""
        now = time.time()
        update = self.ledger.answer_query(query_id, now)
        self._keep(method, update.chat_id if update else 0, 0, text, None, update, now)

    def counters(self) -> Counters:
        """The figures of the bot."""
        ledger = self.ledger
        return Counters(
            bot_id=self.id,
            username=self.username,
            refused=self.refused,
            polls=self.polls,
            overlapping_polls=self.overlapping_polls,
            polling=self.poll is not None,
            first_poll_at=self.first_poll_at,
            last_poll_at=self.last_poll_at,
            webhook=self.webhook.url if self.webhook else "",
            pending=len(self.queue),
            accepted=ledger.accepted,
            dropped=ledger.dropped,
            delivered=ledger.delivered,
            redelivered=ledger.redelivered,
            unanswered=ledger.unanswered,
            answered_twice=ledger.answered_twice,
            unasked=ledger.unasked,
            sent=self.sent,
            calls=dict(self.calls),
            errors=self.errors,
            faults=self.faults,
            last_answer_id=self.answers.last_id,
            last_answer_at=self.answers.last_at,
        )

    def _keep(
        self,
        method: str,
        chat_id: int,
        message_id: int,
        text: str,
        reply_markup: Any,
        update: Update | None,
        now: float,
    ) -> None:
        answer = Answer(
            id=0,
            method=method,
            chat_id=chat_id,
            message_id=message_id,
            text=text,
            reply_markup=reply_markup,
            update_id=update.id if update else None,
            time=now,
        )
        self.answers.add(answer)


@dataclass(frozen=True, slots=True)
class About:
    """What an update is about, to match answers with it."""

    chat_id: int = 0
    message_id: int = 0
    query_id: str = ""
    text: str = ""
