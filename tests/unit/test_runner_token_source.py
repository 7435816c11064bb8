"""The token by standard input, as systemd hands it over."""

import os
import subprocess
import sys

import pytest

READ = """
import os
import msgspec
from bot_runner.failure import BotFailedError
from bot_runner.token_source import resolve
from toolkit.botfile import App, BotFile, Files
from toolkit.secrets import TokenReference
bot = BotFile(
    fleet="demo", name="a", type="t", backend="systemd", directory="/",
    app=App(kind="telegram", target="m:f"), token=TokenReference("stdin", ("/etc/token",)),
    files=Files(state="/s", socket="/s/c", run_record="/r", log=""),
)
try:
    print(resolve(bot), os.read(0, 10), os.readlink("/proc/self/fd/0"))
except BotFailedError as failure:
    print(failure.failure.name, failure.reason)
"""
TOKEN = "123456789:" + "A" * 35


def read(given):
    done = subprocess.run(
        [sys.executable, "-c", READ], input=given, capture_output=True, text=True, timeout=30, check=True
    )
    return done.stdout.strip()


def test_it_is_read_once_and_nothing_is_left_to_read():
    assert read(f"{TOKEN}\n") == f"{TOKEN} b'' {os.devnull}"


@pytest.mark.parametrize("given", ["", "nonsense\n"])
def test_what_is_no_token_is_told_by_its_file_alone(given):
    assert read(given) == "BAD_CONFIG token: /etc/token holds no bot token"
