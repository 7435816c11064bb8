"""A sandbox's server process for tests."""

import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.waiting import eventually
from toolkit.sandbox.client import SandboxClient

_SERVE = """
import sys
from pathlib import Path
from toolkit.sandbox.run import Options, run
run(Options(port=int(sys.argv[1]), url_file=Path(sys.argv[2])), lambda url: None)
"""
START_DEADLINE = 20.0


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
        process = self._process
        eventually(lambda: url_file.exists() or process.poll() is not None, START_DEADLINE, "a sandbox")
        assert process.poll() is None, "the sandbox ended at its start"
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
