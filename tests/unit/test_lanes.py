"""The runner's connections, against a real server."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest

from bot_runner.lanes import Lanes
from tests.http_answers import answer

# A request of these tests takes fewer turns of the loop than this, connecting included.
MOST_TURNS = 60


def with_lanes(count: int, work: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
    async def run() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
            lanes = Lanes(count, lambda: httpx.AsyncHTTPTransport(limits=limits))
            timeout = httpx.Timeout(5.0, pool=0.5)
            async with httpx.AsyncClient(
                transport=lanes, base_url=f"http://127.0.0.1:{port}", timeout=timeout
            ) as client:
                await work(client)

    asyncio.run(run())


async def cut_off(request: "asyncio.Task[httpx.Response]", turns: int) -> bool:
    """Cancel a request after so many turns of the loop; whether that came before its end."""
    for _ in range(turns):
        await asyncio.sleep(0)
    request.cancel()
    await asyncio.wait({request})
    return request.cancelled()


@pytest.mark.parametrize("connected", [False, True])
def test_a_request_that_is_cut_off_at_any_moment_keeps_no_connection(connected):
    async def work(client: httpx.AsyncClient) -> None:
        cut = 0
        for turns in range(MOST_TURNS):
            if connected:
                await client.get("/")
            cut += await cut_off(asyncio.create_task(client.get("/")), turns)
            assert (await client.get("/")).text == "ok", f"cut off after {turns} turns"
        assert cut > 3, "the requests ended before they were cut off"

    with_lanes(1, work)


def test_those_who_wait_go_on_where_the_request_before_them_is_cut_off():
    async def work(client: httpx.AsyncClient) -> None:
        first = asyncio.create_task(client.get("/"))
        await asyncio.sleep(0)
        waiting = [asyncio.create_task(client.get("/")) for _ in range(3)]
        assert await cut_off(first, 2)
        assert [(await each).text for each in waiting] == ["ok"] * 3

    with_lanes(1, work)


def test_a_connection_is_waited_for_no_longer_than_asked():
    async def work(client: httpx.AsyncClient) -> None:
        held = asyncio.Event()

        async def body():
            await held.wait()
            yield b""

        holder = asyncio.create_task(client.post("/", content=body()))
        await asyncio.sleep(0)
        with pytest.raises(httpx.PoolTimeout):
            await client.get("/", timeout=httpx.Timeout(5.0, pool=0.05))
        held.set()
        assert (await holder).text == "ok"

    with_lanes(1, work)
