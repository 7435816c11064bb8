"""uvicorn, told to serve a sandbox."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from toolkit.sandbox.connection import ABORT, BENEATH, HAS_LEFT, Receive, Scope, Send
from toolkit.sandbox.server import app
from toolkit.sandbox.state import Sandbox

KEEP_ALIVE = 75
GRACE = 3


class _Protocol(H11Protocol):
    """Lets the application close its connection without an answer, or break it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        application: Any = self.app

        def beneath(data: bytes) -> None:
            with contextlib.suppress(OSError):  # the client left
                os.write(transport.get_extra_info("socket").fileno(), data)

        async def extended(scope: Scope, receive: Receive, send: Send) -> None:
            scope["extensions"] = {ABORT: transport.abort, HAS_LEFT: transport.is_closing, BENEATH: beneath}
            await application(scope, receive, send)

        self.app = extended


class _Server(uvicorn.Server):
    """Says when it is ready, lets long polls go when it ends, and ends with status 0 on a signal."""

    def __init__(self, config: uvicorn.Config, sandbox: Sandbox, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._sandbox, self._tell = sandbox, ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._sandbox.close()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        numbers = (signal.SIGTERM, signal.SIGINT)
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def serve(
    sandbox: Sandbox,
    listener: socket.socket,
    ready: Callable[[], None],
    certificate: tuple[Path, Path] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; to be called from the main thread.

    Parameters:
        sandbox: what is served.
        listener: a socket that listens.
        ready: called once, as soon as calls are answered.
        certificate: the PEM files of a certificate and its key, to speak TLS.
    """
    files = certificate or (None, None)
    config = uvicorn.Config(
        app(sandbox),
        http=_Protocol,
        loop="asyncio",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
        ssl_certfile=files[0],
        ssl_keyfile=files[1],
    )
    _Server(config, sandbox, ready).run(sockets=[listener])
