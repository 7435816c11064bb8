"""What is made once and kept outside the tree: image layers, wheels, keys.

Everything is named by the digest of what it is made from, so that a change makes a new one and nothing is
ever stale. Runs beside each other wait for the one that builds.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

KEEP_S = 2 * 24 * 3600


def cache_folder() -> Path:
    """``$BOT_TOOLKIT_HOSTS_CACHE``, or ``bot-toolkit-hosts`` in the user's cache folder."""
    named = os.environ.get("BOT_TOOLKIT_HOSTS_CACHE")
    users = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(named) if named else users / "bot-toolkit-hosts"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def digest(*parts: str | bytes) -> str:
    """Twelve digits that name what is made from these parts."""
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        whole.update(len(data).to_bytes(8, "big") + data)
    return whole.hexdigest()[:12]


@contextmanager
def lock(path: Path, *, shared: bool = False, within_s: float = 900.0) -> Iterator[int]:
    """Hold a file's lock, which the kernel frees with the last process that has the descriptor."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    end = time.monotonic() + within_s
    try:
        while not try_lock(descriptor, shared=shared):
            assert time.monotonic() < end, f"{path} was held by another for {within_s:g} s"
            time.sleep(0.05)
        yield descriptor
    finally:
        os.close(descriptor)


def try_lock(descriptor: int, *, shared: bool = False) -> bool:
    """Take the lock of an open file if that is possible at once."""
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def once(name: str, build: Callable[[Path], None]) -> Path:
    """The folder of that name; made by ``build``, whole or not at all, if it is not there yet."""
    folder = cache_folder() / name
    lock_file(folder).touch()
    with lock(folder.with_name(name + ".build")):
        if not folder.exists():
            _forget_unused(name.rpartition("-")[0])
            made = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=folder.parent))
            try:
                build(made)
                made.rename(folder)
            except BaseException:
                shutil.rmtree(made, ignore_errors=True)
                raise
    return folder


def lock_file(folder: Path) -> Path:
    """The lock that a user of such a folder holds, shared, as long as it uses it."""
    return folder.with_name(folder.name + ".lock")


def _forget_unused(kind: str) -> None:
    """Remove what nobody uses, and nobody used for two days."""
    for path in cache_folder().glob(f"{kind}-*.lock"):
        folder = path.with_suffix("")
        if folder.is_dir() and time.time() - path.stat().st_mtime > KEEP_S:
            with path.open("rb") as held:
                if try_lock(held.fileno()):
                    shutil.rmtree(folder, ignore_errors=True)
