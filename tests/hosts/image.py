"""The tree that hosts boot from, in layers: Debian, the toolkit's dependencies, the toolkit itself.

Hosts see them as one tree and write elsewhere, so every host starts clean.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.hosts.cache import cache_folder, digest, lock, lock_file, once

SUITE = "bookworm"
PACKAGES = (
    "systemd,systemd-sysv,dbus,udev,libpam-systemd,libnss-systemd,dbus-user-session,polkitd,openssh-server,"
    "iproute2,sudo,procps,python3,python3-venv,supervisor"
)
OPT = "/opt/bot-toolkit"
BUILD_S = 600.0
_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
_PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
_WHEEL_IS_MADE_FROM = ("toolkit", "bot_runner", "templates", "pyproject.toml", "README.md", "LICENSE")


@dataclass(frozen=True)
class Image:
    """A tree in layers, the topmost first."""

    layers: tuple[Path, ...]

    @property
    def lower(self) -> str:
        """The layers as a mount option of overlayfs names them."""
        return ":".join(map(str, self.layers))


def key_file() -> Path:
    """The private key that every host lets in."""
    key = cache_folder() / "id_ed25519"
    with lock(lock_file(key)):
        if not key.exists():
            _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tests", "-f", key)
    return key


@cache
def plain() -> Image:
    """Debian with systemd, sshd and Python, and nothing of ours."""
    key = key_file().with_suffix(".pub").read_text().strip()
    debian = Image((once(f"debian-{digest(SUITE, PACKAGES)}", _build_debian),))
    return add_layer("host", debian, cache_folder(), (_HERE / "prepare.sh").read_text(), key)


@cache
def with_toolkit() -> Image:
    """The same with the toolkit of this tree in /opt/bot-toolkit, made by the host's own Python."""
    return add_layer("toolkit", _with_dependencies(), wheels().parent, _INSTALL, wheels().name)


@cache
def wheels() -> Path:
    """A folder of wheels: the toolkit of this tree and all it depends on."""
    files = [path for name in _WHEEL_IS_MADE_FROM for path in _files(_ROOT / name)]
    parts = [part for path in files for part in (str(path.relative_to(_ROOT)), path.read_bytes())]
    return once(f"wheels-{digest(_dependencies().name, *parts)}", _build_toolkit_wheel)


def release(suite: str, source: str) -> Path:
    """A tree with the systemd of another release, to be asked by chroot: it cannot boot.

    Parameters:
        suite: the release's name.
        source: where its packages come from: a mirror, or a line as in sources.list(5).
    """

    def build(folder: Path) -> None:
        folder.chmod(0o755)
        _run("mmdebstrap", "-q", "--variant=extract", "--include=systemd", suite, folder, source)
        for name in ("bin", "sbin", "lib", "lib64"):
            if not (folder / name).exists():
                (folder / name).symlink_to(f"usr/{name}")

    return once(f"release-{digest(suite, source)}", build)


def add_layer(kind: str, below: Image, brought: Path, script: str, *arguments: str) -> Image:
    """An image with a layer more: what a shell script writes that runs in it, ``brought`` being its /mnt."""

    def build(folder: Path) -> None:
        folder.chmod(0o755)
        unshare = ["unshare", "--mount", "--propagation", "private"]
        layer = ["sh", _HERE / "layer.sh", below.lower, folder, brought]
        _run(*unshare, *layer, "sh", "-euc", script, "layer", *arguments)

    name = f"{kind}-{digest(below.lower, str(brought), script, *arguments)}"
    return Image((once(name, build), *below.layers))


# Bytecode is made here, once, and not by every host that starts.
_INSTALL = f'{OPT}/bin/pip install -q --no-index --no-deps "/mnt/$1"/bot_toolkit-*.whl'
_ENVIRONMENT = (
    f'/usr/bin/python3 -m venv {OPT}; {OPT}/bin/pip install -q --no-index --no-deps "/mnt/$1"/*.whl'
)


def _with_dependencies() -> Image:
    wheel_folder = _dependencies()
    return add_layer("dependencies", plain(), wheel_folder.parent, _ENVIRONMENT, wheel_folder.name)


@cache
def _dependencies() -> Path:
    def build(folder: Path) -> None:
        make = ("wheel", "-q", "--require-hashes", "--no-build-isolation", "--no-deps", "-w", folder)
        _run(*_PIP, *make, "-r", _ROOT / "requirements.lock")

    lock_text = (_ROOT / "requirements.lock").read_bytes()
    return once(f"depends-{digest(sys.version, lock_text)}", build)


def _build_debian(folder: Path) -> None:
    folder.chmod(0o755)
    _run("mmdebstrap", "-q", "--variant=minbase", f"--include={PACKAGES}", SUITE, folder)


def _build_toolkit_wheel(folder: Path) -> None:
    for wheel in _dependencies().glob("*.whl"):
        os.link(wheel, folder / wheel.name)
    source = folder / "source"
    source.mkdir()
    for name in _WHEEL_IS_MADE_FROM:
        part = _ROOT / name
        if part.is_dir():
            shutil.copytree(part, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(part, source)
    _run(*_PIP, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, source)
    shutil.rmtree(source)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(part for part in path.rglob("*") if part.is_file() and "__pycache__" not in part.parts)


def _run(*command: str | Path) -> None:
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=BUILD_S, check=False)
    assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
