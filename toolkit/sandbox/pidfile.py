"""The pid file of a running sandbox.

The server holds a POSIX lock on a file beside it as long as it lives. It is the kernel that says which
process holds the lock, so that a number left behind, which may be another process by now, is never taken
for a sandbox: fcntl(2), F_GETLK. The locked file has the number too: by it a pid file that a killed sandbox
left is told from one of somebody else, which is neither removed nor replaced.
"""

import fcntl
import os
import re
import signal
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from toolkit.errors import OddFileError, RefusedError, ToolkitError, UsageError
from toolkit.files import remove, write_atomically
from toolkit.processes import ended, opened, send
from toolkit.regular_files import open_regular, read_regular

STOP_DEADLINE = 10.0
# struct flock: type, whence, start, length, pid.
_FLOCK = struct.Struct("hhqqi4x")
_FORM = re.compile(rb"[1-9][0-9]*\s*")
_MOST_BYTES = 32
# The kernel's PID_MAX_LIMIT: proc_sys_kernel(5), pid_max.
_MOST = 2**22


@contextmanager
def held(pid_file: Path | None) -> Iterator[None]:
    """Hold the lock and let the file say this process's id, until the end.

    Raises:
        RefusedError: another sandbox holds it.
        UsageError: beside it, in the place of the file with the lock, is something else.
    """
    if pid_file is None:
        yield
        return
    lock, number = _lock_of(pid_file), f"{os.getpid()}\n"
    _number(lock, empty=True)
    descriptor = open_regular(lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise _twin(pid_file) from None
        # The lock's file first: of a number that it has not, the pid file would be somebody else's.
        os.ftruncate(descriptor, 0)
        os.write(descriptor, number.encode())
        write_atomically(pid_file, number, 0o644)
        yield
        with suppress(UsageError):
            if _number(pid_file) == os.getpid():
                remove(pid_file)
    finally:
        os.close(descriptor)


def holder(pid_file: Path) -> int | None:
    """The id of the sandbox that holds this file's lock; None where none runs.

    Raises:
        ToolkitError: it may not be looked at.
    """
    try:
        descriptor = open_regular(_lock_of(pid_file))
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
    """Make sure that a sandbox may take this file: none holds it, and it is nobody else's.

    Raises:
        RefusedError: a sandbox holds it, or another process's id is in it.
        UsageError: it is no pid file, or the file beside it no lock.
    """
    if pid_file is None:
        return
    number = _number(pid_file)
    if holder(pid_file):
        raise _twin(pid_file)
    _number(_lock_of(pid_file), empty=True)
    _refuse_others(pid_file, number)


def stop(pid_file: Path) -> bool:
    """End the sandbox of a pid file; whether one was running. A file left behind by one is removed.

    Raises:
        UsageError: it is no pid file; it is left as it is.
        RefusedError: a process that is no sandbox has the id in it, or the sandbox is another user's; it and
            the file are left as they are.
        ToolkitError: the file cannot be read, or the server does not end within STOP_DEADLINE seconds.
    """
    number = _number(pid_file)
    pid = holder(pid_file)
    if pid is None:
        if number is not None:
            _refuse_others(pid_file, number)
            remove(pid_file)
        return False
    with opened(pid) as process:
        if process is None:
            return True
        # Now that the process is pinned, it is asked once more whether it is the one.
        if holder(pid_file) == pid:
            _terminate(process, pid)
        if not ended(process, STOP_DEADLINE):
            raise ToolkitError(f"the sandbox (pid {pid}) does not end", f"kill -9 {pid}")
    return True


def _terminate(process: int, pid: int) -> None:
    try:
        send(process, signal.SIGTERM)
    except PermissionError:
        hint = "run it as the user that started it"
        raise RefusedError(f"the sandbox (pid {pid}) is another user's", hint) from None


def _number(path: Path, *, empty: bool = False) -> int | None:
    """The id in a pid file; None where there is no such file, or one that may be empty and is.

    Raises:
        UsageError: it is something else.
        RefusedError: it may not be looked at.
    """
    try:
        content = read_regular(path, _MOST_BYTES)
    except FileNotFoundError:
        return None
    except OddFileError as error:
        raise _no_pid_file(path, error.message.removeprefix(f"{path} ")) from None
    except PermissionError as error:
        raise RefusedError(f"{path}: {error.strerror}", "run it as the user that started it") from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", "name another --pid-file") from None
    if empty and not content:
        return None
    if not _FORM.fullmatch(content) or int(content) > _MOST:
        raise _no_pid_file(path, "holds something else")
    return int(content)


def _refuse_others(pid_file: Path, number: int | None) -> None:
    """Refuse a pid file whose process lives, which is no sandbox, and that no sandbox left behind."""
    if number is None or _gone(number) or _number(_lock_of(pid_file), empty=True) == number:
        return
    message = f"{pid_file} is of process {number}, which is no sandbox; it is left as it is"
    raise RefusedError(message, "name the sandbox's own pid file")


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _no_pid_file(path: Path, fault: str) -> UsageError:
    hint = "name the --pid-file that a sandbox wrote, or one that is not there yet"
    return UsageError(f"{path} is no pid file of a sandbox: it {fault}", hint)


def _lock_of(pid_file: Path) -> Path:
    return pid_file.parent / f".{pid_file.name}.lock"


def _twin(pid_file: Path) -> RefusedError:
    how = f"toolkit sandbox stop --pid-file {pid_file}"
    return RefusedError(f"the sandbox of {pid_file} runs already", how)
