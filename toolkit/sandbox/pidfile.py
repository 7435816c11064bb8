"""The pid file of a running sandbox.

The server holds a POSIX lock on a file beside it as long as it lives. It is the kernel that says which
process holds the lock, so that a number left behind, which may be another process by now, is never taken
for a sandbox: fcntl(2), F_GETLK.
"""

import fcntl
import os
import select
import signal
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toolkit.errors import RefusedError, ToolkitError
from toolkit.files import remove, write_atomically

STOP_DEADLINE = 10.0
# struct flock: type, whence, start, length, pid.
_FLOCK = struct.Struct("hhqqi4x")


@contextmanager
def held(pid_file: Path | None) -> Iterator[None]:
    """Hold the lock and let the file say this process's id, until the end.

    Raises:
        RefusedError: another sandbox holds it.
    """
    if pid_file is None:
        yield
        return
    descriptor = os.open(_lock_of(pid_file), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise _twin(pid_file) from None
        write_atomically(pid_file, f"{os.getpid()}\n", 0o644)
        yield
        remove(pid_file)
    finally:
        os.close(descriptor)


def holder(pid_file: Path) -> int | None:
    """The id of the sandbox that holds this file's lock; None where none runs.

    Raises:
        ToolkitError: it may not be looked at.
    """
    try:
        descriptor = os.open(_lock_of(pid_file), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ToolkitError(f"{pid_file}: {error.strerror}", "run it as the user that started it") from None
    try:
        wanted = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, *_, pid = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, wanted))
    finally:
        os.close(descriptor)
    return None if kind == fcntl.F_UNLCK else int(pid)


def refuse_twin(pid_file: Path | None) -> None:
    """Make sure that no sandbox holds this file.

    Raises:
        RefusedError: one does.
    """
    if pid_file and holder(pid_file):
        raise _twin(pid_file)


def stop(pid_file: Path) -> bool:
    """End the sandbox of a pid file; whether one was running.

    Raises:
        ToolkitError: the file cannot be read, or the server does not end within STOP_DEADLINE seconds.
    """
    pid = holder(pid_file)
    if pid is None:
        remove(pid_file)
        return False
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        # Now that the process is pinned, it is asked once more whether it is the one.
        if holder(pid_file) == pid:
            signal.pidfd_send_signal(process, signal.SIGTERM)
        if not select.select([process], [], [], STOP_DEADLINE)[0]:
            raise ToolkitError(f"the sandbox (pid {pid}) does not end", f"kill -9 {pid}")
    finally:
        os.close(process)
    return True


def _lock_of(pid_file: Path) -> Path:
    return pid_file.with_name(f".{pid_file.name}.lock")


def _twin(pid_file: Path) -> RefusedError:
    how = f"toolkit sandbox stop --pid-file {pid_file}"
    return RefusedError(f"the sandbox of {pid_file} runs already", how)
