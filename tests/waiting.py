"""Waiting in tests: for what is to come true, and no longer."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def eventually(condition: Callable[[], Any], within_s: float = 20.0, what: str = "the condition") -> Any:
    """The first true value of a condition; to look takes half of the time at most."""
    end = time.monotonic() + within_s
    while True:
        began = time.monotonic()
        if value := condition():
            return value
        looked = time.monotonic()
        assert looked < end, f"not within {within_s:g} s: {what}"
        time.sleep(max(0.02, looked - began))


def lives(pid: int) -> bool:
    """Whether a process runs; one that ended may still wait for its parent to ask how."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False
