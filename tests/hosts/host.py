"""What a test does with a host, be it a container or a virtual machine: run commands and bring files in."""

import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from tests.hosts.cache import cache_folder
from tests.hosts.image import OPT, key_file

PATH = f"{OPT}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
RUN_S = 120.0
_WRITE = (
    'umask 077; mkdir -p "$(dirname "$1")"; cat > "$1.new"; '
    'chown "$3" "$1.new"; chmod "$2" "$1.new"; mv "$1.new" "$1"'
)


class Host(ABC):
    """A running machine.

    Attributes:
        name: its host name.
        address: where SSH answers.
        port: the port of it.
    """

    name: str
    address: str
    port: int = 22

    @abstractmethod
    def command(self, argv: Sequence[str], user: str = "root") -> list[str]:
        """The command out here that runs ``argv`` in there, as root's or another's clean session."""

    @abstractmethod
    def wait_until_up(self) -> None:
        """Wait until it has booted."""

    @abstractmethod
    def kill(self) -> None:
        """End it at once, as a power cut does. What it wrote is gone."""

    def come_up(self) -> None:
        """Wait until it has booted; one that does not is ended."""
        try:
            self.wait_until_up()
        except BaseException:
            self.kill()
            raise

    def run(
        self,
        *argv: object,
        user: str = "root",
        code: int | None = 0,
        input: str | None = None,  # noqa: A002
        timeout_s: float = RUN_S,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end.

        Parameters:
            argv: the program, found on a PATH that has the toolkit's commands, and its arguments.
            user: who runs it; other users get ``XDG_RUNTIME_DIR`` too, if their manager runs.
            code: the exit code that is expected; None for any.
            input: what it reads.
            timeout_s: seconds after which it is killed and the test fails.
        """
        words = self.command([str(word) for word in argv], user)
        done = subprocess.run(
            words, input=input or "", capture_output=True, text=True, timeout=timeout_s, check=False
        )
        assert code is None or done.returncode == code, (
            f"{self.name}: {argv}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done

    def start(self, *argv: object, user: str = "root") -> subprocess.Popen[str]:
        """Start a command and leave it running; whoever starts it ends it."""
        pipe = subprocess.PIPE
        words = self.command([str(word) for word in argv], user)
        return subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def out(self, *argv: object, user: str = "root") -> str:
        """What a command prints, without the last line end."""
        return self.run(*argv, user=user).stdout.rstrip("\n")

    def sh(self, script: str, *arguments: object, user: str = "root", code: int | None = 0) -> str:
        """Run lines of shell, which end at the first fault, and give what they print."""
        return self.run("sh", "-euc", script, "sh", *arguments, user=user, code=code).stdout.rstrip("\n")

    def write(self, path: str, text: str, mode: int = 0o644, owner: str = "root:root") -> None:
        """Put a file there, whole, with its folders (0700 where they lack)."""
        self.run("sh", "-euc", _WRITE, "sh", path, f"{mode:o}", owner, input=text)

    def read(self, path: str) -> str:
        return self.run("cat", path).stdout

    def put(self, local: Path, remote: str) -> None:
        """Copy a file or a folder into a folder there, which is made if it lacks. All becomes root's."""
        self.run("mkdir", "-p", remote)
        pack = subprocess.Popen(
            ["tar", "-C", local.parent, "--owner=0", "--group=0", "-cf", "-", local.name],
            stdout=subprocess.PIPE,
        )
        unpack = self.command(["tar", "-C", remote, "-xf", "-"])
        done = subprocess.run(unpack, stdin=pack.stdout, capture_output=True, timeout=RUN_S, check=False)
        if pack.stdout:
            pack.stdout.close()
        assert pack.wait(RUN_S) == 0, local
        assert done.returncode == 0, done.stderr

    def ssh(self, user: str = "root") -> list[str]:
        """The start of an SSH command line; a command for the shell over there may follow."""
        return ["ssh", "-F", str(ssh_config()), "-p", str(self.port), f"{user}@{self.address}"]


def ssh_config() -> Path:
    """A configuration of ssh that knows the tests' key, asks nothing and remembers no host."""
    path = cache_folder() / "ssh_config"
    text = f"""Host *
  IdentityFile {key_file()}
  IdentitiesOnly yes
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  LogLevel ERROR
  BatchMode yes
  ConnectTimeout 20
  ServerAliveInterval 15
"""
    if not path.exists() or path.read_text() != text:
        new = path.with_suffix(".new")
        new.write_text(text)
        new.rename(path)
    return path
