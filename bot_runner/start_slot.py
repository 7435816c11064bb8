"""Turns to start, over the whole machine: 200 bots that start at once would stampede it, and the Bot API.

Held while a bot loads its code and gets ready. Nobody else is needed for it: the slots are locks that the
runners themselves take.
"""

import asyncio
import os
import random
import time
from socket import socket

from bot_runner.abstract import try_bind
from bot_runner.pacing import growing, jittered

PER_PROCESSOR = 2
# One that waits for the Bot API, or whose app loads for long, does not hold up the others.
LONGEST_TURN_S = 5.0
# A turn that never comes is no reason to stay down; spread, so that no second stampede follows.
WAIT_S = 120.0
_FIRST_LOOK_S = 0.05
_LONGEST_LOOK_S = 0.5
_SPREAD = 0.5


class StartSlot:
    """One runner's turn.

    Parameters:
        count: how many may start at once; by default two for each processor that this process may use.
    """

    def __init__(self, count: int | None = None) -> None:
        self.count = count or PER_PROCESSOR * len(os.sched_getaffinity(0))
        self._socket: socket | None = None

    def try_take(self) -> bool:
        """Take a free one; whether there was one."""
        numbers = range(self.count)
        self._socket = next(filter(None, (try_bind(f"start/{number}") for number in numbers)), None)
        return self._socket is not None

    async def take(self, wait_s: float = WAIT_S) -> bool:
        """Take one as soon as one is free; whether that was within so many seconds, give or take a half."""
        until = time.monotonic() + jittered(wait_s, random.random(), _SPREAD)  # noqa: S311  spreads starts
        looks = 1
        while not self.try_take():
            if time.monotonic() >= until:
                return False
            pause = growing(looks, _FIRST_LOOK_S, 1.5, _LONGEST_LOOK_S)
            await asyncio.sleep(jittered(pause, random.random(), _SPREAD))  # noqa: S311  likewise
            looks += 1
        return True

    def release(self) -> None:
        """Leave it to the next; may be called more than once, and from any thread."""
        taken, self._socket = self._socket, None
        if taken is not None:
            taken.close()
