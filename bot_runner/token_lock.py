"""One poller per token on this machine: an abstract Unix socket named after the bot's id is the lock."""

import asyncio
import os
import time
from socket import socket

from bot_runner.abstract import holder, try_bind
from toolkit.processes import arguments

_LOOK_S = 0.1
_ANOTHER = "another process on this machine"


class TokenLock:
    """The right to poll with a token.

    Parameters:
        bot_id: Telegram's id of the bot.
    """

    def __init__(self, bot_id: str) -> None:
        self.bot_id = bot_id
        self._name = f"poller/{bot_id}"
        self._socket: socket | None = None

    def try_take(self) -> bool:
        """Take it; whether it was free."""
        self._socket = try_bind(self._name)
        return self._socket is not None

    async def take(self, wait_s: float) -> bool:
        """Take it as soon as it is free; whether that was within so many seconds."""
        until = time.monotonic() + wait_s
        while not self.try_take():
            if time.monotonic() >= until:
                return False
            await asyncio.sleep(_LOOK_S)
        return True

    def holder(self) -> str:
        """Who has it, in words, as far as that can be seen: another user's processes may be hidden."""
        pid = holder(self._name)
        words = [os.fsdecode(word) for word in arguments(pid) if word] if pid else []
        # A runner's last argument is its bot file, whose path tells the fleet and the bot.
        return f"{_ANOTHER} ({words[-1]}, pid {pid})" if words else _ANOTHER

    def release(self) -> None:
        """Let go of it."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
