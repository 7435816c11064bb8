"""A host as a booted container: real systemd at native speed, ready in about two seconds.

It has no memory and cpu controllers and no IP filters: a ``Machine`` has.
"""

import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from tests.hosts.cache import cache_folder, lock, lock_file, try_lock
from tests.hosts.host import PATH, Host
from tests.hosts.image import Image

BOOT_S = 60.0
SLOTS = range(1, 251)
_NAMESPACES = ("-m", "-u", "-i", "-n", "-p", "-C")
_NETWORK = "[Match]\nName=host0\n[Network]\nAddress=198.18.{slot}.2/30\nGateway=198.18.{slot}.1\n"


class Container(Host):
    """A container that has booted. Its address is 198.18.N.2 (RFC 2544's range, used by no real host).

    Parameters:
        image: the tree that it boots.
        files: files of its own, by absolute path, there before it boots.

    Attributes:
        leader: the process id, as seen outside, of its init.
    """

    leader: int

    def __init__(self, image: Image, files: dict[str, str] | None = None) -> None:
        self._slot, self._slot_lock = _free_slot()
        self.name = f"bth{self._slot}"
        self.address = f"198.18.{self._slot}.2"
        self._folder = cache_folder() / "slots" / str(self._slot)
        self._image = image
        self._log = self._folder / "console.log"
        own = {
            "/etc/systemd/network/10-host0.network": _NETWORK.format(slot=self._slot),
            "/etc/hosts": f"127.0.0.1 localhost {self.name}\n::1 localhost\n",
            "/etc/machine-id": uuid.uuid4().hex + "\n",
        }
        self._lay_out(own | (files or {}))
        self._process = self._boot()
        self.come_up()

    def command(self, argv: Sequence[str], user: str = "root") -> list[str]:
        session = ["env", "-i", "-C", "/", f"PATH={PATH}", "LANG=C.UTF-8"]
        if user == "root":
            session += ["HOME=/root", "USER=root"]
        else:
            line = 'u=$(id -u); [ ! -d /run/user/$u ] || export XDG_RUNTIME_DIR=/run/user/$u; cd; exec "$@"'
            session += ["runuser", "-u", user, "--", "env", f"HOME=/home/{user}", "sh", "-c", line, "sh"]
        return ["nsenter", "-t", str(self.leader), *_NAMESPACES, *session, *argv]

    @property
    def bus(self) -> str:
        """The D-Bus address of its system bus, for root outside."""
        return f"unix:path=/proc/{self.leader}/root/run/dbus/system_bus_socket"

    @property
    def root(self) -> Path:
        """Its file system, seen from outside."""
        return Path(f"/proc/{self.leader}/root")

    def wait_until_up(self) -> None:
        """Wait until it has booted: systemd has started all that the boot wants, and SSH answers."""
        end = time.monotonic() + BOOT_S
        while not (self._find_leader() and (self.root / "run/dbus/system_bus_socket").exists()):
            assert self._process.poll() is None, f"{self.name} ended:\n{self.console()}"
            assert time.monotonic() < end, f"{self.name} did not start in {BOOT_S:g} s:\n{self.console()}"
            time.sleep(0.02)
        done = self.run("systemctl", "is-system-running", "--wait", code=None, timeout_s=BOOT_S)
        state = done.stdout.strip()
        failed = "" if state == "running" else self.run("systemctl", "--failed", code=None).stdout
        assert state == "running", f"{self.name}: {state} {done.stderr}\n{failed}\n{self.console()}"

    def reboot(self) -> None:
        """Reboot it in order, as ``systemctl reboot`` does; all but /run and /tmp is kept."""
        before = self.leader
        self.run("systemctl", "reboot", code=None)
        end = time.monotonic() + BOOT_S
        while Path(f"/proc/{before}").exists():
            assert time.monotonic() < end, f"{self.name} did not go down:\n{self.console()}"
            time.sleep(0.02)
        self.wait_until_up()

    def console(self) -> str:
        """What it wrote on its console."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def cut_off(self) -> None:
        """Take its network away, as a pulled cable does; ``join`` plugs it in again."""
        subprocess.run(["ip", "link", "set", f"ve-{self.name}", "down"], check=True)

    def join(self) -> None:
        subprocess.run(["ip", "link", "set", f"ve-{self.name}", "up"], check=True)

    def kill(self) -> None:
        """End it at once, as a power cut does. What it wrote is gone."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)
        self._process.wait(BOOT_S)
        self._wait_for_the_end()
        if self._slot_lock >= 0:
            shutil.rmtree(self._folder, ignore_errors=True)
            os.close(self._slot_lock)
            self._slot_lock = -1

    def _lay_out(self, files: dict[str, str]) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        for name in ("tree", "own"):
            (self._folder / name).mkdir(parents=True)
        for path, text in files.items():
            file = self._folder / "own" / path.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def _boot(self) -> subprocess.Popen[bytes]:
        _remove_cgroups(self.name)
        lower = f"{self._folder / 'own'}:{self._image.lower}"
        script = Path(__file__).with_name("boot.sh")
        # If this process dies, the kernel kills unshare, and with it all of the container.
        command = [
            *("setpriv", "--pdeathsig", "KILL"),
            *(
                "unshare",
                "--mount",
                "--propagation",
                "private",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
            ),
            *("sh", script, self.name, self._folder / "tree", lower, f"198.18.{self._slot}.1/30"),
        ]
        with ExitStack() as stack:
            log = stack.enter_context(self._log.open("wb"))
            layers = [
                stack.enter_context(lock(lock_file(layer), shared=True)) for layer in self._image.layers
            ]
            return subprocess.Popen(
                list(map(str, command)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[self._slot_lock, *layers],
            )

    def _find_leader(self) -> bool:
        """Find the container's init: unshare → sh → systemd-nspawn → init."""
        pid = self._process.pid
        for program in ("sh", "systemd-nspawn", "systemd"):
            found = [child for child in _children(pid) if _name(child) == program]
            if not found:
                return False
            pid = found[0]
        self.leader = pid
        return True

    def _wait_for_the_end(self) -> None:
        end = time.monotonic() + BOOT_S
        while Path(f"/sys/class/net/ve-{self.name}").exists() or not _remove_cgroups(self.name):
            assert time.monotonic() < end, f"{self.name} did not end"
            time.sleep(0.02)


def _free_slot() -> tuple[int, int]:
    """A number that no other container of this machine has, and the lock that holds it."""
    folder = cache_folder() / "slots"
    folder.mkdir(exist_ok=True)
    for slot in SLOTS:
        descriptor = os.open(folder / f"{slot}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if try_lock(descriptor):
            return slot, descriptor
        os.close(descriptor)
    raise AssertionError(f"{len(SLOTS)} containers run already")


def _children(pid: int) -> list[int]:
    try:
        return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    except OSError:
        return []


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _remove_cgroups(name: str) -> bool:
    """Remove the control groups that a container of this name left; false while one is in use."""
    for hierarchy in ("unified", "systemd", "."):
        top = Path("/sys/fs/cgroup", hierarchy, name)
        for folder, _, _ in os.walk(top, topdown=False):
            try:
                os.rmdir(folder)
            except FileNotFoundError:
                pass
            except OSError:
                return False
    return True
