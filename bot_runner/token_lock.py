"""One poller per token on this machine: an abstract Unix socket named after the bot's id is the lock.

The kernel frees it when the process ends, however it ends (unix(7)). It holds within one network namespace.
"""

import asyncio
import errno
import socket
import time

_LOOK_S = 0.1


class TokenLock:
    """The right to poll with a token.

    Parameters:
        bot_id: Telegram's id of the bot.
    """

    def __init__(self, bot_id: str) -> None:
        self.bot_id = bot_id
        self._socket: socket.socket | None = None

    def try_take(self) -> bool:
        """Take it; whether it was free."""
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        try:
            lock.bind(f"\0bot-toolkit/poller/{self.bot_id}")
        except OSError as error:
            lock.close()
            if error.errno == errno.EADDRINUSE:
                return False
            raise
        self._socket = lock
        return True

    async def take(self, wait_s: float) -> bool:
        """Take it as soon as it is free; whether that was within so many seconds."""
        until = time.monotonic() + wait_s
        while not self.try_take():
            if time.monotonic() >= until:
                return False
            await asyncio.sleep(_LOOK_S)
        return True

    def release(self) -> None:
        """Let go of it."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
