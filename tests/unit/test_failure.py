"""What a run's end is called."""

import errno

import pytest

from bot_runner.failure import unusable
from toolkit.lifecycle import FailureClass


@pytest.mark.parametrize(
    ("number", "failure"),
    [
        (errno.ENOSPC, FailureClass.TEMPORARY),
        (errno.EDQUOT, FailureClass.TEMPORARY),
        (errno.EACCES, FailureClass.BAD_CONFIG),
    ],
)
def test_a_full_disk_is_temporary_and_all_else_is_to_be_mended(number, failure):
    found = unusable("/run/x", OSError(number, "words"))
    assert (found.failure, found.reason) == (failure, "/run/x: words")
