"""Takes connections, also in a process that has no file descriptor left.

asyncio's own server writes a log line for each connection that it cannot take, as many times at once as its
backlog is long, and keeps a processor busy with that.
"""

import asyncio
import errno
import os
import socket
from collections.abc import Callable

_SHORT = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
# Until a descriptor is looked for again where none was left, and no connection ends.
_PAUSE_S = 0.2


class Acceptor:
    """Takes a socket's connections from its construction on, in the loop that runs then.

    It keeps a descriptor in reserve: where no other is left, one peer at a time is answered all the same.

    Parameters:
        listener: listens already; it is closed with this.
        protocol: makes what talks to a peer.
    """

    def __init__(self, listener: socket.socket, protocol: Callable[[], asyncio.Protocol]) -> None:
        self._listener, self._protocol = listener, protocol
        self._loop = asyncio.get_running_loop()
        self._reserve: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._opening: set[asyncio.Task[object]] = set()
        listener.setblocking(False)
        self._watch()

    def close(self) -> None:
        """Take no more connections; those that there are go on."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        self._loop.remove_reader(self._listener)
        self._listener.close()
        self._spend()

    def freed(self) -> None:
        """To be called when a connection ends: the reserve needs its descriptor before the app takes it."""
        if self._timer:
            self._timer.cancel()
            self._timer = self._loop.call_later(0, self._watch)  # after the transport has closed it

    def _watch(self) -> None:
        """Wait for peers as soon as a descriptor is in reserve."""
        self._timer = None
        try:
            self._reserve = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._timer = self._loop.call_later(_PAUSE_S, self._watch)
        else:
            self._loop.add_reader(self._listener, self._accept)

    def _spend(self) -> None:
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError as error:
            if error.errno in _SHORT:
                self._accept_by_reserve()
            return  # else the peer is gone already
        self._open(connection)

    def _accept_by_reserve(self) -> None:
        self._loop.remove_reader(self._listener)
        self._spend()
        self._timer = self._loop.call_later(_PAUSE_S, self._watch)
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return  # another thread was quicker, or the peer is gone
        self._open(connection)

    def _open(self, connection: socket.socket) -> None:
        task = self._loop.create_task(self._loop.connect_accepted_socket(self._protocol, connection))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
