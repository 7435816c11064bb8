"""Sandboxes for tests. A test module asks for them by ``pytest_plugins = ("tests.fixtures_sandbox",)``.

``sandbox``: a client of one server for the whole session; every test uses bots of its own, so that none
disturbs another. ``own_sandbox``: a server that the test may kill and start again. ``new_token``: a function
that gives a token that no other test uses. ``api``: raw calls of a bot with such a token.
"""

import http.client
import itertools
import json
import os
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from tests.sandbox_server import SandboxServer
from toolkit.sandbox.client import SandboxClient

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def sandbox() -> Iterator[SandboxClient]:
    server = SandboxServer()
    yield server.client
    code, log = server.stop(), server.log()
    server.close()
    assert code == 0, f"the sandbox ended with {code}"
    assert "Traceback" not in log, log


@pytest.fixture
def own_sandbox() -> Iterator[SandboxServer]:
    server = SandboxServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def new_token() -> Callable[[], str]:
    # Tests of several processes may share a server: the process id keeps their bots apart.
    return lambda: f"{os.getpid()}{next(_numbers):05}:{'sandbox-token-' * 3}"


class Api:
    """Calls of one bot without python-telegram-bot: each on a connection of its own, with its raw answer."""

    def __init__(self, sandbox: SandboxClient, token: str) -> None:
        self.sandbox, self.token = sandbox, token
        self.id = token.partition(":")[0]
        self.address = (sandbox.url.split("//")[1].partition(":")[0], int(sandbox.url.rpartition(":")[2]))

    def request(
        self, verb: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Status and body of an answer."""
        connection = http.client.HTTPConnection(*self.address, timeout=30)
        try:
            connection.request(verb, path, body or None, headers or {})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def __call__(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to a call with JSON parameters, whatever its status."""
        body = json.dumps(parameters).encode()
        _, answer = self.request(
            "POST", f"/bot{self.token}/{method}", body, {"Content-Type": "application/json"}
        )
        return cast("dict[str, Any]", json.loads(answer))

    def updates(self, **parameters: Any) -> list[dict[str, Any]]:
        """What getUpdates gives."""
        answer = self("getUpdates", **parameters)
        assert answer["ok"], answer
        return cast("list[dict[str, Any]]", answer["result"])

    def begin(self, method: str, **parameters: Any) -> "Pending":
        """A call whose answer is fetched later; it is under way when this returns."""
        before = self.sandbox.counters(self.id)["calls"].get(method, 0)
        pending = Pending(self.address, f"/bot{self.token}/{method}", json.dumps(parameters).encode())
        self.sandbox.wait_until(self.id, lambda counters: counters["calls"].get(method, 0) > before)
        return pending


class Pending:
    """A call under way."""

    def __init__(self, address: tuple[str, int], path: str, body: bytes) -> None:
        self._connection = http.client.HTTPConnection(*address, timeout=30)
        self._connection.request("POST", path, body, {"Content-Type": "application/json"})

    def answer(self) -> dict[str, Any]:
        """Wait for the answer."""
        try:
            return cast("dict[str, Any]", json.loads(self._connection.getresponse().read()))
        finally:
            self._connection.close()

    def leave(self) -> None:
        """Close the connection without waiting."""
        self._connection.close()


@pytest.fixture
def api(sandbox: SandboxClient, new_token: Callable[[], str]) -> Api:
    return Api(sandbox, new_token())
