"""The private supervisord as it is started: its command and environment, its lock, its room for files."""

import fcntl
import os
import re
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from toolkit import shell
from toolkit.errors import BackendError, RefusedError
from toolkit.paths import FleetPaths

# What belongs to the caller's own supervisor: a bot that inherited it would report to the wrong one.
_FOREIGN = re.compile(r"NOTIFY_SOCKET|WATCHDOG_\w*|LISTEN_\w*|SUPERVISOR_\w*|INVOCATION_ID|JOURNAL_STREAM")
_START_S = 30.0
_LAST_LINES = 5
# Who only looks whether one is being started holds the lock for a moment.
_LOOKS_S = 0.5
# A program takes a pipe each for input and output and its log file; with errors apart, two more.
_FILES_EACH, _FILES_EACH_AT_MOST, _OWN_FILES = 3, 5, 64


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What a supervisord, and so each bot, inherits of the caller's environment."""
    return {name: value for name, value in environ.items() if not _FOREIGN.fullmatch(name)}


def command(paths: FleetPaths) -> list[str]:
    """How it is started: without modules of the folder it is started in, and with UTF-8 in any locale."""
    program = [sys.executable, "-P", "-X", "utf8", "-m", "supervisor.supervisord"]
    return [*program, "-c", str(paths.supervisord_conf)]


@contextmanager
def launching(paths: FleetPaths) -> Iterator[None]:
    """Hold what keeps two commands from starting two supervisords.

    Raises:
        RefusedError: another command is starting it.
    """
    lock = os.open(_launch_lock(paths), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        end = time.monotonic() + _LOOKS_S
        while not _locked(lock, fcntl.LOCK_EX):
            if time.monotonic() > end:
                message = f"another command is starting the supervisord of fleet {paths.fleet}"
                raise RefusedError(message, "wait until it is done")
            time.sleep(_LOOKS_S / 50)
        yield
    finally:
        os.close(lock)


def is_launching(paths: FleetPaths) -> bool:
    """Whether a command holds what ``launching`` does now."""
    try:
        lock = os.open(_launch_lock(paths), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not _locked(lock, fcntl.LOCK_SH)
    finally:
        os.close(lock)


def _locked(lock: int, kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def spawn(paths: FleetPaths) -> None:
    """Start it; it goes into the background once its socket listens.

    Raises:
        BackendError: it ended; the message has its last words.
    """
    clear(paths)
    logged = _size(paths.supervisor_log)
    environ = environment(os.environ)
    done = shell.run(command(paths), timeout_s=_START_S, env=environ, cwd=paths.home)
    if done.code:
        words = done.stderr.replace("For help, use", "\nFor help, use").splitlines()
        said = [line for line in words if line.strip() and not line.startswith("For help, use")]
        raise not_started(paths, said, logged)


def clear(paths: FleetPaths) -> None:
    """Take away the socket and the pid file of one that has ended."""
    for stale in (paths.supervisor_socket, paths.supervisor_pidfile):
        stale.unlink(missing_ok=True)


def not_started(paths: FleetPaths, said: list[str], logged: int = 0) -> BackendError:
    """The error of a supervisord that ended at once.

    Parameters:
        said: what it printed; its log speaks where that is nothing.
        logged: the length in bytes that its log had before.
    """
    lines = said or _new_lines(paths.supervisor_log, logged)
    words = "\n  ".join(line.strip() for line in lines[-_LAST_LINES:]) or "it said nothing"
    return BackendError(f"supervisord did not start: {words}", f"see {paths.supervisor_log}")


def make_room(pid: int, programs: int) -> None:
    """Raise a process's limit of open files where so many programs need it.

    Parameters:
        pid: a supervisord, or 0 for this process and those that it starts.

    Raises:
        BackendError: the hard limit is too low, and it may not be raised.
    """
    wanted = programs * _FILES_EACH_AT_MOST + _OWN_FILES
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    roomier = hard if hard == resource.RLIM_INFINITY else max(hard, wanted)
    with suppress(OSError, ValueError):  # only root raises a hard limit
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (wanted, roomier))
        return
    needed = programs * _FILES_EACH + _OWN_FILES
    if hard < needed:
        raise BackendError(
            f"supervisord may open {hard} files, and {programs} bots need {needed}",
            f"raise the limit (`ulimit -Hn {wanted}`, or limits.conf) and start it anew with `toolkit up`",
        )
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))


def _launch_lock(paths: FleetPaths) -> Path:
    return paths.supervisor_socket.parent / "launch.lock"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _new_lines(path: Path, start: int) -> list[str]:
    try:
        return path.read_bytes()[start:].decode(errors="replace").splitlines()
    except OSError:
        return []
