"""The runner's connections through a proxy that the environment names: a real one, with and without TLS."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable

import pytest

from bot_runner.transport import RunnerRequest, _request
from tests.http_answers import ANSWER, answer

# No request of these tests takes as many turns of the loop, connecting included.
MOST_TURNS = 500


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


class Proxy:
    """Tunnels what asks for that by CONNECT, and answers all else itself."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, *_ = head.split()
            self.asked.append(method)
            if method == b"CONNECT":
                port = int(target.rpartition(b":")[2])
                there = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
                await asyncio.gather(pass_on(reader, there[1]), pass_on(there[0], writer))
            else:
                writer.write(ANSWER)
                await answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


Call = Callable[[], Awaitable[tuple[int, bytes]]]
Work = Callable[[Call], Awaitable[None]]


@pytest.fixture
def by_proxy(certificate, monkeypatch):
    """Run work with a function that makes a call by a bot's request; give what the proxy was asked."""
    for name in ("ALL_PROXY", "all_proxy", "https_proxy", "http_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(*certificate)
    own = ssl.create_default_context(cafile=certificate[0])
    proxy = Proxy()

    async def run(scheme: str, work: Work) -> None:
        tls = theirs if scheme == "https" else None
        async with (
            await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls) as server,
            await asyncio.start_server(proxy.serve, "127.0.0.1", 0) as between,
        ):
            ports = [each.sockets[0].getsockname()[1] for each in (server, between)]
            for name in ("HTTP_PROXY", "HTTPS_PROXY"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{ports[1]}")
            request = _request(1, own)
            assert isinstance(request, RunnerRequest)
            await request.initialize()
            url = f"{scheme}://localhost:{ports[0]}/"
            await work(lambda: request.do_request(url, "POST", pool_timeout=0.5))
            await request.shutdown()
            # What served a connection ends with it.
            others = asyncio.all_tasks() - {asyncio.current_task()}
            if others:
                _, left = await asyncio.wait(others, timeout=10)
                assert not left

    def started(scheme: str, work: Work) -> list[bytes]:
        asyncio.run(run(scheme, work))
        return proxy.asked

    return started


@pytest.mark.parametrize("connected", [False, True])
@pytest.mark.parametrize(("scheme", "method"), [("http", b"POST"), ("https", b"CONNECT")])
def test_a_call_that_is_cut_off_at_any_moment_keeps_no_connection(by_proxy, scheme, method, connected):
    async def work(call: Call) -> None:
        for turns in range(MOST_TURNS):
            if connected:
                await call()
            cut = asyncio.ensure_future(call())
            for _ in range(turns):
                await asyncio.sleep(0)
            cut.cancel()
            await asyncio.wait({cut})
            assert await call() == (200, b"ok"), f"cut off after {turns} turns"
            if not cut.cancelled():
                assert turns > 3, "the calls ended before they were cut off"
                return
        pytest.fail("no call came to its end")

    assert set(by_proxy(scheme, work)) == {method}


def test_a_server_that_the_environment_excepts_is_called_without_a_proxy(by_proxy, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "localhost")

    async def work(call: Call) -> None:
        assert await call() == (200, b"ok")

    assert by_proxy("https", work) == []


def test_a_proxy_that_takes_what_is_not_installed_is_told_at_once(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    with pytest.raises(RuntimeError, match="SOCKS"):
        _request(1, ssl.create_default_context())
