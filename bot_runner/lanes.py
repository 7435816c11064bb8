"""Connections to the Bot API, each in a pool of its own.

httpcore looks through all requests and connections of a pool, and polls each idle socket, whenever a request
begins or ends: with 16 at once that costs more processor time than all else that a bot does
(https://github.com/encode/httpcore/pull/1035).
"""

import asyncio
import importlib.util
import ssl
import sys
from collections import deque
from collections.abc import Callable

import httpx

KEPT_S = 30.0


class Lanes(httpx.AsyncBaseTransport):
    """An HTTP transport of so many connections, of which the one used last is taken first.

    Parameters:
        count: the most connections.
        make: makes a transport of one connection; the first is made now, so that what hinders all is told
            at once.
    """

    def __init__(self, count: int, make: Callable[[], httpx.AsyncBaseTransport]) -> None:
        self._count, self._make = count, make
        self._all = [make()]
        self._free = list(self._all)
        self._waiting: deque[asyncio.Future[httpx.AsyncBaseTransport]] = deque()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and give its whole answer.

        Raises:
            httpx.PoolTimeout: no connection got free in the time that the request allows for that.
            httpx.HTTPError: as any transport.
        """
        lane = self._free.pop() if self._free else await self._wait(request)
        try:
            answer = await lane.handle_async_request(request)
            try:
                body = b"".join([part async for part in answer.aiter_raw()])
            finally:
                await answer.aclose()
        except BaseException:
            await self._replace(lane)
            raise
        self._give(lane)
        stream = httpx.ByteStream(body)
        return httpx.Response(
            answer.status_code, headers=answer.headers, stream=stream, extensions=answer.extensions
        )

    async def aclose(self) -> None:
        """Close all connections; the next request makes new ones."""
        lanes, self._all, self._free = self._all, [], []
        for lane in lanes:
            await lane.aclose()

    async def _wait(self, request: httpx.Request) -> httpx.AsyncBaseTransport:
        if len(self._all) < self._count:
            self._all.append(self._make())
            return self._all[-1]
        turn: asyncio.Future[httpx.AsyncBaseTransport] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(request.extensions.get("timeout", {}).get("pool")):
                return await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():  # it was given one at the same moment
                self._give(turn.result())
            if isinstance(error, TimeoutError):
                raise httpx.PoolTimeout("all connections are in use", request=request) from None
            raise

    async def _replace(self, lane: httpx.AsyncBaseTransport) -> None:
        """Have another lane in the place of one whose request did not end well.

        A pool of httpcore whose request is cancelled right after it has connected takes its connection for
        used for ever, and has no other.
        """
        if lane in self._all:
            self._all.remove(lane)
            self._all.append(self._make())
            self._give(self._all[-1])
        await lane.aclose()

    def _give(self, lane: httpx.AsyncBaseTransport) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(lane)
                return
        if lane in self._all:
            self._free.append(lane)


class Proxied(httpx.AsyncBaseTransport):
    """A transport by way of the proxies that the environment names, as httpx reads it.

    Parameters:
        verify: the context of TLS.
        limits: of the connections by each proxy, and of those by none.
    """

    def __init__(self, verify: ssl.SSLContext, limits: httpx.Limits) -> None:
        self._client = httpx.AsyncClient(verify=verify, limits=limits)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; its answer is read on."""
        return await self._client.send(request, stream=True)

    async def aclose(self) -> None:
        """Close its connections."""
        await self._client.aclose()


def spare_lookups() -> None:
    """Have a missing sniffio found missing at once: httpcore tries to import it several times a request.

    Each try looks through all folders of Python's search path, which takes a fifth of a bot's time.
    """
    if "sniffio" not in sys.modules and importlib.util.find_spec("sniffio") is None:
        sys.modules["sniffio"] = None  # type: ignore[assignment]
