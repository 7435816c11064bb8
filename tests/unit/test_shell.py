"""Programs are started as lists, end by their deadline, and take their children with them."""

import os
import signal
import sys

import pytest

from tests.waiting import eventually, lives
from toolkit.errors import ToolkitError
from toolkit.shell import lines, run


def test_result_has_all_that_a_program_told():
    done = run(["sh", "-c", "printf out; printf err >&2; exit 3"], timeout_s=10)
    assert (done.argv[0], done.code, done.stdout, done.stderr) == ("sh", 3, "out", "err")


def test_arguments_are_not_seen_by_a_shell():
    assert run(["printf", "%s", "$HOME; `id` 'x"], timeout_s=10).stdout == "$HOME; `id` 'x"


def test_input_environment_and_folder_are_passed(tmp_path):
    done = run(
        ["/bin/sh", "-c", "cat; echo $A$HOME; pwd"],
        timeout_s=10,
        env={"A": "1"},
        cwd=tmp_path,
        input="Grüße ",
    )
    assert done.stdout == f"Grüße 1\n{tmp_path}\n"


def test_without_input_there_is_nothing_to_read():
    assert run(["cat"], timeout_s=10).stdout == ""


def test_much_output_on_both_streams_does_not_block():
    code = "import sys; sys.stdout.write('a' * 500_000); sys.stderr.write('b' * 500_000)"
    done = run([sys.executable, "-c", code], timeout_s=30)
    assert (len(done.stdout), len(done.stderr)) == (500_000, 500_000)


def test_output_that_is_no_utf8_is_replaced():
    assert run(["printf", r"a\377b"], timeout_s=10).stdout == "a\ufffdb"


def test_a_signal_is_a_negative_code():
    assert run(["sh", "-c", "kill -KILL $$"], timeout_s=10).code == -signal.SIGKILL


def test_at_the_deadline_the_whole_group_is_killed(tmp_path):
    pids = tmp_path / "pids"
    script = f'trap "" TERM; sleep 1000 & echo $$ $! >{pids}; wait'
    with pytest.raises(ToolkitError, match=r"sh did not end within 0\.5 s and was killed"):
        run(["sh", "-c", script], timeout_s=0.5)
    parent, child = map(int, pids.read_text().split())
    eventually(lambda: not lives(parent) and not lives(child))


def test_a_process_that_left_the_group_and_holds_the_pipes_is_not_waited_for(tmp_path):
    pid_file = tmp_path / "pid"
    script = f"setsid sh -c 'echo $$ >{pid_file}; exec sleep 1000' & wait"
    try:
        with pytest.raises(ToolkitError, match="was killed"):
            run(["sh", "-c", script], timeout_s=0.5)
        assert lives(int(pid_file.read_text()))
    finally:
        os.kill(int(pid_file.read_text()), signal.SIGKILL)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["no-such-program", "s3cret"], "cannot start no-such-program: (No such file|Permission)"),
        (["/etc/passwd", "s3cret"], "cannot start /etc/passwd: Permission denied"),
        (["cat", "s3cret\0"], "cannot start 'cat': embedded null byte"),
    ],
)
def test_what_cannot_be_started_is_named_without_its_arguments(argv, said):
    with pytest.raises(ToolkitError, match=said) as caught:
        run(argv, timeout_s=10)
    assert "s3cret" not in str(caught.value)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ToolkitError, match=f"cannot start true: No such file or directory: {tmp_path}/x"):
        run(["true"], timeout_s=10, cwd=tmp_path / "x")


def test_lines_come_though_a_program_complains_more_than_a_pipe_holds():
    code = "import sys; sys.stderr.write('first\\n' + 'e' * 500_000); sys.stderr.flush(); print('done')"
    assert list(lines([sys.executable, "-c", code], silent_s=20)) == [["done"]]
    with pytest.raises(ToolkitError, match=r"first e{400}"):
        list(lines([sys.executable, "-c", f"{code}; sys.exit(3)"], silent_s=20))


def test_errors_alone_are_silence():
    code = "import sys, time\nwhile True: sys.stderr.write('e'); sys.stderr.flush(); time.sleep(0.01)"
    with pytest.raises(ToolkitError, match=r"said nothing for 0\.3 s"):
        list(lines([sys.executable, "-c", code], silent_s=0.3))


def test_lines_of_a_program_that_closes_its_errors():
    code = "import os, time; os.close(2); os.write(1, b'a\\n'); time.sleep(0.2); os.write(1, b'b\\n')"
    assert list(lines([sys.executable, "-c", code])) == [["a"], ["b"]]
