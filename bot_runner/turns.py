"""Who may go next: each chat's updates one after another, and no more than so many chats at once."""

import asyncio
from collections import deque
from collections.abc import Hashable


class Turns:
    """Turns by key: a key has one at a time, in the order in which they were asked for.

    Parameters:
        limit: how many keys have a turn at once; it may be changed at any time.

    What waits behind another turn of its key takes no place from the others: one slow chat holds up none.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._running = 0
        self._behind: dict[Hashable, deque[asyncio.Future[None]]] = {}
        self._next: deque[tuple[Hashable, asyncio.Future[None]]] = deque()

    async def take(self, key: Hashable) -> None:
        """Wait for a turn; each is to be given back by ``give``, unless this was cancelled."""
        behind = self._behind.get(key)
        if behind is None:
            self._behind[key] = deque()
            if self._running < self.limit and not self._next:
                self._running += 1
                return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if behind is None:
            self._next.append((key, turn))
        else:
            behind.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give(key)
            raise

    def give(self, key: Hashable) -> None:
        """The turn of this key is over."""
        self._running -= 1
        self._advance(key)
        while self._next and self._running < self.limit:
            following, turn = self._next.popleft()
            if turn.done():  # it was cancelled
                self._advance(following)
            else:
                self._running += 1
                turn.set_result(None)

    def _advance(self, key: Hashable) -> None:
        """Let the next of this key wait for a place."""
        behind = self._behind[key]
        while behind:
            turn = behind.popleft()
            if not turn.done():
                self._next.append((key, turn))
                return
        del self._behind[key]
