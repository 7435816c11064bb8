"""The pid file of a running sandbox.

The server holds a lock on it as long as it lives, so that a number left behind, which may be another
process by now, is never taken for a sandbox.
"""

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toolkit.errors import RefusedError, ToolkitError
from toolkit.files import remove, write_atomically

STOP_DEADLINE = 10.0
_STEP = 0.02


@contextmanager
def held(pid_file: Path | None) -> Iterator[None]:
    """Write this process's id and keep the file locked; it is removed in the end."""
    if pid_file is None:
        yield
        return
    write_atomically(pid_file, f"{os.getpid()}\n", 0o644)
    descriptor = os.open(pid_file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
        remove(pid_file)
    finally:
        os.close(descriptor)


def holder(pid_file: Path) -> int | None:
    """The id of the sandbox that holds this file; None where none runs.

    Raises:
        ToolkitError: it is no pid file, or may not be read.
    """
    try:
        with open(pid_file, encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read())
            return None
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ToolkitError(f"{pid_file}: {error}", "is it a pid file of `toolkit sandbox`?") from None


def refuse_twin(pid_file: Path | None) -> None:
    """Make sure that no sandbox holds this file.

    Raises:
        RefusedError: one does.
    """
    pid = holder(pid_file) if pid_file else None
    if pid is not None:
        how = f"toolkit sandbox stop --pid-file {pid_file}"
        raise RefusedError(f"the sandbox of {pid_file} runs already (pid {pid})", how)


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
