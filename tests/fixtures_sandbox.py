"""Sandboxes for tests. A test module asks for them by ``pytest_plugins = ("tests.fixtures_sandbox",)``.

``sandbox``: a client of one server for the whole session; every test uses bots of its own, so that none
disturbs another. ``own_sandbox``: a server that the test may kill and start again. ``new_token``: a function
that gives a token that no other test uses. ``api``: raw calls of a bot with such a token.
"""

import http.client
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from toolkit.sandbox.client import SandboxClient

_SERVE = """
import sys
from pathlib import Path
from toolkit.sandbox.run import Options, run
run(Options(port=int(sys.argv[1]), url_file=Path(sys.argv[2])), lambda url: None)
"""
START_DEADLINE = 20.0
_numbers = itertools.count(1)


class SandboxServer:
    """A server process; started again it keeps its address and knows nothing of before."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="bt", dir="/tmp"))
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self.start()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers."""
        url_file = self._folder / "url"
        url_file.unlink(missing_ok=True)
        command = [sys.executable, "-c", _SERVE, str(self._port), str(url_file)]
        with open(self._folder / "log", "ab") as log:
            self._process = subprocess.Popen(command, stderr=log)
        end = time.monotonic() + START_DEADLINE
        while not url_file.exists():
            assert self._process.poll() is None, "the sandbox ended at its start"
            assert time.monotonic() < end, "the sandbox did not start in time"
            time.sleep(0.01)
        self.client = SandboxClient(url_file.read_text(encoding="ascii").strip())
        self._port = int(self.client.url.rpartition(":")[2])

    def log(self) -> str:
        """What the server complained of."""
        return (self._folder / "log").read_text(encoding="utf-8")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it; its exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(number)
        return self._process.wait(START_DEADLINE)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self.stop(signal.SIGKILL)

    def close(self) -> None:
        """End it for good."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


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
