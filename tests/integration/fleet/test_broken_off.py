"""A deploy that is killed at any of its steps, or finds records that are older: one more makes all agree."""

import itertools
import re
import shutil
import signal
import subprocess
import sys

import pytest

# The installed command, which kills itself right before one of its changes of the disk: a file that gets its
# name or goes, or a transaction of the database.
KILLED = """
import os, signal, sqlite3, sys
left = int(sys.argv.pop(1))
def change():
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
class Connection(sqlite3.Connection):
    def execute(self, statement, *arguments):
        if statement == "COMMIT":
            change()
        return super().execute(statement, *arguments)
connect = sqlite3.connect
sqlite3.connect = lambda *arguments, **options: connect(*arguments, **options, factory=Connection)
sys.addaudithook(lambda event, _: event in ("os.rename", "os.remove") and change())
from toolkit.cli.app import main
main()
"""


def killed(operator, left: int, *arguments: str) -> bool:
    """Whether a command was killed, which might do so many changes; one that does no more ends well."""
    command = [sys.executable, "-c", KILLED, str(left), "-f", str(operator.fleet), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


def agree(operator) -> None:
    assert "1 no-op" in operator.run("plan").stdout
    operator.run("verify")
    assert not [*operator.home.rglob(".*.conf.*.new"), *operator.home.rglob(".bot.json.*.new")]


@pytest.fixture
def alone(operator):
    """A fleet of one bot, up."""
    text = operator.fleet.read_text()
    operator.fleet.write_text(text[: text.index("  bob:")])
    operator.edit('echo:build"}', 'echo:build"}\n    stop_timeout: 10s')
    operator.run("up")
    return operator


def wherever_killed(operator, command: str, every: int) -> int:
    """Kill a command at one of so many of its changes, and run it once more; how many changes it makes."""
    for left in itertools.count(0, every):
        if command == "up":
            operator.run("down")
        text = operator.fleet.read_text()
        # Of unit and bot file.
        operator.fleet.write_text(re.sub(r"stop_timeout: \d+s", f"stop_timeout: {left + 11}s", text))
        if not killed(operator, left, command):
            return left
        operator.run(command)
        agree(operator)
    raise AssertionError


def test_one_more_deploy_makes_all_agree_wherever_one_was_killed(alone):
    assert wherever_killed(alone, "deploy", 1) >= 7


def test_one_more_up_makes_all_agree_wherever_one_was_killed(alone):
    assert wherever_killed(alone, "up", 2) >= 8


def test_records_of_a_backup_are_brought_to_what_is_in_force(alone, tmp_path):
    backup = shutil.copy(alone.home / "fleet.db", tmp_path)
    alone.edit("stop_timeout: 10s", "stop_timeout: 11s")
    alone.run("deploy")
    before = alone.pids()
    shutil.copy(backup, alone.home / "fleet.db")
    assert alone.run("deploy").stdout == "revision 2: 1 no-op\n"
    assert alone.pids() == before
    agree(alone)
    assert "nothing to do" in alone.run("deploy").stdout


def test_what_a_deploy_puts_back_is_named_before_and_after(up):
    before, units = up.pids(), up.home / "units"
    unit = units / "test-alice.conf"
    unit.write_text(unit.read_text().replace("stopwaitsecs=13", "stopwaitsecs=130"))
    (units / "test-bob.conf").unlink()
    (up.home / "bots/carol/bot.json").chmod(0o644)
    names = [
        f"put back {units}/test-alice.conf: edited",
        f"put back {units}/test-bob.conf: missing",
        f"put back {up.home}/bots/carol/bot.json: of mode 0644, not 0600",
    ]
    told = up.json("plan", code=3)
    assert [f"put back {one['path']}: {one['found']}" for one in told["put_back"]] == names
    assert [(step["action"], step["reason"]) for step in told["steps"]] == [
        ("restart", "its unit was edited"),
        ("no-op", ""),
        ("no-op", ""),
    ]
    done = up.run("plan", code=3).stdout.splitlines()
    assert done[-4:] == [*names, "1 restart, 2 no-op; 3 files put back"]
    done = up.run("deploy").stdout.splitlines()
    assert done == [*names, "revision 2: 1 restart, 2 no-op; 1 of 1 running"]
    pids = up.pids()
    assert pids["alice"] != before["alice"]
    assert pids | {"alice": 0} == before | {"alice": 0}
    assert up.json("plan")["put_back"] == []
    assert up.json("deploy")["put_back"] == []
    up.run("verify")


def test_a_bot_that_would_not_come_up_again_is_told_and_put_back(up):
    before, unit = up.pids(), up.home / "units/test-bob.conf"
    unit.write_text(unit.read_text().replace("autostart=true", "autostart=false"))
    assert up.run("plan", code=3).stdout.splitlines() == [
        f"put back {unit}: disabled",
        "3 no-op; 1 file put back",
    ]
    assert up.run("deploy").stdout.startswith(f"put back {unit}: disabled\n1 file put back; ")
    assert up.pids() == before
    up.run("verify")
    assert "nothing to do" in up.run("deploy").stdout


def test_files_that_are_gone_are_put_back_without_a_restart(up):
    before = up.pids()
    (up.home / "units/test-bob.conf").unlink()
    done = up.run("deploy").stdout.splitlines()
    assert done[-1] == "1 file put back; else what is in force is what the fleet's files say"
    assert up.pids() == before


def test_a_bot_with_an_edited_unit_is_restarted_though_a_deploy_was_killed_after_the_unit_was_put_back(alone):
    unit, before = alone.home / "units/test-alice.conf", alone.pids()
    deployed = unit.read_text()
    unit.write_text(deployed.replace("stopwaitsecs=13", "stopwaitsecs=130"))
    left = 0
    while unit.read_text() != deployed:
        assert killed(alone, left, "deploy")
        left += 1
    assert alone.pids() == before
    told = {one["check"]: one for one in alone.json("verify", code=3)["checks"]}
    assert told["revision"]["hint"] == "`toolkit deploy` goes on from there"
    words = "its unit was edited and put back, and it was not restarted since"
    assert told["in-force"]["found"] == f"{words}: see `revision`"
    assert alone.json("plan", code=3)["put_back"] == []
    assert "1 restart" in alone.run("deploy").stdout
    assert alone.pids() != before
    agree(alone)


def test_what_the_fleet_changes_itself_is_not_called_put_back(up):
    up.run("admin", "stop-bot", "bob")
    up.edit("greeting: Hello", "greeting: Moin")
    assert up.json("plan", code=3)["put_back"] == []
    assert up.json("deploy")["put_back"] == []
