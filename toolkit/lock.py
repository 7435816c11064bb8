"""One change of a fleet at a time."""

import errno
import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from toolkit.errors import RefusedError
from toolkit.files import make_private, open_regular
from toolkit.revisions import actor, now

_WAIT = "wait until it is done"


@contextmanager
def changing(path: Path, what: str) -> Iterator[None]:
    """Hold the fleet's lock; the kernel frees it when the process ends, however it ends.

    Parameters:
        path: the lock file.
        what: the command, shown to whoever comes second.

    Raises:
        RefusedError: another command holds it; the message says which and since when.
    """
    try:
        make_private(path.parent)
        descriptor = _open(path)
    except OSError as error:
        hint = "run it as the owner of the fleet, or in system mode as root or a member of its group"
        raise RefusedError(f"{path}: {error.strerror}", hint) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RefusedError(f"the fleet is being changed by {_holder(descriptor)}", _WAIT) from None
        # Who holds it is but a courtesy: a full disk keeps nobody from a change that writes nothing else.
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"`{what}` of {actor()} (pid {os.getpid()}) since {now()}".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _holder(descriptor: int) -> str:
    """Who holds the lock: in the words of its file, which may be old, if the kernel says the same."""
    told = os.read(descriptor, 1000).decode(errors="replace").strip()
    named = re.search(r"\(pid (\d+)\)", told)
    pids = _pids(os.fstat(descriptor).st_ino)
    if named and named[1] in pids:
        return told
    return f"another command (pid {pids[0]})" if pids else "another command"


def _pids(inode: int) -> list[str]:
    """The processes that hold a lock on a file of this number: proc_locks(5); none where that is not told."""
    try:
        lines = Path("/proc/locks").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
    # Such as `1: FLOCK  ADVISORY  WRITE 708 08:01:13548 0 EOF`, and with `->` for one that waits.
    locks = (line.split() for line in lines if "->" not in line)
    return [lock[4] for lock in locks if lock[1] == "FLOCK" and lock[5].endswith(f":{inode}")]


def _open(path: Path) -> int:
    try:
        return open_regular(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        return open_regular(path)
