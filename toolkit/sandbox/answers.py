"""What a bot showed to its users, kept for whoever plays the user."""

import asyncio
from collections import deque
from itertools import islice

from toolkit.sandbox.shapes import Answer

MAX_ANSWERS = 10_000


class AnswerLog:
    """The newest answers of one bot; the oldest make room for new ones.

    Parameters:
        limit: how many are kept.
    """

    def __init__(self, limit: int = MAX_ANSWERS) -> None:
        self._answers: deque[Answer] = deque(maxlen=limit)
        self._waiting: set[asyncio.Future[None]] = set()
        self.last_id = 0
        self.last_at = 0.0

    def add(self, answer: Answer) -> None:
        """Keep an answer, under the next id, and wake who waits for one."""
        self.last_id += 1
        answer["id"] = self.last_id
        self.last_at = answer["time"]
        self._answers.append(answer)
        self.wake()

    def wake(self) -> None:
        """Let all who wait look again."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    def after(self, answer_id: int, limit: int) -> list[Answer]:
        """The oldest kept answers with a higher id."""
        first = self.last_id - len(self._answers) + 1
        start = max(0, answer_id + 1 - first)
        return list(islice(self._answers, start, start + limit))

    async def wait(self, answer_id: int, seconds: float) -> None:
        """Wait until there is an answer with a higher id, at most so long."""
        if self.last_id > answer_id:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await asyncio.wait([future], timeout=seconds)
        finally:
            self._waiting.discard(future)
