"""A supervisord among the processes: by its pid file, or by its arguments."""

import os
from pathlib import Path

from toolkit.backends.supervisord.launching import is_launching
from toolkit.paths import FleetPaths
from toolkit.processes import arguments, ended, opened

_LAST_MOMENT_S = 1.0
# As a module and as an installed script.
_PROGRAMS = ("supervisor.supervisord", "supervisord")


def recorded_pid(paths: FleetPaths) -> int | None:
    """The process that the pid file names, if it is this fleet's supervisord."""
    pid = supervisord_of(paths.supervisor_pidfile)
    return pid if pid is not None and is_ours(pid, paths) else None


def running_pid(paths: FleetPaths) -> int | None:
    """This fleet's supervisord: by its pid file, else by its arguments if none is being started."""
    recorded = recorded_pid(paths)
    if recorded is not None or paths.supervisor_pidfile.exists() or is_launching(paths):
        return recorded
    numbers = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    # Its forks that are no programs yet look like it, and are in its session.
    found = [pid for pid in numbers if is_ours(pid, paths) and _session(pid) == pid]
    return found[0] if found else None


def staying(pid: int | None) -> int | None:
    """The same supervisord, if it is not just ending: it closes its socket a moment before it has gone."""
    if pid is None:
        return None
    with opened(pid) as process:
        return None if process is None or ended(process, _LAST_MOMENT_S) else pid


def supervisord_of(pidfile: Path) -> int | None:
    """The process that a pid file names, if it is a supervisord."""
    try:
        pid = int(pidfile.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return pid if _is_supervisord(arguments(pid)) else None


def is_ours(pid: int, paths: FleetPaths) -> bool:
    """Whether a process is a supervisord, or its fork, with this fleet's configuration."""
    words = arguments(pid)
    return os.fsencode(paths.supervisord_conf) in words and _is_supervisord(words)


def _is_supervisord(words: list[bytes]) -> bool:
    return any(Path(os.fsdecode(word)).name in _PROGRAMS for word in words)


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0
