"""Whether real hosts can be made here, and the Debian packages that it takes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hosts.cache import cache_folder, lock

# program → Debian package
CONTAINER = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "ssh": "openssh-client",
    "setpriv": "util-linux",
}
MACHINE = CONTAINER | {"qemu-system-x86_64": "qemu-system-x86", "mke2fs": "e2fsprogs"}
PYTHON = (3, 11)
INSTALL_S = 300.0


def why_not(programs: dict[str, str]) -> str | None:
    """Why hosts cannot be made here, or None; packages that lack are installed on the way."""
    if sys.platform != "linux" or not Path("/etc/debian_version").exists() or not shutil.which("apt-get"):
        return "hosts are made on Debian only"
    if os.geteuid() != 0:
        return "hosts are made by root only: sudo make test"
    if sys.version_info[:2] != PYTHON:
        return f"the hosts have Python {PYTHON[0]}.{PYTHON[1]}, and their wheels are made by this one"
    if subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], check=False).returncode:
        return "this root may not make namespaces"
    return _install(programs)


def require(programs: dict[str, str]) -> None:
    """Skip the test, with the reason, where hosts cannot be made; under ``CI=true`` fail instead."""
    reason = why_not(programs)
    if reason and os.environ.get("CI") == "true":
        pytest.fail(f"under CI=true every tier must run: {reason}", pytrace=False)
    if reason:
        pytest.skip(reason)


def _install(programs: dict[str, str]) -> str | None:
    with lock(cache_folder() / "apt.lock"):
        lacking = [package for program, package in programs.items() if not shutil.which(program)]
        if not lacking:
            return None
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120", "install", "-y"]
        for command in (["apt-get", "-qq", "update"], [*install, "--no-install-recommends", *lacking]):
            try:
                done = subprocess.run(
                    command, capture_output=True, text=True, timeout=INSTALL_S, check=False, env=environment
                )
            except subprocess.TimeoutExpired:
                return f"{' '.join(command)} took over {INSTALL_S:g} s"
            if done.returncode:
                return f"{' '.join(command)}: {done.stderr.strip()[-500:]}"
    return None
