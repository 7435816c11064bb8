"""Processes as the kernel tells of them."""

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def arguments(pid: int) -> list[bytes]:
    """What a process was started with; nothing where it has gone, or may not be looked at."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def is_stopped(pid: int) -> bool:
    """Whether a process stands still, as by SIGSTOP or Ctrl-Z: proc_pid_stat(5)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] == "T"


@contextmanager
def opened(pid: int) -> Iterator[int | None]:
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


def send(process: int, number: signal.Signals) -> None:
    """Signal a process; one that has ended meanwhile is no error.

    Parameters:
        process: its pidfd.

    Raises:
        PermissionError: it is another user's.
    """
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(process, number)


def ended(process: int, deadline_s: float) -> bool:
    """Wait for a process's end; whether that came within so many seconds.

    Parameters:
        process: its pidfd.
    """
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(deadline_s * 1000))
