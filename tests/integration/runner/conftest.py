"""A real bot-runner process for a test, and a sandbox for it to talk to."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests import waiting
from tests.sandbox_server import SandboxServer
from tests.waiting import lives
from toolkit import botfile, run_record
from toolkit.botfile import App, BotFile, Files, Restart
from toolkit.ipc.protocol import FrameDecoder, Request, call, parse_answer
from toolkit.sandbox.client import SandboxClient
from toolkit.secrets import TokenReference

APPS = Path(__file__).parents[2] / "apps"
RUNNER = Path(sys.executable).with_name("bot-runner")
WITHIN_S = 20.0


def eventually(condition: Callable[[], Any], what: str, within_s: float = WITHIN_S) -> Any:
    return waiting.eventually(condition, within_s, what)


@pytest.fixture(scope="session")
def sandbox() -> Iterator[SandboxClient]:
    server = SandboxServer()
    yield server.client
    server.close()


class Bot:
    """One bot file and the runner that runs it."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self.folder = folder
        # Not by `random`, which tests seed: a bot would find the messages of another test.
        self.id = str(10**9 + secrets.randbelow(10**12 - 10**9))
        self.token = f"{self.id}:{'S3cr3t-t0ken_' * 3}"
        self.started: list[subprocess.Popen[bytes]] = []
        token_file = folder / "token"
        token_file.write_text(self.token + "\n")
        token_file.chmod(0o600)
        self.file = BotFile(
            fleet="demo",
            name="alice",
            type="echo",
            backend="supervisord",
            app=App(kind="telegram", target="echo_app:build", search=(str(APPS),)),
            directory=str(folder),
            token=TokenReference("file", (str(token_file),)),
            endpoint=endpoint,
            config={"greeting": "Hello", "deep": {"list": [1, 2]}},
            restart=Restart(pause_s=0.3, pause_max_s=1.0),
            files=Files(
                state=str(folder / "state"),
                socket=str(folder / "run" / "control.sock"),
                run_record=str(folder / "state" / "run.json"),
                log=str(folder / "bot.log"),
            ),
            stop_s=5.0,
        )
        self.path = folder / "bot.json"

    def app(self, kind: str, target: str = "", **more: Any) -> "Bot":
        return self.change(app=App(kind=kind, target=target, search=(str(APPS),), **more))

    def change(self, **changes: Any) -> "Bot":
        self.file = msgspec.structs.replace(self.file, **changes)
        return self

    def twin(self) -> "Bot":
        """Another bot with the same token."""
        folder = self.folder / "twin"
        folder.mkdir()
        twin = Bot(folder, self.file.endpoint).change(token=self.file.token)
        twin.started = self.started
        return twin

    def start(self, **environ: str) -> subprocess.Popen[bytes]:
        self.path.write_text(botfile.encode(self.file))
        with open(self.folder / "stray.log", "ab") as stray:
            self.runner = subprocess.Popen(
                [RUNNER, self.path], stdout=stray, stderr=stray, env={**os.environ, **environ}
            )
        self.started.append(self.runner)
        return self.runner

    def up(self, **environ: str) -> subprocess.Popen[bytes]:
        self.start(**environ)
        self.until("RUNNING")
        return self.runner

    def connect(self) -> socket.socket:
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(10)
        try:
            peer.connect(self.file.files.socket)
        except OSError:
            peer.close()
            raise
        return peer

    def ask(self, method: str, **params: Any) -> Any:
        with self.connect() as peer:
            peer.sendall(call(Request(1, method, params)))
            decoder = FrameDecoder()
            payloads: list[bytes] = []
            while not payloads:
                received = peer.recv(65536)
                if not received:  # it ended before it had answered
                    raise ConnectionResetError
                payloads = decoder.feed(received)
        return parse_answer(payloads[0])

    def status(self) -> dict[str, Any]:
        try:
            return self.ask("status")
        except OSError:
            return {"state": "", "reason": ""}

    def until(self, state: str, reason: str = "", within_s: float = WITHIN_S) -> dict[str, Any]:
        def reached() -> dict[str, Any] | None:
            status = self.status()
            return status if status["state"] == state and reason in status["reason"] else None

        try:
            return eventually(reached, f"{state} {reason}", within_s)
        except AssertionError:
            raise AssertionError(f"{self.status()}\n{self.log()}\n{self.stray()}") from None

    def ended(self, within_s: float = WITHIN_S) -> int:
        return self.runner.wait(within_s)

    def stop(self) -> int:
        self.runner.send_signal(signal.SIGTERM)
        return self.ended()

    def log(self) -> str:
        files = sorted(self.folder.glob("bot.log*"))
        return "".join(file.read_text() for file in files if file.is_file())

    def stray(self) -> str:
        return (self.folder / "stray.log").read_text()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log().splitlines()]

    def messages(self, logger: str | None = None) -> list[str]:
        return [line["message"] for line in self.lines() if logger in {None, line["logger"]}]

    def record(self) -> run_record.RunRecord:
        return run_record.read(Path(self.file.files.run_record))


@pytest.fixture
def new_bot(sandbox: SandboxClient) -> Iterator[Callable[..., Bot]]:
    """Makes bots; their processes and folders end with the test."""
    made: list[Bot] = []

    def make(endpoint: str = sandbox.url) -> Bot:
        made.append(Bot(Path(tempfile.mkdtemp(prefix="bt", dir="/tmp")), endpoint))
        return made[-1]

    yield make
    for each in made:
        for runner in each.started:
            runner.kill()
            runner.wait()
    impossible = [line for each in made for line in each.log().splitlines() if "impossible change" in line]
    for each in made:
        shutil.rmtree(each.folder, ignore_errors=True)
    assert not impossible


@pytest.fixture
def bot(new_bot: Callable[..., Bot]) -> Bot:
    return new_bot()


@pytest.fixture(name="lives")
def lives_fixture() -> Callable[[int], bool]:
    return lives


@pytest.fixture(name="eventually")
def eventually_fixture() -> Callable[..., Any]:
    return eventually
