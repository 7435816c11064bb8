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


def test_a_fleet_as_it_was_deployed_passes(up):
    told = up.json("verify")
    assert (told["healthy"], told["failed"]) == (True, 0)
    outcomes = {(check["bot"], check["check"]): check["outcome"] for check in told["checks"]}
    # Nobody starts a private supervisord at boot.
    assert [name for name, outcome in outcomes.items() if outcome != "passed"] == [("", "boot")]
    assert {bot for bot, _ in outcomes} == {"", "alice", "bob", "carol"}
    text = up.run("verify").stdout
    assert text.strip().endswith("passed, 1 skipped")
    assert "\nalice  secret" in up.run("verify", "--all").stdout


def open_secret(operator) -> None:
    (operator.folder / "secrets/alice.token").chmod(0o644)


def rotate(operator) -> None:
    path = operator.folder / "secrets/alice.token"
    path.write_text(operator.token("alice")[:-3] + "new")
    os.utime(path, (time.time() + 1,) * 2)  # whole seconds are compared


def stop(operator) -> None:
    operator.supervisorctl("stop", "test-alice")


def edit_unit(operator) -> None:
    unit = operator.home / "units/test-alice.conf"
    unit.write_text(unit.read_text().replace("stopwaitsecs=13", "stopwaitsecs=130"))


def disable(operator) -> None:
    unit = operator.home / "units/test-alice.conf"
    unit.write_text(unit.read_text().replace("autostart=true", "autostart=false"))


def edit_bot_file(operator) -> None:
    path = operator.home / "bots/alice/bot.json"
    path.write_text(path.read_text().replace('"greeting": "Hello"', '"greeting": "Bye"'))


def change_limit(operator) -> None:
    psutil.Process(operator.pids()["alice"]).rlimit(psutil.RLIMIT_NOFILE, (512, 512))


def leave_stale_socket(operator) -> None:
    path = operator.home / "run/alice/control.sock"
    path.unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    path.chmod(0o600)


def open_socket(operator) -> None:
    (operator.home / "run/alice/control.sock").chmod(0o666)


def open_home(operator) -> None:
    operator.home.chmod(0o755)


def open_secrets(operator) -> None:
    (operator.folder / "secrets").chmod(0o777)


def reveal(operator) -> None:
    # In a line of its own, as a careless handler prints it.
    with (operator.home / "log/alice.log").open("a") as log:
        log.write(f"my token is {operator.token('alice')}\n")


def reveal_in_fleet_file(operator) -> None:
    with operator.fleet.open("a") as file:
        file.write(f"# {operator.token('alice')}\n")


def edit_configuration(operator) -> None:
    conf = operator.home / "supervisord.conf"
    conf.write_text(conf.read_text().replace("umask=077", "umask=000"))


def fill_log(operator) -> None:
    with (operator.home / "log/alice.log.1").open("wb") as file:
        file.truncate(10**9)


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
def test_breaking_one_thing_fails_exactly_its_check(up, eventually, break_it, check, found):
    eventually(lambda: is_running(up))
    break_it(up)
    text = up.run("verify", "--json", code=3).stdout
    told = json.loads(text)
    faults = faults_of(told)
    assert list(faults) == [check], faults
    assert re.search(found, faults[check]), faults
    assert all(each["hint"] for each in told["checks"] if each["outcome"] == "failed")
    assert up.token("alice") not in text


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


def test_the_report_for_machines_tells_why_and_what_to_do(up, tmp_path):
    open_secret(up)
    report = tmp_path / "report.xml"
    up.run("verify", "--junitxml", str(report), code=3)
    suite = ET.parse(report).getroot()[0]
    assert (suite.get("name"), suite.get("failures"), suite.get("skipped")) == ("toolkit verify", "1", "1")
    case = next(case for case in suite if case.find("failure") is not None)
    properties = {each.get("name"): each.get("value") for each in case.iter("property")}
    assert properties["bot"] == "alice"
    assert properties["hint"].startswith("`chmod 600")
    assert "alice: secret" in case.get("name")


def test_what_is_expected_is_one_document_without_a_secret(up):
    text = up.run("verify", "--expected").stdout
    told = json.loads(text)
    assert (told["fleet"], told["backend"], told["mode"]) == ("test", "supervisord", "user")
    assert up.token("alice") not in text
    assert Expected.__struct_fields__[0] in told


def test_a_deploy_puts_back_what_was_edited(up):
    edit_unit(up)
    edit_configuration(up)
    secret = up.home / "bots/alice/bot.json"
    secret.chmod(0o644)
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


def test_settings_of_the_users_pytest_change_nothing(up, tmp_path):
    environ = os.environ | {"PYTEST_ADDOPTS": "--collect-only --no-such-option", "PYTEST_PLUGINS": "nothing"}
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    command = [Path(sys.executable).parent / "toolkit", "-f", up.fleet, "verify"]
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
