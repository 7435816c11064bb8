"""What is read of a program that prints."""

import sys

import pytest

from bot_runner.failure import BotFailedError
from bot_runner.programs import output
from toolkit.lifecycle import FailureClass


def test_what_it_prints_is_read_whole():
    assert output(["echo", "a token"], 10, 8) == b"a token\n"


@pytest.mark.parametrize(
    ("argv", "failure", "words"),
    [
        (["yes"], FailureClass.BAD_CONFIG, "yes prints more than 100 bytes"),
        (["sleep", "60"], FailureClass.TEMPORARY, "sleep took longer than 0.2 s"),
        (["sh", "-c", "exec >&-; sleep 60"], FailureClass.TEMPORARY, "sh took longer than 0.2 s"),
        (["false"], FailureClass.TEMPORARY, "false failed with code 1"),
        (["no-such-program"], FailureClass.BAD_CONFIG, "no-such-program: No such file"),
    ],
)
def test_what_prints_too_much_takes_too_long_or_fails_is_told(argv, failure, words):
    with pytest.raises(BotFailedError, match=words) as caught:
        output(argv, 0.2, 100)
    assert caught.value.failure is failure


def test_a_program_that_leaves_another_behind_is_not_waited_for():
    with pytest.raises(BotFailedError, match="took longer"):
        output([sys.executable, "-c", "import subprocess; subprocess.Popen(['sleep', '3'])"], 0.5, 100)
