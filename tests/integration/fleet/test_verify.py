"""`toolkit verify` on this machine: breaking one thing makes exactly its check fail, with a hint."""

import json
import os
import re
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree as ET

import psutil
import pytest

from toolkit.verify import run
from toolkit.verify.expected import Expected


def failed(operator) -> dict[str, str]:
    """The checks that fail, each with what was found."""
    return faults_of(operator.json("verify", code=None))


def faults_of(told) -> dict[str, str]:
    return {
        f"{check['bot']}:{check['check']}": check["found"]
        for check in told["checks"]
        if check["outcome"] == "failed"
    }


def is_running(operator) -> bool:
    return all(bot["state"] == "RUNNING" for bot in operator.bots().values())


def test_a_fleet_as_it_was_deployed_passes(standing):
    told = standing.json("verify")
    assert (told["healthy"], told["failed"]) == (True, 0)
    outcomes = {(check["bot"], check["check"]): check["outcome"] for check in told["checks"]}
    # Nobody starts a private supervisord at boot.
    assert [name for name, outcome in outcomes.items() if outcome != "passed"] == [("", "boot")]
    assert {bot for bot, _ in outcomes} == {"", "alice", "bob", "carol"}
    text = standing.run("verify").stdout
    assert text.strip().endswith("passed, 1 skipped")
    assert "\nalice  secret" in standing.run("verify", "--all").stdout


@contextmanager
def mode(path: Path, mode: int) -> Iterator[None]:
    before = stat.S_IMODE(path.stat().st_mode)
    path.chmod(mode)
    yield
    path.chmod(before)


@contextmanager
def edit(path: Path, old: str, new: str) -> Iterator[None]:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    yield
    path.write_text(text)


@contextmanager
def append(path: Path, line: str) -> Iterator[None]:
    size = path.stat().st_size
    with path.open("a") as file:
        file.write(line)
    yield
    os.truncate(path, size)


def open_secret(operator):
    return mode(operator.folder / "secrets/alice.token", 0o644)


@contextmanager
def rotate(operator) -> Iterator[None]:
    path, token = operator.folder / "secrets/alice.token", operator.token("alice")
    written = path.stat().st_mtime
    with edit(path, token, token[:-3] + "new"):
        os.utime(path, (time.time() + 1,) * 2)  # whole seconds are compared
        yield
    os.utime(path, (written, written))


@contextmanager
def stop(operator) -> Iterator[None]:
    operator.supervisorctl("stop", "test-alice")
    yield
    operator.supervisorctl("start", "test-alice")


def edit_unit(operator):
    return edit(operator.home / "units/test-alice.conf", "stopwaitsecs=13", "stopwaitsecs=130")


def disable(operator):
    return edit(operator.home / "units/test-alice.conf", "autostart=true", "autostart=false")


def edit_bot_file(operator):
    return edit(operator.home / "bots/alice/bot.json", '"greeting": "Hello"', '"greeting": "Bye"')


@contextmanager
def change_limit(operator) -> Iterator[None]:
    process = psutil.Process(operator.pids()["alice"])
    before = process.rlimit(psutil.RLIMIT_NOFILE)
    process.rlimit(psutil.RLIMIT_NOFILE, (512, before[1]))
    yield
    process.rlimit(psutil.RLIMIT_NOFILE, before)


@contextmanager
def leave_stale_socket(operator) -> Iterator[None]:
    path = operator.home / "run/alice/control.sock"
    away = path.rename(path.with_name("away"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    path.chmod(0o600)
    yield
    away.rename(path)


def open_socket(operator):
    return mode(operator.home / "run/alice/control.sock", 0o666)


def open_home(operator):
    return mode(operator.home, 0o755)


def open_secrets(operator):
    return mode(operator.folder / "secrets", 0o777)


def reveal(operator):
    # In a line of its own, as a careless handler prints it.
    return append(operator.home / "log/alice.log", f"my token is {operator.token('alice')}\n")


def reveal_in_fleet_file(operator):
    return append(operator.fleet, f"# {operator.token('alice')}\n")


def edit_configuration(operator):
    return edit(operator.home / "supervisord.conf", "umask=077", "umask=000")


@contextmanager
def fill_log(operator) -> Iterator[None]:
    path = operator.home / "log/alice.log.1"
    with path.open("wb") as file:
        file.truncate(10**9)
    yield
    path.unlink()


@pytest.mark.parametrize(
    ("break_it", "check", "found"),
    [
        (open_secret, "alice:secret", "mode 0644"),
        (rotate, "alice:in-force", "token file was written after it started"),
        (stop, "alice:running", "it is STOPPED"),
        (edit_unit, "alice:unit-file", "line 14, `stopwaitsecs`"),
        (disable, "alice:enabled", "autostart=false"),
        (edit_bot_file, "alice:bot-file", "was edited: config.greeting"),
        (change_limit, "alice:limits", "open files: 512, not 1024"),
        (leave_stale_socket, "alice:socket", "Connection refused|nobody listens|no answer"),
        (open_socket, "alice:socket", "mode 0666, not 0600"),
        (open_home, ":database", "mode 0755"),
        (open_secrets, ":folders", "secrets has mode 0777: everyone may write there"),
        (reveal, "alice:no-token", "a token stands in"),
        (reveal_in_fleet_file, ":no-token", "fleet.yaml"),
        (edit_configuration, ":shared-files", "supervisord.conf was edited"),
        (fill_log, "alice:log", "1000[0-9]* bytes"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_breaking_one_thing_fails_exactly_its_check(standing, eventually, break_it, check, found):
    eventually(lambda: is_running(standing))
    with break_it(standing):
        text = standing.run("verify", "--json", code=3).stdout
    told = json.loads(text)
    faults = faults_of(told)
    assert list(faults) == [check], faults
    assert re.search(found, faults[check]), faults
    assert all(each["hint"] for each in told["checks"] if each["outcome"] == "failed")
    assert standing.token("alice") not in text


def test_what_an_operator_stopped_is_no_fault(up):
    up.run("admin", "stop-bot", "alice")
    told = up.json("verify")
    skipped = {check["check"] for check in told["checks"] if check["outcome"] == "skipped" and check["bot"]}
    assert skipped == {"running", "ready", "in-force", "user", "limits", "socket"}
    up.supervisorctl("start", "test-alice")
    assert failed(up) == {"alice:running": "it runs, though an operator stopped it"}


def test_a_fleet_that_is_down_is_told_once(up):
    up.run("down")
    assert failed(up) == {":supervisor": "it does not run"}


def test_what_was_never_deployed_is_wrong_input(operator):
    assert "not deployed yet: fleet " in operator.run("verify", code=2).stderr


def test_the_report_for_machines_tells_why_and_what_to_do(standing, eventually, tmp_path):
    eventually(lambda: is_running(standing))
    report = tmp_path / "report.xml"
    with open_secret(standing):
        standing.run("verify", "--junitxml", str(report), code=3)
    suite = ET.parse(report).getroot()[0]
    assert (suite.get("name"), suite.get("failures"), suite.get("skipped")) == ("toolkit verify", "1", "1")
    case = next(case for case in suite if case.find("failure") is not None)
    properties = {each.get("name"): each.get("value") for each in case.iter("property")}
    assert properties["bot"] == "alice"
    assert properties["hint"].startswith("`chmod 600")
    assert "alice: secret" in case.get("name")


def test_what_is_expected_is_one_document_without_a_secret(standing):
    text = standing.run("verify", "--expected").stdout
    told = json.loads(text)
    assert (told["fleet"], told["backend"], told["mode"]) == ("test", "supervisord", "user")
    assert standing.token("alice") not in text
    assert Expected.__struct_fields__[0] in told


def test_a_deploy_puts_back_what_was_edited(up):
    secret = up.home / "bots/alice/bot.json"
    secret.chmod(0o644)
    with edit_unit(up), edit_configuration(up):
        assert sorted(failed(up)) == [":shared-files", "alice:bot-file", "alice:unit-file"]
        up.run("deploy")
        assert failed(up) == {}
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_a_host_that_cannot_be_reached_is_a_failed_check(operator):
    # Port 9 of this machine: nobody listens there.
    arguments = ["verify", "--hosts", "ssh://nobody@127.0.0.1:9?timeout=5", "--json"]
    told = json.loads(operator.run(*arguments, code=3).stdout)
    (check,) = told["checks"]
    assert (check["check"], check["outcome"]) == ("reachable", "failed")
    assert check["hint"] == "can you reach it by ssh?"
    assert "refused" in check["found"], check


def test_a_host_without_the_command_is_a_failed_check_and_no_host_at_all_is_refused(operator):
    told = operator.run("verify", "--hosts", "local://", "--remote-toolkit", "/no/toolkit", "--json", code=3)
    (check,) = json.loads(told.stdout)["checks"]
    assert check["hint"] == "name the toolkit's command there by --remote-toolkit"
    assert "names no host" in operator.run("verify", "--hosts", " ,", code=2).stderr


def test_the_extra_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(run, "find_spec", lambda _name: None)
    with pytest.raises(run.UsageError, match="needs pytest") as caught:
        run.need_testinfra()
    assert "bot-toolkit[verify]" in caught.value.hint


def test_the_hosts_language_changes_nothing(standing, eventually):
    eventually(lambda: is_running(standing))
    environ = os.environ | {"LC_ALL": "C.UTF-8", "LANGUAGE": "de"}
    standing.run("verify", env=environ)


def test_settings_of_the_users_pytest_change_nothing(standing, eventually, tmp_path):
    eventually(lambda: is_running(standing))
    environ = os.environ | {"PYTEST_ADDOPTS": "--collect-only --no-such-option", "PYTEST_PLUGINS": "nothing"}
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    command = [Path(sys.executable).parent / "toolkit", "-f", standing.fleet, "verify"]
    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_revision_of_files_that_are_not_the_fleets_is_refused(up):
    sql = "UPDATE revision_file SET path = '../../../../etc/shadow' WHERE path LIKE '%supervisord.conf'"
    connection = sqlite3.connect(up.home / "fleet.db", isolation_level=None)
    connection.execute(sql)
    connection.close()
    told = up.run("verify", code=1).stderr
    assert "its revision 1 names " in told
    assert "/etc/shadow, which is no file of this fleet" in told
    up.run("deploy")
    up.run("verify")
