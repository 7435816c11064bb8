"""What Python's standard library has no words for: prctl(2)."""

import ctypes
import os
import signal
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that none gets out of sight."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def stop_with_parent(parent: int) -> bool:
    """Have the kernel send SIGTERM when the supervisor dies.

    Parameters:
        parent: the parent's process id as it was when this process began.

    Returns:
        Whether the supervisor still lives: it may have died before the kernel was told.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    now = os.getppid()
    if now != parent:
        return False
    if now != 1:
        return True
    try:  # in a container the supervisor may be process 1; else this is what adopts orphans
        return b"supervisord" in Path("/proc/1/cmdline").read_bytes()
    except OSError:
        return False
