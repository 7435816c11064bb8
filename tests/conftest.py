"""Fixtures that every kind of test may use."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A folder whose path leaves room for Unix sockets, which allow 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="bt", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def eventually() -> Callable[..., object]:
    """Wait for a condition: ``eventually(lambda: …)`` gives its first true value."""

    def wait(condition: Callable[[], object], within_s: float = 15.0) -> object:
        end = time.monotonic() + within_s
        while not (value := condition()):
            assert time.monotonic() < end, "the condition did not come true in time"
            time.sleep(0.02)
        return value

    return wait
