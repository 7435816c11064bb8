"""What the control API under ``/sandbox/`` speaks of, for server and client alike.

Times are seconds since the epoch; 0 means that it has not happened yet.
"""

from typing import Any, TypedDict


class Answer(TypedDict):
    """One thing that a bot showed to a user.

    Attributes:
        id: counted from 1 for each bot, without gaps.
        method: the Bot API method, in Telegram's spelling.
        chat_id: where it was shown; 0 for an answer to an inline query.
        message_id: the message sent or edited; 0 where there is none.
        text: the text or caption, without its markup.
        reply_markup: the keyboard that came with it.
        update_id: the update that it is taken to answer, if any: see ``ledger.py`` for the rule.
        time: when the bot called.
    """

    id: int
    method: str
    chat_id: int
    message_id: int
    text: str
    reply_markup: Any
    update_id: int | None
    time: float


class UpdateRecord(TypedDict):
    """What became of one update.

    Attributes:
        deliveries: how often it was handed to the bot, in getUpdates or by webhook.
        answers: how often the bot answered it.
    """

    update_id: int
    kind: str
    chat_id: int
    text: str
    accepted_at: float
    deliveries: int
    delivered_at: float
    answers: int
    answered_at: float


class Counters(TypedDict):
    """What one bot did and what is open.

    Attributes:
        polls: getUpdates calls, but for those that a fault kept from polling; ``calls`` has all.
        overlapping_polls: those that came while another one waited, which then got 409.
        polling: whether a getUpdates waits right now.
        pending: updates that the bot has not confirmed.
        accepted: updates made for the bot; ``dropped`` of them were thrown away by
            ``drop_pending_updates``.
        delivered: updates handed over at least once; ``redelivered``: more than once.
        unanswered: updates that want an answer and have none, pending ones included.
        answered_twice: updates with more than one answer.
        unasked: messages of the bot that match no update.
        sent: messages that the bot sent.
        calls: calls by method.
        errors: calls that were answered with an error, faults included.
        faults: calls that met a fault.
    """

    bot_id: str
    username: str
    refused: bool
    polls: int
    overlapping_polls: int
    polling: bool
    first_poll_at: float
    last_poll_at: float
    webhook: str
    pending: int
    accepted: int
    dropped: int
    delivered: int
    redelivered: int
    unanswered: int
    answered_twice: int
    unasked: int
    sent: int
    calls: dict[str, int]
    errors: int
    faults: int
    last_answer_id: int
    last_answer_at: float


class FaultRecord(TypedDict):
    """A fault in force; ``left`` and ``seconds`` are null where there is no end."""

    id: int
    bot_id: str
    method: str
    kind: str
    delay_s: float
    left: int | None
    seconds: float | None
    hits: int


class Flood(TypedDict):
    """Many updates accepted at once."""

    accepted: int
    first_update_id: int
    last_update_id: int
