"""A fleet as an operator has it: the installed command, a private supervisord, the sandbox."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.asking import Asks
from tests.waiting import lives
from toolkit.sandbox.client import SandboxClient

BIN = Path(sys.executable).parent


class Operator(Asks):
    """Types commands, and looks."""

    def __init__(self, folder: Path, sandbox: SandboxClient) -> None:
        self.folder, self.sandbox = folder, sandbox
        self.fleet = folder / "fleet.yaml"
        self.home = folder / "state" / "test"

    def start(self, *arguments: str, behind: tuple[str, ...] = (), **options: Any) -> subprocess.Popen[str]:
        command = [*behind, str(BIN / "toolkit"), "-f", str(self.fleet), *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, **(pipes | options))

    def run(self, *arguments: str, code: int | None = 0, **options: Any) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, **options)
        out, err = process.communicate(timeout=120)
        assert code is None or process.returncode == code, f"{arguments}: {process.returncode}\n{out}\n{err}"
        assert "Traceback" not in err, err
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def bot_id(self, bot: str) -> str:
        return self.token(bot).partition(":")[0]

    def token(self, bot: str) -> str:
        return (self.folder / "secrets" / f"{bot}.token").read_text().strip()

    def ask(self, bot: str, text: str) -> list[str]:
        return [answer["text"] for answer in self.sandbox.ask(self.bot_id(bot), text)]

    def edit(self, old: str, new: str) -> None:
        text = self.fleet.read_text()
        assert old in text
        self.fleet.write_text(text.replace(old, new))

    def supervisor_pid(self) -> int:
        return int((self.home / "run" / "supervisord.pid").read_text())

    lives = staticmethod(lives)

    def supervisorctl(self, *arguments: str) -> str:
        command = [BIN / "supervisorctl", "-c", self.home / "supervisord.conf", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout

    def runners(self) -> list[int]:
        """Every process that runs a bot of this fleet, wherever it came from."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    words = (entry / "cmdline").read_bytes()
                except OSError:
                    continue
                if os.fsencode(self.home / "bots") in words and b"bot-runner" in words:
                    found.append(int(entry.name))
        return found


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory) -> Iterator[SandboxClient]:
    folder = tmp_path_factory.mktemp("sandbox")
    toolkit = str(BIN / "toolkit")
    started = [toolkit, "sandbox", "--detach", "--port", "0"]
    files = [
        "--url-file",
        str(folder / "url"),
        "--pid-file",
        str(folder / "pid"),
        "--log",
        str(folder / "log"),
    ]
    subprocess.run([*started, *files], check=True, timeout=60, stdout=subprocess.DEVNULL)
    yield SandboxClient((folder / "url").read_text().strip())
    subprocess.run([toolkit, "sandbox", "stop", "--pid-file", str(folder / "pid")], check=True, timeout=60)


@contextmanager
def _operator(sandbox: SandboxClient) -> Iterator[Operator]:
    with tempfile.TemporaryDirectory(prefix="bt", dir="/tmp", ignore_cleanup_errors=True) as folder:
        made = Operator(Path(folder) / "f", sandbox)
        command = ["init", str(made.folder), "--name", "test", "--endpoint", sandbox.url, "--keep-in-folder"]
        made.run(*command)
        yield made
        made.run("down", code=None)
        for pid in made.runners():
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def operator(sandbox) -> Iterator[Operator]:
    """An operator with a fleet of three bots that is not up yet."""
    with _operator(sandbox) as made:
        yield made


@pytest.fixture
def up(operator) -> Operator:
    """The same, up."""
    operator.run("up")
    return operator


@pytest.fixture(scope="module")
def standing(sandbox) -> Iterator[Operator]:
    """The same for all tests of a file, which leave it as they found it."""
    with _operator(sandbox) as made:
        made.run("up")
        yield made
