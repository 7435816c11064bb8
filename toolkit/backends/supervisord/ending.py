"""The private supervisord's end, also where it cannot be asked for it."""

import signal
from pathlib import Path

from toolkit.backends.supervisord.finding import is_ours, running_pid
from toolkit.backends.supervisord.launching import clear
from toolkit.errors import BackendError
from toolkit.paths import FleetPaths
from toolkit.processes import ended, opened, send


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
    with opened(pid) as process:
        if process is None or not is_ours(pid, paths):
            return
        # Told first: one that is ending starts no program anew.
        send(process, signal.SIGTERM)
        for child in _children(pid):
            # It would stop them one after another. One that is no program yet has to wait for that.
            with opened(child) as program:
                if program is not None and child in _children(pid) and not is_ours(child, paths):
                    send(program, signal.SIGTERM)
        wait_gone(process, deadline_s)
    clear(paths)


def wait_gone(process: int, deadline_s: float) -> None:
    """Wait until a process has ended, and kill it if it has not.

    Parameters:
        process: its pidfd.

    Raises:
        BackendError: it lives even so.
    """
    if ended(process, deadline_s):
        return
    send(process, signal.SIGKILL)
    if not ended(process, deadline_s=5.0):
        raise BackendError(
            "supervisord does not end, even when killed", "is its disk or network mount stuck?"
        )


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]
    except OSError:
        return []
