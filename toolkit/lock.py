"""One change of a fleet at a time."""

import errno
import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from toolkit.clock import now
from toolkit.errors import AS_OWNER, RefusedError, ToolkitError
from toolkit.files import make_private
from toolkit.processes import is_stopped
from toolkit.regular_files import open_regular
from toolkit.revisions import actor

# Between two looks at a lock that is waited for.
_LOOK_S = 0.1


class Hold:
    """The lock while it is held.

    Parameters:
        descriptor: the lock file.
        what: the command.

    Attributes:
        told: what the file says of it; nothing where the disk is full, which keeps nobody from a change.
    """

    def __init__(self, descriptor: int, what: str) -> None:
        self._descriptor = descriptor
        self._who = f"`{what}` of {actor()} (pid {os.getpid()}) since {now()}"
        self.told = ""
        self.tell()

    def tell(self, step: str = "") -> None:
        """Show whoever comes second what the command is at; nothing where that goes without saying."""
        self.told, words = "", f"{self._who}; {step}" if step else self._who
        with suppress(OSError):
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, words.encode(), 0)
            self.told = words


@contextmanager
def changing(path: Path, what: str, since: str = "") -> Iterator[Hold]:
    """Hold the fleet's lock; the kernel frees it when the process ends, however it ends.

    Parameters:
        path: the lock file.
        what: the command, shown to whoever comes second.
        since: what this command told when it last held the lock, if it goes on from there.

    Raises:
        RefusedError: another command holds it, which the message names; or one has held it since.
    """
    try:
        make_private(path.parent)
        descriptor = _open(path)
    except OSError as error:
        raise RefusedError(f"{path}: {error.strerror}", AS_OWNER) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _refusal(descriptor) from None
        if since and _told(descriptor) != since:
            raise RefusedError("another command has changed the fleet meanwhile", "see `toolkit bot list`")
        yield Hold(descriptor, what)
    finally:
        os.close(descriptor)


def wait_until_free(path: Path, within_s: float) -> None:
    """Wait for the command that changes the fleet, where there is one; the lock itself is left to others.

    Parameters:
        within_s: seconds to wait at most.

    Raises:
        RefusedError: it is not done by then; the message names it.
    """
    try:
        descriptor = open_regular(path)
    except (OSError, ToolkitError):  # there is none, or it may not be read: then nobody is known to hold it
        return
    try:
        end = time.monotonic() + within_s
        while _named_holder(descriptor):
            if time.monotonic() > end:
                raise _refusal(descriptor)
            time.sleep(_LOOK_S)
    finally:
        os.close(descriptor)


def _told(descriptor: int) -> str:
    return os.pread(descriptor, 1000, 0).decode(errors="replace").strip()


def _refusal(descriptor: int) -> RefusedError:
    """Who holds the lock: in the words of its file, which may be old, if the kernel says the same."""
    pids = _pids(os.fstat(descriptor).st_ino)
    if pid := _named_holder(descriptor):
        holder = _told(descriptor)
    else:
        pid, holder = (pids[0], f"another command (pid {pids[0]})") if pids else ("", "another command")
    ends = f", or end it: `kill {pid}`; the next `toolkit deploy` finishes what it left" if pid else ""
    stopped = pid and is_stopped(int(pid))
    wait = f"it is stopped: `kill -CONT {pid}` has it go on" if stopped else "wait until it is done"
    return RefusedError(f"the fleet is being changed by {holder}", f"{wait}{ends}")


def _named_holder(descriptor: int) -> str:
    """The process that its file names as the holder, if it holds a lock; else "".

    The kernel's word alone would not do: a file of the same number may lie on another disk.
    """
    named = re.search(r"\(pid (\d+)\)", _told(descriptor))
    return named[1] if named and named[1] in _pids(os.fstat(descriptor).st_ino) else ""


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
