"""One HTTP request under way: its body, its client's leaving, its answer or none."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from toolkit.sandbox.replies import ApiError, Reply

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

ABORT = "toolkit.abort"
"""The ASGI extension that closes the connection at once; ``serving.py`` provides it."""
HAS_LEFT = "toolkit.has_left"
"""The ASGI extension that says whether the client has closed the connection, or it was; likewise."""
BENEATH = "toolkit.beneath"
"""The ASGI extension that writes bytes to the socket itself, beneath TLS where there is any; likewise."""
_TLS_ALERT = bytes.fromhex("15030300020228")  # fatal, handshake_failure: RFC 8446, 6
_PLAIN = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
MAX_BODY = 50_000_000


class Connection:
    """One request and its answer, over ASGI.

    Parameters:
        scope, receive, send: as an ASGI application gets them.
    """

    __slots__ = ("_receive", "_scope", "_send")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send

    @property
    def content_type(self) -> str:
        """The request's content type with its parameters, or empty."""
        for name, value in self._scope["headers"]:
            if name == b"content-type":
                return str(value.decode("latin-1"))
        return ""

    @property
    def has_left(self) -> bool:
        """Whether the connection is closed."""
        return bool(self._scope["extensions"][HAS_LEFT]())

    async def body(self) -> bytes:
        """The whole body of the request.

        Raises:
            ApiError: 413, it is larger than MAX_BODY.
            ConnectionResetError: the client left.
        """
        parts, size = [], 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ConnectionResetError
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > MAX_BODY:
                raise ApiError(413, "Request Entity Too Large")
            if not message.get("more_body"):
                return b"".join(parts) if len(parts) > 1 else parts[0]

    async def wait(self, future: asyncio.Future[Any], seconds: float | None) -> None:
        """Wait for the future, at most so long; to be called only after the body was read.

        Raises:
            ConnectionResetError: the client left meanwhile.
        """
        gone = asyncio.ensure_future(self._receive())
        try:
            await asyncio.wait([future, gone], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if gone.done() and not future.done():
                raise ConnectionResetError
        finally:
            gone.cancel()

    async def answer(self, reply: Reply) -> None:
        """Send the answer."""
        headers = [(b"content-type", reply.content_type), (b"content-length", b"%d" % len(reply.body))]
        if reply.retry_after:
            headers.append((b"retry-after", b"%d" % reply.retry_after))
        await self._send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": reply.body})

    def change_protocol(self) -> None:
        """Send what no client of this connection can read, as if TLS had been turned off, or on."""
        self._scope["extensions"][BENEATH](_PLAIN if self._scope["scheme"] == "https" else _TLS_ALERT)

    async def drop(self) -> None:
        """Close the connection without an answer."""
        self._scope["extensions"][ABORT]()
        while (await self._receive())["type"] != "http.disconnect":
            pass
