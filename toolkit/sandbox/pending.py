"""The updates that wait for a bot, as Telegram keeps them until they are confirmed.

https://core.telegram.org/bots/api#getupdates
"""

from collections import OrderedDict
from dataclasses import dataclass
from itertools import islice

from toolkit.sandbox.shapes import UpdateRecord

MAX_PENDING = 100_000


class QueueFullError(Exception):
    """The bot has as many pending updates as the sandbox keeps."""


@dataclass(slots=True, eq=False)
class Update:
    """One update and what became of it.

    Parameters:
        id: Telegram's ``update_id``.
        kind: the field of the update that is filled, such as ``message``.
        chat_id: where it happened; the user's id for a query.
        message_id: of the message in it, else 0.
        query_id: of the query in it, else empty.
        text: of the message, or the query's data.
        body: the whole update as JSON; empty once it is confirmed.
    """

    id: int
    kind: str
    chat_id: int
    message_id: int
    query_id: str
    text: str
    body: bytes
    accepted_at: float
    deliveries: int = 0
    delivered_at: float = 0.0
    answers: int = 0
    answered_at: float = 0.0

    def record(self) -> UpdateRecord:
        """The update as the control API tells it."""
        return UpdateRecord(
            update_id=self.id,
            kind=self.kind,
            chat_id=self.chat_id,
            text=self.text,
            accepted_at=self.accepted_at,
            deliveries=self.deliveries,
            delivered_at=self.delivered_at,
            answers=self.answers,
            answered_at=self.answered_at,
        )


class UpdateQueue:
    """Updates in the order of their ids.

    Parameters:
        limit: how many are kept at most.
    """

    def __init__(self, limit: int = MAX_PENDING) -> None:
        self._limit = limit
        # An ordinary dict finds its first entry slowly once many were removed from its front.
        self._updates: OrderedDict[int, Update] = OrderedDict()

    def __len__(self) -> int:
        return len(self._updates)

    @property
    def room(self) -> int:
        """How many more updates fit."""
        return self._limit - len(self._updates)

    def add(self, update: Update) -> None:
        """Take an update; its id is higher than all before.

        Raises:
            QueueFullError: there are as many as are kept.
        """
        if self.room <= 0:
            raise QueueFullError
        self._updates[update.id] = update

    def all(self) -> list[Update]:
        """Every pending update."""
        return list(self._updates.values())

    def take(self, offset: int, limit: int) -> list[Update]:
        """What getUpdates gives, after it confirmed what the offset says.

        Parameters:
            offset: every update with a lower id is confirmed; 0 confirms none; a negative one counts
                from the end of the queue and confirms all before.
            limit: at most so many updates are given.
        """
        if offset < 0 and len(self._updates) > -offset:
            offset = next(islice(reversed(self._updates), -offset - 1, None))
        while offset > 0 and self._updates and (first := next(iter(self._updates))) < offset:
            self.confirm(first)
        return list(islice(self._updates.values(), limit))

    def confirm(self, update_id: int) -> None:
        """The bot has this update for good; one that is not pending is none of our business."""
        update = self._updates.pop(update_id, None)
        if update is not None:
            update.body = b""

    def clear(self) -> list[Update]:
        """Throw all away; those that were."""
        dropped = self.all()
        self._updates.clear()
        return dropped
