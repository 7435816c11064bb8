"""The control socket's server: whatever a peer sends, it gets a defined answer and never hurts the bot."""

import asyncio
import contextlib
import inspect
import logging
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from toolkit.ipc import protocol
from toolkit.ipc.acceptor import Acceptor
from toolkit.ipc.listening import listening_socket
from toolkit.ipc.protocol import FrameDecoder, Request, RpcError

Method = Callable[[dict[str, Any]], object]
_log = logging.getLogger(__name__)
# struct ucred: pid, uid, gid.
_CREDENTIALS = struct.Struct("=iII")
# Peers that may not call are told so, so many at once; the others are hung up on.
_UNWELCOME = 4


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one peer may take.

    Parameters:
        connections: how many at once; one more is told BUSY.
        frame_s: seconds from a frame's first byte to its last.
        answer_s: seconds in which a peer has to read an answer, and a method to give one.
        idle_s: seconds without a call after which a connection is closed.
    """

    connections: int = 64
    frame_s: float = 5.0
    answer_s: float = 5.0
    idle_s: float = 60.0


class ControlServer:
    """Answers JSON-RPC calls on a Unix socket.

    Parameters:
        path: the socket.
        bot: whose socket it is. A call that is meant for another is refused.
        methods: for each name what answers it: a function of the parameters, plain or async, that
            returns something JSON can hold, or raises RpcError.
        mode: who may connect.
        bounds: what a peer may take.
        refused_group: a process whose own group this is may not call, unless it is root's. Who is in the
            group besides may.
    """

    def __init__(
        self,
        path: Path,
        bot: str,
        methods: Mapping[str, Method],
        mode: int = 0o600,
        bounds: Bounds | None = None,
        refused_group: int | None = None,
    ) -> None:
        self._path, self._mode = path, mode
        self._refused_group = refused_group
        self._answerer = _Answerer(bot, methods, bounds or Bounds())
        self._acceptor: Acceptor | None = None
        self._inode = 0

    async def start(self) -> None:
        """Begin to answer.

        Raises:
            RefusedError: a living process listens there.
            OSError: the socket cannot be bound.
        """
        listener = listening_socket(self._path, self._mode)
        self._inode = self._path.stat().st_ino
        acceptor = self._acceptor = Acceptor(
            listener, lambda: _Conversation(self._answerer, acceptor.freed, self._refused_group)
        )

    async def close(self) -> None:
        """Take no more connections and remove the socket, if it is still ours."""
        if self._acceptor is not None:
            self._acceptor.close()
            with contextlib.suppress(OSError):
                if self._path.stat().st_ino == self._inode:
                    self._path.unlink()


class _Conversation(asyncio.Protocol):
    """One connection.

    It is a protocol without streams: `bot list` may ask a thousand bots at once, and each answer costs less
    so. Only one deadline runs at a time: for a call to begin, for the rest of a frame, or for an answer to be
    taken or given.
    """

    def __init__(
        self, answerer: "_Answerer", ended: Callable[[], object], refused_group: int | None = None
    ) -> None:
        self._answerer, self._refused_group = answerer, refused_group
        self._unwelcome = False
        self._tell_end = ended
        self._bounds = answerer.bounds
        self._decoder = FrameDecoder()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: list[bytes] = []
        self._answering: asyncio.Task[None] | None = None
        self._congested = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        # Every byte must be taken for an answer to count as read.
        self._transport.set_write_buffer_limits(high=0)
        self._unwelcome = self._refused_group is not None and _is_of(self._transport, self._refused_group)
        peers = self._answerer.peers
        peers[self._unwelcome] += 1
        if self._unwelcome:
            self._limit(self._bounds.frame_s, self._transport.close)
            if peers[True] > _UNWELCOME:
                self._transport.abort()
        elif peers[False] > self._bounds.connections:
            self._end(self._refusal(protocol.BUSY, "too many connections; try again later"))
        else:
            self._limit(self._bounds.idle_s, self._transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._answerer.peers[self._unwelcome] -= 1
        self._limit(None)
        if self._answering:
            self._answering.cancel()
        self._tell_end()

    def data_received(self, data: bytes) -> None:
        # Told once it has asked: what closes before that is reset, and its last words are lost.
        if self._unwelcome:
            self._end(self._refusal(protocol.REFUSED, "bots may not call each other's control sockets"))
            return
        begun = self._decoder.pending
        try:
            payloads = self._decoder.feed(data)
        except RpcError as error:
            self._end(protocol.failure(None, error, self._answerer.bot))
            return
        self._waiting += payloads
        if not self._decoder.pending:
            self._limit(self._bounds.idle_s, self._transport.close)
        elif payloads or not begun:
            self._limit(self._bounds.frame_s, self._not_whole)
        self._go_on()

    def pause_writing(self) -> None:
        """The peer does not read: nothing more is answered until it does, and that for so long only."""
        self._congested = True
        self._transport.pause_reading()
        self._limit(self._bounds.answer_s, self._drop)

    def resume_writing(self) -> None:
        self._congested = False
        self._transport.resume_reading()
        self._limit(self._bounds.idle_s, self._transport.close)
        self._go_on()

    def _go_on(self) -> None:
        """Answer what waits, in its order, as far as the peer takes it."""
        while self._waiting and not self._congested and not self._answering:
            answer = self._answerer.answer(self._waiting.pop(0))
            if isinstance(answer, Coroutine):
                # What comes meanwhile waits at the peer, not here.
                self._transport.pause_reading()
                self._answering = self._loop.create_task(self._later(answer))
            elif answer is not None:
                self._transport.write(answer)

    async def _later(self, answer: "Coroutine[Any, Any, bytes | None]") -> None:
        data = await answer
        self._answering = None
        if not self._transport.is_closing():
            self._transport.resume_reading()
            if data is not None:
                self._transport.write(data)
            self._go_on()

    def _not_whole(self) -> None:
        self._end(self._refusal(protocol.TIMEOUT, f"a frame was not whole within {self._bounds.frame_s:g} s"))

    def _refusal(self, code: int, text: str) -> bytes:
        return protocol.failure(None, RpcError(code, text), self._answerer.bot)

    def _end(self, last: bytes) -> None:
        """Give a last answer, and close when it was taken."""
        self._waiting.clear()
        self._transport.write(last)
        self._transport.close()
        self._limit(self._bounds.answer_s, self._drop)

    def _drop(self) -> None:
        _log.debug("a control connection was dropped: its peer does not read")
        self._transport.abort()

    def _limit(self, seconds: float | None, then: Callable[[], object] | None = None) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, then) if seconds is not None and then else None


def _is_of(transport: asyncio.Transport, group: int) -> bool:
    """Whether the peer's own group, as of its connect(2), is this one and it is not root: unix(7)."""
    peer = transport.get_extra_info("socket")
    _, uid, gid = _CREDENTIALS.unpack(
        peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    )
    return bool(gid == group and uid != 0)


class _Answerer:
    """Calls the methods."""

    def __init__(self, bot: str, methods: Mapping[str, Method], bounds: Bounds) -> None:
        self.bot, self._methods, self.bounds = bot, methods, bounds
        # How many are connected: those that may call, and those that may not.
        self.peers = {False: 0, True: 0}

    def answer(self, payload: bytes) -> "bytes | Coroutine[Any, Any, bytes | None] | None":
        """The frame that answers a call, None for a notification; to be awaited where the method is async."""
        try:
            request = protocol.parse_request(payload)
        except RpcError as error:
            return protocol.failure(None, error, self.bot)
        try:
            _need_time(request)
            value = self._method(request)(request.params)
            if inspect.isawaitable(value):
                return self._awaited(request, value)
            return self._result(request, value)
        except Exception as error:  # noqa: BLE001  what a method raises is told the peer, if it may know
            return self._failure(request, error)

    def _method(self, request: Request) -> Method:
        if request.bot not in ("", self.bot):
            asked = request.bot[:64]
            raise RpcError(protocol.REFUSED, f"bot {self.bot} got what was meant for {asked!r}")
        method = self._methods.get(request.method)
        if method is None:
            raise RpcError(protocol.METHOD_NOT_FOUND, f"no method {request.method[:100]!r}")
        return method

    async def _awaited(self, request: Request, value: Awaitable[object]) -> bytes | None:
        try:
            async with asyncio.timeout(self.bounds.answer_s):
                return self._result(request, await value)
        except TimeoutError:
            return self._failure(request, RpcError(protocol.TIMEOUT, f"{request.method} took too long"))
        except Exception as error:  # noqa: BLE001  as above
            return self._failure(request, error)

    def _result(self, request: Request, value: object) -> bytes | None:
        return None if request.id is None else protocol.result(request.id, value, self.bot)

    def _failure(self, request: Request, error: Exception) -> bytes | None:
        if not isinstance(error, RpcError):
            # Whatever else a method raises is a fault of ours; the peer learns only that, as an exception's
            # text may hold a secret, and the log learns all.
            _log.error("control method %s failed", request.method, exc_info=error)
            error = RpcError(protocol.INTERNAL_ERROR, "internal error")
        return None if request.id is None else protocol.failure(request.id, error, self.bot)


def _need_time(request: Request) -> None:
    """See that somebody still waits for what a call is to do."""
    if request.deadline is not None and time.monotonic() > request.deadline:
        raise RpcError(protocol.TIMEOUT, f"{request.method[:100]!r} came too late, and was not done")
