"""A host as a virtual machine, some fifteen times slower than a container: it enforces limits."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from shlex import join

from tests.hosts import image
from tests.hosts.cache import cache_folder, lock, lock_file, try_lock
from tests.hosts.host import PATH, Host

BOOT_S = 240.0
_HERE = Path(__file__).parent
_DISK = """
cd "$2"; mkdir tree; mount -t overlay -o "lowerdir=$1" overlay tree
cp tree/boot/kernel tree/boot/initrd .
mke2fs -q -t ext4 -L root -d tree disk 2500M
umount tree
"""
_FAILED_AT_BOOT = """
until systemctl is-active --quiet multi-user.target; do sleep 0.5; done
systemctl list-units --failed --no-legend --plain
"""


class Machine(Host):
    """A machine that has booted from a copy of the image, reached by SSH at a port of this one.

    It ends at once with the process that started it, as by a power cut.
    """

    address = "127.0.0.1"

    def __init__(self, name: str = "vm") -> None:
        self.name, self.port = name, _free_port()
        self._folder, self._lock = _own_folder()
        # A path that is short wherever the cache lies: the address of a socket has 108 bytes.
        self._connections = tempfile.TemporaryDirectory(prefix="toolkit-")
        tree = _tree()
        with ExitStack() as stack:
            for layer in tree.layers:
                stack.enter_context(lock(lock_file(layer), shared=True))
            shell = ["sh", "-euc", _DISK, "disk", tree.lower, self._folder]
            unshare = ["unshare", "--mount", "--propagation", "private"]
            subprocess.run([*unshare, *shell], check=True, timeout=300)
        self._process = self._start()
        self.come_up()

    def command(self, argv: Sequence[str], user: str = "root") -> list[str]:
        session = ["env", f"PATH={PATH}", "LANG=C.UTF-8"]
        return [*self.ssh(user), join([*session, *argv])]

    def ssh(self, user: str = "root") -> list[str]:
        """As any host's, over one connection of each user: to open one takes a machine seconds."""
        program, *options = super().ssh(user)
        path = f"{self._connections.name}/{user}"
        shared = ("ControlMaster=auto", "ControlPersist=30", f"ControlPath={path}")
        return [program, *(word for option in shared for word in ("-o", option)), *options]

    def wait_until_up(self) -> None:
        """Wait until it has booted and SSH answers."""
        end = time.monotonic() + BOOT_S
        while True:
            assert self._process.poll() is None, f"{self.name} ended:\n{self.console()}"
            assert time.monotonic() < end, f"{self.name} did not start in {BOOT_S:g} s:\n{self.console()}"
            if self.run("true", code=None).returncode == 0:
                break
            time.sleep(0.5)
        # `is-system-running` would wait for a bot that never gets ready.
        failed = self.run("sh", "-c", _FAILED_AT_BOOT, timeout_s=BOOT_S).stdout
        assert not failed, f"{self.name}:\n{failed}"

    def reboot(self) -> None:
        """Reboot it in order."""
        before = self.out("cat", "/proc/sys/kernel/random/boot_id")
        self.run("systemctl", "reboot", code=None)
        end = time.monotonic() + BOOT_S
        while self.run("cat", "/proc/sys/kernel/random/boot_id", code=None).stdout.strip() in ("", before):
            assert time.monotonic() < end, f"{self.name} did not come back:\n{self.console()}"
            time.sleep(0.5)
        self.wait_until_up()

    def console(self) -> str:
        """The end of what it wrote on its console."""
        log = self._folder / "console.log"
        return log.read_text(errors="replace")[-4000:] if log.exists() else ""

    def kill(self) -> None:
        """End it at once, as a power cut does. What it wrote is gone."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(60)
        if self._lock >= 0:
            self._connections.cleanup()
            shutil.rmtree(self._folder, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1

    def _start(self) -> subprocess.Popen[bytes]:
        network = f"user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-:22"
        command = [
            *("setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64"),
            *("-accel", "tcg,thread=multi", "-cpu", "max", "-M", "q35", "-m", "1024", "-smp", "2"),
            *("-kernel", self._folder / "kernel", "-initrd", self._folder / "initrd"),
            *("-append", "console=ttyS0 panic=-1 root=/dev/vda rw mitigations=off no_timer_check"),
            *("-drive", f"file={self._folder / 'disk'},format=raw,if=virtio,cache=unsafe"),
            *("-netdev", network, "-device", "virtio-net-pci,netdev=n0", "-device", "virtio-rng-pci"),
            *("-display", "none", "-monitor", "none", "-serial", f"file:{self._folder / 'console.log'}"),
        ]
        with (self._folder / "qemu.log").open("wb") as log:
            words = list(map(str, command))
            return subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[self._lock]
            )


def _tree() -> image.Image:
    """The tree of a machine: that of a container with the toolkit, and a kernel."""
    script = (_HERE / "vm.sh").read_text()
    # The name server, in /etc/resolv.conf, is what the layer takes from outside.
    kernel = image.add_layer("kernel", image.plain(), Path("/etc"), script).layers[0]
    return image.Image((kernel, *image.with_toolkit().layers))


def _own_folder() -> tuple[Path, int]:
    """A folder for one machine, and the lock that says it is in use; those of killed runs are removed."""
    machines = cache_folder() / "machines"
    machines.mkdir(exist_ok=True)
    with lock(machines / "lock"):
        for left in machines.glob("vm*"):
            held = os.open(left, os.O_RDONLY)
            if try_lock(held):
                shutil.rmtree(left, ignore_errors=True)
            os.close(held)
        folder = Path(tempfile.mkdtemp(prefix="vm", dir=machines))
        held = os.open(folder, os.O_RDONLY)
        assert try_lock(held)
    return folder, held


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
