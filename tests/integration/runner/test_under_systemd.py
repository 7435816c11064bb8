"""What a runner does otherwise under systemd, as far as that can be seen without it: its standard streams."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from toolkit import botfile
from toolkit.secrets import TokenReference

RUNNER = Path(sys.executable).with_name("bot-runner")


@pytest.fixture
def under_systemd(bot):
    """Start the bot with a file as its standard input, and another in the place of the journal."""

    def start(standard_input: Path) -> subprocess.Popen[bytes]:
        files = msgspec.structs.replace(bot.file.files, log="")
        bot.change(
            backend="systemd", token=TokenReference("stdin", (str(bot.folder / "token"),)), files=files
        )
        bot.path.write_text(botfile.encode(bot.file))
        with open(standard_input, "rb") as token, open(bot.folder / "stray.log", "ab") as journal:
            bot.runner = subprocess.Popen([RUNNER, bot.path], stdin=token, stdout=journal, stderr=journal)
        bot.started.append(bot.runner)
        return bot.runner

    return start


def test_the_token_comes_by_standard_input_and_is_gone_from_there(bot, under_systemd):
    runner = under_systemd(bot.folder / "token")
    bot.until("RUNNING")
    assert os.readlink(f"/proc/{runner.pid}/fd/0") == "/dev/null"
    assert bot.token not in Path(f"/proc/{runner.pid}/environ").read_text()
    assert bot.stop() == 0
    assert bot.token not in bot.stray()


def test_the_log_goes_to_the_journal_each_line_with_its_priority(bot, under_systemd):
    under_systemd(bot.folder / "token")
    bot.until("RUNNING")
    assert bot.stop() == 0
    lines = bot.stray().splitlines()
    assert lines
    assert {line[:3] for line in lines} <= {"<3>", "<4>", "<6>"}
    assert "<6>bot_runner: RUNNING" in lines
    assert not (bot.folder / "bot.log").exists()


@pytest.mark.parametrize("content", ["", "no token\n"])
def test_a_standard_input_without_a_token_is_a_bad_configuration(bot, under_systemd, content):
    empty = bot.folder / "empty"
    empty.write_text(content)
    under_systemd(empty)
    assert bot.ended() == 78
    assert f"{bot.folder / 'token'} holds no bot token" in bot.stray()
