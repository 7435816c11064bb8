"""The private supervisord as a process: how it is started, known again, given room, and waited for."""

import fcntl
import os
import re
import resource
import select
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from toolkit import shell
from toolkit.errors import BackendError, RefusedError
from toolkit.paths import FleetPaths

# What belongs to the caller's own supervisor: a bot that inherited it would report to the wrong one.
_FOREIGN = re.compile(r"NOTIFY_SOCKET|WATCHDOG_\w*|LISTEN_\w*|SUPERVISOR_\w*|INVOCATION_ID|JOURNAL_STREAM")
_START_S = 30.0
_LAST_MOMENT_S = 1.0
_LAST_LINES = 5
# As a module and as an installed script.
_PROGRAMS = ("supervisor.supervisord", "supervisord")
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
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"another command is starting the supervisord of fleet {paths.fleet}"
            raise RefusedError(message, "wait until it is done") from None
        yield
    finally:
        os.close(lock)


def spawn(paths: FleetPaths) -> None:
    """Start it; it goes into the background once its socket listens.

    Raises:
        BackendError: it ended; the message has its last words.
    """
    for stale in (paths.supervisor_socket, paths.supervisor_pidfile):
        stale.unlink(missing_ok=True)
    logged = _size(paths.supervisor_log)
    environ = environment(os.environ)
    done = shell.run(command(paths), timeout_s=_START_S, env=environ, cwd=paths.home)
    if done.code:
        words = done.stderr.replace("For help, use", "\nFor help, use").splitlines()
        said = [line for line in words if line.strip() and not line.startswith("For help, use")]
        raise not_started(paths, said, logged)


def not_started(paths: FleetPaths, said: list[str], logged: int = 0) -> BackendError:
    """The error of a supervisord that ended at once.

    Parameters:
        said: what it printed; its log speaks where that is nothing.
        logged: the length in bytes that its log had before.
    """
    lines = said or _new_lines(paths.supervisor_log, logged)
    words = "\n  ".join(line.strip() for line in lines[-_LAST_LINES:]) or "it said nothing"
    return BackendError(f"supervisord did not start: {words}", f"see {paths.supervisor_log}")


def recorded_pid(paths: FleetPaths) -> int | None:
    """The process that the pid file names, if it is this fleet's supervisord."""
    pid = supervisord_of(paths.supervisor_pidfile)
    return pid if pid is not None and is_ours(pid, paths) else None


def supervisord_of(pidfile: Path) -> int | None:
    """The process that a pid file names, if it is a supervisord."""
    try:
        pid = int(pidfile.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return pid if _is_supervisord(_arguments(pid)) else None


def is_ours(pid: int, paths: FleetPaths) -> bool:
    """Whether a process is a supervisord, or its fork, with this fleet's configuration."""
    arguments = _arguments(pid)
    return os.fsencode(paths.supervisord_conf) in arguments and _is_supervisord(arguments)


def _arguments(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def _is_supervisord(arguments: list[bytes]) -> bool:
    return any(Path(os.fsdecode(each)).name in _PROGRAMS for each in arguments)


def running_pid(paths: FleetPaths) -> int | None:
    """This fleet's supervisord: by its pid file, else by its arguments if none is being started."""
    recorded = recorded_pid(paths)
    if recorded is not None or paths.supervisor_pidfile.exists() or _is_launching(paths):
        return recorded
    numbers = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    # Its forks that are no programs yet look like it, and are in its session.
    found = [pid for pid in numbers if is_ours(pid, paths) and _session(pid) == pid]
    return found[0] if found else None


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0


def _is_launching(paths: FleetPaths) -> bool:
    """Whether a command holds what ``launching`` does."""
    try:
        lock = os.open(_launch_lock(paths), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _launch_lock(paths: FleetPaths) -> Path:
    return paths.supervisor_socket.parent / "launch.lock"


def staying(pid: int | None) -> int | None:
    """The same supervisord, if it is not just ending: it closes its socket a moment before it has gone."""
    if pid is None:
        return None
    with _opened(pid) as process:
        return None if process is None or _ended(process, _LAST_MOMENT_S) else pid


def terminate(paths: FleetPaths, deadline_s: float) -> None:
    """End the supervisord that runs without asking it: by SIGTERM to it, and to its programs in parallel.

    Parameters:
        deadline_s: seconds after which it is killed; its bots end by themselves then.

    Raises:
        BackendError: it lives even so.
    """
    pid = running_pid(paths)
    if pid is None:
        return
    with _opened(pid) as process:
        if process is None or not is_ours(pid, paths):
            return
        # Told first: one that is ending starts no program anew.
        signal.pidfd_send_signal(process, signal.SIGTERM)
        for child in _children(pid):
            # It would stop them one after another. One that is no program yet has to wait for that.
            with _opened(child) as program:
                if program is not None and child in _children(pid) and not is_ours(child, paths):
                    with suppress(ProcessLookupError):
                        signal.pidfd_send_signal(program, signal.SIGTERM)
        wait_gone(process, deadline_s)
    for stale in (paths.supervisor_socket, paths.supervisor_pidfile):
        stale.unlink(missing_ok=True)


@contextmanager
def _opened(pid: int) -> Iterator[int | None]:
    """A process's pidfd; None where it has gone."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        yield None
        return
    try:
        yield process
    finally:
        os.close(process)


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]
    except OSError:
        return []


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


def wait_gone(process: int, deadline_s: float) -> None:
    """Wait until a process has ended, and kill it if it has not.

    Parameters:
        process: its pidfd.

    Raises:
        BackendError: it lives even so.
    """
    if _ended(process, deadline_s):
        return
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(process, signal.SIGKILL)
    if not _ended(process, deadline_s=5.0):
        raise BackendError(
            "supervisord does not end, even when killed", "is its disk or network mount stuck?"
        )


def _ended(process: int, deadline_s: float) -> bool:
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(deadline_s * 1000))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _new_lines(path: Path, start: int) -> list[str]:
    try:
        return path.read_bytes()[start:].decode(errors="replace").splitlines()
    except OSError:
        return []
