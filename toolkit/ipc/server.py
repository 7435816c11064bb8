"""The control socket's server: whatever a peer sends, it gets a defined answer and never hurts the bot."""

import asyncio
import contextlib
import inspect
import logging
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.errors import RefusedError
from toolkit.ipc import protocol
from toolkit.ipc.protocol import FrameDecoder, Request, RpcError

Method = Callable[[dict[str, Any]], object]
_log = logging.getLogger(__name__)
_BACKLOG = 128
_CHUNK = 65536


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


def listening_socket(path: Path, mode: int) -> socket.socket:
    """A bound socket at this path; one that a dead process left is replaced.

    Parameters:
        path: at most 107 bytes (unix(7)).
        mode: who may connect, as a file mode such as 0o600.

    Raises:
        RefusedError: a living process listens there.
        OSError: it cannot be bound.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, contextlib.suppress(OSError):
        probe.settimeout(1.0)
        probe.connect(str(path))
        raise RefusedError(f"{path}: another process answers there", "stop it first")
    # Bound under another name first: nobody connects before the mode is right.
    temporary = path.with_name(f".{os.getpid()}")
    temporary.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listener.bind(str(temporary))
        temporary.chmod(mode)
        listener.listen(_BACKLOG)
        temporary.rename(path)
    except OSError:
        listener.close()
        temporary.unlink(missing_ok=True)
        raise
    return listener


class ControlServer:
    """Answers JSON-RPC calls on a Unix socket.

    Parameters:
        path: the socket.
        methods: for each name what answers it: a function of the parameters, plain or async, that
            returns something JSON can hold, or raises RpcError.
        mode: who may connect.
        bounds: what a peer may take.
    """

    def __init__(
        self, path: Path, methods: Mapping[str, Method], mode: int = 0o600, bounds: Bounds | None = None
    ) -> None:
        self._path, self._methods, self._mode = path, methods, mode
        self._bounds = bounds or Bounds()
        self._connections = 0
        self._server: asyncio.Server | None = None
        self._inode = 0

    async def start(self) -> None:
        """Begin to answer.

        Raises:
            RefusedError: a living process listens there.
            OSError: the socket cannot be bound.
        """
        listener = listening_socket(self._path, self._mode)
        self._inode = self._path.stat().st_ino
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, backlog=_BACKLOG)

    async def close(self) -> None:
        """Take no more connections and remove the socket, if it is still ours."""
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(OSError):
                if self._path.stat().st_ino == self._inode:
                    self._path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Every byte must be taken for an answer to count as read.
        writer.transport.set_write_buffer_limits(high=0)
        self._connections += 1
        try:
            if self._connections > self._bounds.connections:
                await self._send(writer, _refusal(protocol.BUSY, "too many connections; try again later"))
            else:
                await self._converse(reader, writer)
        except (OSError, TimeoutError):
            _log.debug("a control connection was dropped: its peer is gone or does not read")
        finally:
            self._connections -= 1
            writer.transport.abort() if writer.transport.get_write_buffer_size() else writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = FrameDecoder()
        loop = asyncio.get_running_loop()
        deadline: float | None = None
        while True:
            until = deadline if deadline is not None else loop.time() + self._bounds.idle_s
            try:
                async with asyncio.timeout_at(until):
                    data = await reader.read(_CHUNK)
                payloads = decoder.feed(data)
            except TimeoutError:
                if deadline is not None:
                    text = f"a frame was not whole within {self._bounds.frame_s:g} s"
                    await self._send(writer, _refusal(protocol.TIMEOUT, text))
                return
            except RpcError as error:
                await self._send(writer, protocol.failure(None, error))
                return
            if not data:
                return
            for payload in payloads:
                await self._send(writer, await self._answer(payload))
            if not decoder.pending:
                deadline = None
            elif payloads or deadline is None:
                deadline = loop.time() + self._bounds.frame_s

    async def _send(self, writer: asyncio.StreamWriter, data: bytes | None) -> None:
        if data is not None:
            async with asyncio.timeout(self._bounds.answer_s):
                writer.write(data)
                await writer.drain()

    async def _answer(self, payload: bytes) -> bytes | None:
        """The frame that answers a call; None for a notification."""
        try:
            request = protocol.parse_request(payload)
        except RpcError as error:
            return protocol.failure(None, error)
        try:
            answer = protocol.result(request.id, await self._call(request))
        except RpcError as error:
            answer = protocol.failure(request.id, error)
        except Exception:  # noqa: BLE001
            # Whatever a method raises is a fault of ours; the peer learns only that, as an exception's
            # text may hold a secret, and the log learns all.
            _log.exception("control method %s failed", request.method)
            answer = _refusal(protocol.INTERNAL_ERROR, "internal error", request.id)
        return None if request.id is None else answer

    async def _call(self, request: Request) -> object:
        method = self._methods.get(request.method)
        if method is None:
            raise RpcError(protocol.METHOD_NOT_FOUND, f"no method {request.method[:100]!r}")
        value = method(request.params)
        if inspect.isawaitable(value):
            try:
                async with asyncio.timeout(self._bounds.answer_s):
                    value = await value
            except TimeoutError:
                raise RpcError(protocol.TIMEOUT, f"{request.method} took too long") from None
        return value


def _refusal(code: int, text: str, request_id: int | str | None = None) -> bytes:
    return protocol.failure(request_id, RpcError(code, text))
