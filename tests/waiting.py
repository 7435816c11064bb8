"""Waiting in tests: for what is to come true, and no longer."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def eventually(condition: Callable[[], Any], within_s: float = 20.0, what: str = "the condition") -> Any:
    """The first true value of a condition."""
    end = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {within_s:g} s: {what}"
        time.sleep(0.02)
    return value


def lives(pid: int) -> bool:
    """Whether a process runs; one that ended may still wait for its parent to ask how."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False
