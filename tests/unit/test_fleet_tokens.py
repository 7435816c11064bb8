"""Tokens are checked as far as that goes without running anything."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from toolkit.errors import InvalidFleetError
from toolkit.fleet.loader import load

FIRST, SECOND = "111111:" + "a" * 35, "222222:" + "b" * 35
HEAD = "version: 1\nfleet: demo\ntypes: {echo: {app: {telegram: 'm:f'}}}\nbots:\n"


def write(path: Path, text: str, mode: int = 0o600) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def problems(folder: Path, environ: dict[str, str] | None = None, **tokens: str) -> list[str]:
    rows = "".join(f"  {bot}: {{type: echo, token: {token}}}\n" for bot, token in tokens.items())
    (folder / "fleet.yaml").write_text(HEAD + rows)
    try:
        load(folder / "fleet.yaml", environ or {})
        return []
    except InvalidFleetError as error:
        found, text = error.problems, str(error)
    assert "aaaaa" not in text
    return [f"{problem.path}: {problem.message} ({problem.hint})" for problem in found]


def unprivileged(action: Callable[[], None]) -> None:
    """Do it as a user who is not root; in a child process if we are."""
    if os.geteuid() != 0:
        action()
        return
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        try:
            os.setgid(65534)
            os.setuid(65534)
            action()
        except BaseException as error:  # noqa: BLE001  the parent must hear of whatever it is
            os.write(2, repr(error).encode())
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_sound_tokens_are_no_problem(tmp_path):
    write(tmp_path / "a.token", FIRST + "\n")
    write(tmp_path / "b.token", SECOND, 0o640)
    assert problems(tmp_path, a="{file: a.token}", b="{file: b.token}") == []


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (None, 0, "cannot be read: No such file or directory (write the token to it, mode 0600"),
        (FIRST, 0o644, "everyone on this machine may read the file (chmod 600 /"),
        (FIRST, 0o604, "everyone on this machine may read the file"),
        ("no token", 0o600, "the file holds no bot token"),
        ("", 0o600, "the file holds no bot token"),
        (FIRST + "\n" + SECOND, 0o600, "the file holds no bot token"),
        ("\udcff", 0o600, "the file holds no bot token"),
    ],
)
def test_a_token_file_that_is_none(tmp_path, content, mode, said):
    if content is not None:
        (tmp_path / "a.token").write_bytes(content.encode(errors="surrogateescape"))
        (tmp_path / "a.token").chmod(mode)
    (problem,) = problems(tmp_path, a="{file: a.token}")
    assert problem.startswith("bots.a.token.file: ")
    assert said in problem


def test_a_folder_or_a_pipe_is_no_token_file(tmp_path):
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "folder").mkdir(mode=0o700)
    assert len(problems(tmp_path, a="{file: pipe}", b="{file: folder}")) == 2


def test_a_file_that_only_root_may_read_is_no_problem_for_others(short_dir):
    # /etc/shadow is 0640 root:shadow on every Debian.
    short_dir.chmod(0o777)

    def check() -> None:
        assert problems(short_dir, a="{file: /etc/shadow}", b="{file: /root/nowhere/b.token}") == []

    unprivileged(check)


def test_a_file_of_ones_own_that_may_not_be_read_is_one(short_dir):
    short_dir.chmod(0o777)

    def check() -> None:
        write(short_dir / "a.token", FIRST, 0)
        (problem,) = problems(short_dir, a="{file: a.token}")
        assert "its owner may not read the file (chmod 600 /" in problem
        (short_dir / "bots.d").mkdir()
        (short_dir / "bots.d/x.yaml").touch(0)
        assert ": cannot be read: Permission denied ()" in problems(short_dir)

    unprivileged(check)


def test_two_bots_with_one_telegram_id_are_refused(tmp_path):
    write(tmp_path / "a.token", FIRST)
    write(tmp_path / "b.token", "111111:" + "c" * 35)
    (problem,) = problems(tmp_path, a="{file: a.token}", b="{file: b.token}")
    assert problem.startswith("bots.b.token: a token of the same Telegram bot, 111111, as bot a, ")
    assert "fleet.yaml:5" in problem


def test_ids_are_compared_across_files_and_the_environment(tmp_path):
    write(tmp_path / "a.token", FIRST)
    (tmp_path / "bots.d").mkdir()
    (tmp_path / "bots.d/b.yaml").write_text("bots: {b: {type: echo, token: {env: B}}}")
    assert problems(tmp_path, {}, a="{file: a.token}") == []
    assert problems(tmp_path, {"B": SECOND}, a="{file: a.token}") == []
    (problem,) = problems(tmp_path, {"B": FIRST}, a="{file: a.token}")
    assert problem.startswith("bots.b.token: a token of the same Telegram bot")


def test_a_variable_that_is_set_must_hold_a_token(tmp_path):
    (problem,) = problems(tmp_path, {"A": "nothing"}, a="{env: A}")
    assert problem.startswith("bots.a.token.env: the variable holds no bot token")


@pytest.mark.parametrize(
    "token", ["{file: ./x/../a.token}", "{env: A}", "{command: [pass, a]}", "{credential: a}"]
)
def test_equal_references_are_refused_whatever_they_are(tmp_path, token):
    write(tmp_path / "a.token", FIRST)
    first = "{file: a.token}" if "file" in token else token
    (problem,) = problems(tmp_path, a=first, b=token)
    assert problem.startswith("bots.b.token: the same token as bot a, ")


def test_commands_are_not_run(tmp_path):
    assert problems(tmp_path, a=f"{{command: [touch, {tmp_path}/ran]}}") == []
    assert not (tmp_path / "ran").exists()


def test_paths_of_sockets_are_measured_with_the_longest_name(tmp_path, short_dir):
    text = HEAD.replace("telegram", "async") + f"  b: {{type: echo}}\n  {'x' * 32}: {{type: echo}}\n"
    room = 107 - len(f"{short_dir}//demo/run/{'x' * 32}/control.sock")
    for length, fits in ((room, True), (room + 1, False)):
        (tmp_path / "fleet.yaml").write_text(text)
        try:
            load(tmp_path / "fleet.yaml", {}, short_dir / ("r" * length))
        except InvalidFleetError as error:
            (problem,) = error.problems
            assert not fits
            assert f"that of {'x' * 32} would take 108 bytes" in problem.message
        else:
            assert fits
