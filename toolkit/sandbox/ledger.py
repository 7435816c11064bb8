"""Which update a bot's message answers.

A message of the bot answers, by the first of these that fits:

1. the query that it names (answerCallbackQuery, answerInlineQuery and their like);
2. the update whose message it replies to (``reply_parameters``);
3. in the same chat, the delivered update whose whole text stands in the message, set off by blank
   space (as echo bots do); the longest such text; of several updates with one text the oldest that has
   no answer, else the last that got one, which is then answered twice. A single word inside a longer
   message is no sign of a second answer: it may stand there by chance;
4. the oldest delivered update of the chat that has no answer.

Else it is unasked: a bot spoke of its own accord. So a bot that sends several messages for one update
without repeating its text is told apart from one that answers twice only where one update at a time is
open in a chat. Edits, deletions and chat actions answer nothing.
"""

import re
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from toolkit.sandbox.pending import Update
from toolkit.sandbox.shapes import UpdateRecord

ANSWERABLE = frozenset({"message", "callback_query", "inline_query", "shipping_query", "pre_checkout_query"})
MAX_KEPT = 100_000
# An answer of n words has n² / 2 runs of words to look up.
_MAX_WORDS = 24
_WORD = re.compile(r"\S+")
_Key = TypeVar("_Key", int, tuple[int, str])


@dataclass(slots=True)
class _Lane:
    """The delivered updates of one chat, or of one chat and text."""

    open: deque[Update] = field(default_factory=deque)
    answered: Update | None = None

    def oldest_open(self) -> Update | None:
        while self.open and self.open[0].answers:
            self.open.popleft()
        return self.open[0] if self.open else None


def word_runs(text: str) -> Iterator[tuple[str, bool]]:
    """The text, then every run of its first words, longest first.

    With each goes whether it is more than a single word out of many.
    """
    yield text, True
    words = [match.span() for match in _WORD.finditer(text)][:_MAX_WORDS]
    for length in range(len(words), 0, -1):
        for first in range(len(words) - length + 1):
            yield text[words[first][0] : words[first + length - 1][1]], length > 1


class Ledger:
    """The updates of one bot, with their answers.

    Parameters:
        limit: how many updates are kept; of older ones only the counts remain.
    """

    def __init__(self, limit: int = MAX_KEPT) -> None:
        self._limit = limit
        self._updates: OrderedDict[int, Update] = OrderedDict()
        self._queries: dict[str, Update] = {}
        self._messages: dict[tuple[int, int], Update] = {}
        self._texts: dict[tuple[int, str], _Lane] = {}
        self._chats: dict[int, _Lane] = {}
        self.accepted = self.dropped = self.delivered = self.redelivered = 0
        self.unanswered = self.answered_twice = self.unasked = 0

    def accept(self, update: Update) -> None:
        """An update was made for the bot."""
        self.accepted += 1
        self.unanswered += update.kind in ANSWERABLE
        self._updates[update.id] = update
        if len(self._updates) > self._limit:
            self._forget(next(iter(self._updates.values())))

    def drop(self, updates: list[Update]) -> None:
        """Updates were thrown away unconfirmed."""
        self.dropped += len(updates)
        self.unanswered -= sum(update.kind in ANSWERABLE and not update.answers for update in updates)
        for update in updates:
            self._forget(update)

    def deliver(self, update: Update, now: float) -> None:
        """An update was handed to the bot."""
        update.deliveries += 1
        if update.deliveries > 1:
            self.redelivered += update.deliveries == 2  # noqa: PLR2004 counted once for each update
            return
        self.delivered += 1
        update.delivered_at = now
        if update.kind not in ANSWERABLE or update.id not in self._updates:
            return
        if update.query_id:
            self._queries[update.query_id] = update
            return
        self._messages[update.chat_id, update.message_id] = update
        self._chats.setdefault(update.chat_id, _Lane()).open.append(update)
        self._texts.setdefault((update.chat_id, update.text), _Lane()).open.append(update)

    def answer_query(self, query_id: str, now: float) -> Update | None:
        """The bot answered a query; the update that held it."""
        return self._answered(self._queries.get(query_id), now)

    def answer(self, chat_id: int, text: str, reply_to: int, now: float) -> Update | None:
        """The bot sent a message; the update that it answers."""
        return self._answered(self._match(chat_id, text, reply_to), now)

    def records(self, state: str, limit: int) -> list[UpdateRecord]:
        """The newest updates that are ``unanswered``, ``answered``, ``twice`` or ``all``."""
        found = []
        for update in reversed(self._updates.values()):
            open_ = update.kind in ANSWERABLE and not update.answers
            fits = {"unanswered": open_, "answered": update.answers > 0, "twice": update.answers > 1}
            if fits.get(state, True):
                found.append(update.record())
            if len(found) >= limit:
                break
        return found[::-1]

    def _match(self, chat_id: int, text: str, reply_to: int) -> Update | None:
        if reply_to and (update := self._messages.get((chat_id, reply_to))):
            return update
        for run, telling in word_runs(text):
            lane = self._texts.get((chat_id, run))
            if lane is None:
                continue
            if update := lane.oldest_open() or (lane.answered if telling else None):
                return update
        chat = self._chats.get(chat_id)
        return chat.oldest_open() if chat else None

    def _answered(self, update: Update | None, now: float) -> Update | None:
        if update is None:
            self.unasked += 1
            return None
        update.answers += 1
        if update.answers == 1:
            update.answered_at = now
            self.unanswered -= 1
            if not update.query_id:
                self._texts[update.chat_id, update.text].answered = update
        elif update.answers == 2:  # noqa: PLR2004 counted once for each update
            self.answered_twice += 1
        return update

    def _forget(self, update: Update) -> None:
        self._updates.pop(update.id, None)
        self._queries.pop(update.query_id, None)
        self._messages.pop((update.chat_id, update.message_id), None)
        self._leave(self._chats, update.chat_id, update)
        self._leave(self._texts, (update.chat_id, update.text), update)

    @staticmethod
    def _leave(lanes: dict[_Key, _Lane], key: _Key, update: Update) -> None:
        lane = lanes.get(key)
        if lane is None:
            return
        # Answered ones are left to oldest_open(); the others stand near the front.
        if update.deliveries and not update.answers:
            with suppress(ValueError):
                lane.open.remove(update)
        if lane.answered is update:
            lane.answered = None
        if lane.oldest_open() is None and lane.answered is None:
            del lanes[key]
