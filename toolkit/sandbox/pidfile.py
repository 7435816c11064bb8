"""The pid file of a running sandbox.

The server holds a POSIX lock on a file beside it as long as it lives. It is the kernel that says which
process holds the lock, so that a number left behind, which may be another process by now, is never taken
for a sandbox: fcntl(2), F_GETLK.
"""

import fcntl
import os
import signal
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toolkit.errors import RefusedError, ToolkitError
from toolkit.files import remove, write_atomically

STOP_DEADLINE = 10.0
_STEP = 0.02
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
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_DEADLINE
    while holder(pid_file) == pid:
        if time.monotonic() > deadline:
            raise ToolkitError(f"the sandbox (pid {pid}) does not end", f"kill -9 {pid}")
        time.sleep(_STEP)
    return True


def _lock_of(pid_file: Path) -> Path:
    return pid_file.with_name(f".{pid_file.name}.lock")


def _twin(pid_file: Path) -> RefusedError:
    how = f"toolkit sandbox stop --pid-file {pid_file}"
    return RefusedError(f"the sandbox of {pid_file} runs already", how)
