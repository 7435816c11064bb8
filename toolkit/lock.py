"""One change of a fleet at a time."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from toolkit.errors import RefusedError
from toolkit.files import make_private, open_regular
from toolkit.revisions import actor, now


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
            holder = os.read(descriptor, 1000).decode(errors="replace").strip() or "another command"
            raise RefusedError(f"the fleet is being changed by {holder}", "wait until it is done") from None
        # Who holds it is but a courtesy: a full disk keeps nobody from a change that writes nothing else.
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"`{what}` of {actor()} (pid {os.getpid()}) since {now()}".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    try:
        return open_regular(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        return open_regular(path)
