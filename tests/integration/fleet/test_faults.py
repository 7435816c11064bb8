"""What an operator meets at three in the morning."""

import json
import os
import random
import resource
import signal
import sqlite3
import time

import pytest

THREE = {"alice": "RUNNING", "bob": "RUNNING", "carol": "RUNNING"}


def test_two_at_once_one_is_refused_or_finds_nothing_to_do(operator):
    both = [operator.start("up"), operator.start("up")]
    said = [process.communicate(timeout=60) for process in both]
    codes = sorted(process.returncode for process in both)
    assert codes in ([0, 0], [0, 4]), said
    if codes == [0, 4]:
        assert any("is being changed by" in err for _, err in said)
    assert operator.states() == THREE
    assert len(operator.runners()) == 3


def test_a_command_that_is_killed_is_finished_by_the_next(up):
    random.seed(os.getpid())
    for greeting in ("One", "Two", "Three", "Four"):
        text = up.fleet.read_text()
        line = next(
            line for line in text.splitlines() if "greeting:" in line and not line.lstrip().startswith("#")
        )
        up.fleet.write_text(text.replace(line, line[: line.index("greeting:")] + f"greeting: {greeting}"))
        deploy = up.start("deploy")
        time.sleep(random.uniform(0.1, 1.5))  # any moment will do: the point is that none is special
        deploy.send_signal(signal.SIGKILL)
        deploy.communicate()
        up.run("deploy")
        assert up.states() == THREE
        assert len(up.runners()) == 3
        assert any(greeting in text for text in up.ask("alice", "x"))


def test_a_bot_whose_restart_was_killed_says_that_it_is_to_run_and_what_starts_it(up, eventually):
    os.kill(up.pids()["alice"], signal.SIGSTOP)
    restart = up.start("admin", "restart-bot", "alice")
    eventually(lambda: up.states()["alice"] == "STOPPING")
    restart.kill()
    restart.communicate()
    os.kill(up.pids()["alice"], signal.SIGCONT)
    eventually(lambda: up.states()["alice"] == "STOPPED")
    told = {bot["name"]: bot for bot in up.json("bot", "health", code=3)["bots"]}["alice"]
    assert told["reason"] == "it is to run, and was stopped"
    assert told["hint"] == "`toolkit admin start-bot alice` starts it"
    up.run("bot", "status", code=3)
    up.run("admin", "start-bot", "alice")
    up.run("admin", "stop-bot", "bob")
    for command in ("health", "status"):
        up.run("bot", command)
    assert [bot["held"] for bot in up.bots().values()] == [False, True, False]


def test_a_bot_that_leaves_the_fleet_drains_however_short_the_wait(up):
    text = up.fleet.read_text()
    up.fleet.write_text(text[: text.index("  carol:")])
    up.run("deploy", "--wait", "0")
    record = json.loads((up.home / "bots" / "carol" / "run.json").read_text())
    assert (record["pid"], record["last_exit"]["kind"]) == (None, "stopped")
    assert sorted(up.bots()) == ["alice", "bob"]


def test_up_that_is_killed_is_finished_by_the_next(operator):
    for moment in (0.2, 0.4, 0.7):
        first = operator.start("up")
        time.sleep(moment)  # any moment will do
        first.send_signal(signal.SIGKILL)
        first.communicate()
        operator.run("up")
        assert operator.states() == THREE
        assert len(operator.runners()) == 3
        operator.run("down")


def test_a_lost_database_costs_no_restart(up):
    before = up.pids()
    for path in up.home.glob("fleet.db*"):
        path.unlink()
    assert up.states() == THREE
    # What runs is remembered again, once.
    assert up.run("deploy").stdout == "revision 1: 3 no-op\n"
    assert "nothing to do" in up.run("deploy").stdout
    assert up.pids() == before
    assert up.states() == THREE


def test_up_removes_units_that_a_lost_database_forgot_and_no_others(up):
    up.run("down")
    for path in up.home.glob("fleet.db*"):
        path.unlink()
    text = up.fleet.read_text()
    up.fleet.write_text(text[: text.index("  carol:")])
    other = up.home / "units/test-other.conf"
    other.write_text("[program:other]\ncommand=/bin/cat\n")
    assert "units/test-carol.conf: removed, as no bot of the fleet has it\n" in up.run("up").stderr
    assert set(up.states()) == {"alice", "bob"}
    assert "other" in up.supervisorctl("status", "other")
    assert other.exists()


def test_a_change_goes_on_though_nobody_reads_how_far_it_is(up):
    up.edit("greeting: Hello", "greeting: Moin")
    before = up.pids()
    with open("/dev/full", "w") as full:
        assert "revision 2" in up.start("deploy", stderr=full).communicate(timeout=120)[0]
    after = up.pids()
    assert {bot for bot in after if after[bot] != before[bot]} == {"alice", "carol"}
    up.run("verify")


def test_a_bot_whose_token_file_is_gone_is_not_taken_down(up):
    token = up.folder / "secrets/bob.token"
    token.rename(up.folder / "away")
    before = up.pids()
    told = up.run("admin", "restart-bot", "all", code=4).stderr
    assert told.startswith(f"error: bob: its token file {token} is not there\nhint: write the token to it")
    assert up.pids() == before


def test_a_damaged_database_is_told_in_words(up):
    (up.home / "fleet.db").write_bytes(b"not a database" * 1000)
    for extra in ("fleet.db-wal", "fleet.db-shm"):
        (up.home / extra).unlink(missing_ok=True)
    told = up.run("bot", "list", code=1)
    assert f"hint: move fleet.db* out of {up.home} and run `toolkit deploy`" in told.stderr
    before = sorted(up.runners())
    for path in up.home.glob("fleet.db*"):
        path.rename(up.folder / path.name)
    up.run("deploy")
    assert up.states() == THREE
    assert sorted(up.runners()) == before


def test_an_unreadable_unit_of_anothers_hand_is_found_before_anything_is_touched(up):
    before = up.pids()
    (up.home / "units" / "zz.conf").write_text("[program:zz]\ncommand = /bin/true %(ENV_NOT_THERE)s\n")
    up.edit("greeting: Hello", "greeting: Moin")
    told = up.run("deploy", code=1)
    assert "zz.conf" in told.stderr
    assert up.pids() == before
    (up.home / "units" / "zz.conf").unlink()
    up.run("deploy")
    assert up.states() == THREE


def _no_room():
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


def test_a_full_disk_is_told_and_nothing_is_touched(up):
    before = up.pids()
    up.edit("greeting: Hello", "greeting: Moin")
    process = up.start("deploy", preexec_fn=_no_room)
    out, err = process.communicate(timeout=60)
    assert process.returncode in (1, 4), (out, err)
    assert err.startswith("error: ")
    assert "Traceback" not in err
    assert up.pids() == before
    up.run("deploy")
    assert any("Moin" in text for text in up.ask("alice", "x"))


def test_a_full_disk_hinders_no_look_and_no_start_and_a_deploy_before_it_touches_a_bot(small_disk, operator):
    disk = small_disk(operator.folder / "state", 4096)
    operator.run("up")
    disk.fill()
    try:
        assert operator.states() == THREE
        assert "alice" in operator.run("bot", "status", "alice").stdout
        assert "3 no-op" in operator.run("plan").stdout
        assert operator.json("system", "info")["revision"] == 1
        operator.run("verify", "--all", code=None)
        before = operator.pids()["alice"]
        told = operator.run("admin", "restart-bot", "alice", "--wait", "5", code=None)
        assert operator.pids()["alice"] != before, told
        assert "hint:" in operator.run("admin", "stop-bot", "bob", code=1).stderr
        assert operator.states()["bob"] == "RUNNING"
    finally:
        disk.make_room()
    operator.edit("greeting: Hello", "greeting: Moin")
    before = operator.pids()
    for kilobytes in (60, 90, 300):
        disk.leave(kilobytes)
        told = operator.run("deploy", code=1).stderr
        assert "on its disk" in told
        assert "hint: `df -h`" in told
        assert operator.pids() == before
        disk.make_room()
    operator.run("deploy")
    assert operator.states() == THREE
    disk.fill()
    operator.run("down")
    assert not operator.runners()


def test_a_hung_supervisor_is_told_by_its_deadline(up):
    supervisor = up.supervisor_pid()
    os.kill(supervisor, signal.SIGSTOP)
    try:
        told = up.run("bot", "list", code=1)
        assert "does not answer" in told.stderr or "supervisord" in told.stderr
    finally:
        os.kill(supervisor, signal.SIGCONT)
    assert up.states() == THREE


def test_a_supervisor_whose_socket_is_gone_is_told_alike_by_all_and_ended_by_down(up):
    before, bob = up.pids(), up.pids()["bob"]
    socket = up.home / "run" / "supervisor.sock"
    socket.unlink()
    words = f"runs (pid {up.supervisor_pid()}), but its socket {socket} is gone"
    for command in (
        *(["admin", "restart-bot", "alice"], ["admin", "stop-bot", "alice"], ["admin", "shutdown-system"]),
        *(["up"], ["deploy"], ["plan"]),
    ):
        told = up.run(*command, code=1)
        assert words in told.stderr
        assert "`toolkit down`" in told.stderr
    told = up.json("system", "info")
    assert (told["supervisor_running"], told["supervisor"]) == (True, "socket gone")
    assert words in told["supervisor_reason"]
    assert "`toolkit down`" in told["supervisor_reason"]
    os.kill(bob, signal.SIGSTOP)
    bots = up.bots()
    assert {name: bot["pid"] for name, bot in bots.items()} == before
    assert {name: bot["state"] for name, bot in bots.items()} == THREE | {"bob": bots["bob"]["state"]}
    assert bots["bob"]["state"] in ("STARTING", "DEGRADED")
    assert all(words in bot["reason"] and "`toolkit down`" in bot["hint"] for bot in bots.values())
    assert up.pids() == before
    os.kill(bob, signal.SIGCONT)
    told = up.json("verify", code=None)
    assert any("its socket is gone" in each["found"] for each in told["checks"])
    assert up.run("down").stdout == "fleet test is down\n"
    assert not up.runners()
    for name in THREE:
        record = json.loads((up.home / "bots" / name / "run.json").read_text())
        assert (record["pid"], record["last_exit"]["kind"]) == (None, "stopped"), name
    up.run("up")
    assert up.states() == THREE


def test_another_fleet_file_of_the_same_name_is_refused(up, short_dir, sandbox):
    other = short_dir / "g"
    up.run("init", str(other), "--name", "test", "--endpoint", sandbox.url)
    command = ["--root", str(up.home.parent), "deploy"]
    up.fleet, mine = other / "fleet.yaml", up.fleet
    told = up.run(*command, code=4)
    assert str(mine) in told.stderr
    assert "--take-over" in told.stderr
    for command in (["down"], ["admin", "shutdown-system"]):
        told = up.run("--root", str(up.home.parent), *command, code=4)
        assert f"`toolkit -f {mine} {' '.join(command)}`" in told.stderr
    for command in (["bot", "list"], ["system", "info"]):
        told = up.run("--root", str(up.home.parent), *command)
        assert told.stderr == f"note: fleet test is deployed from {mine}, not from {other / 'fleet.yaml'}\n"
    up.fleet = mine
    assert up.states() == THREE
    assert up.run("bot", "list").stderr == ""


def test_a_fleet_goes_down_by_whatever_path_its_file_is_named_and_without_its_database(up):
    (up.home / "fleet.db").write_bytes(b"not a database" * 1000)
    up.run("down")
    assert not up.runners()
    for path in up.home.glob("fleet.db*"):
        path.unlink()
    up.run("up")
    up.fleet = up.folder / "bots" / ".." / "fleet.yaml"
    up.run("down")
    assert not up.runners()


def test_a_bot_without_an_api_waits_and_says_why(operator, eventually):
    operator.edit(operator.sandbox.url, "http://127.0.0.1:9")
    first = operator.start("up", "--wait", "300")
    eventually(lambda: set(operator.states().values()) == {"INITIALIZING"}, 30)
    refused = operator.run("admin", "stop-bot", "bob", code=4).stderr
    assert "it waits up to 300 s for alice, bob, carol to get ready" in refused
    assert f"`kill {first.pid}`" in refused
    first.terminate()
    first.communicate(timeout=20)
    told = operator.run("deploy", "--wait", "1", code=3)
    assert "cannot be reached" in told.stderr
    assert set(operator.states().values()) == {"INITIALIZING"}
    assert operator.run("bot", "health", code=3).stdout.count("INITIALIZING") == 3
    operator.edit("http://127.0.0.1:9", operator.sandbox.url)
    operator.run("deploy")
    assert operator.states() == THREE
    assert all(bot["restarts"] == 0 for bot in operator.bots().values())


def test_a_restart_that_waits_keeps_nobody_from_another_bot_and_goes_on_with_none(up, eventually):
    before = up.pids()
    up.sandbox.fault(up.bot_id("alice"), "getMe", "502")
    waiting = up.start("admin", "restart-bot", "alice", "carol", "--wait", "300")
    eventually(lambda: up.states()["alice"] == "INITIALIZING", 30)
    up.run("admin", "stop-bot", "bob")
    up.sandbox.heal(up.bot_id("alice"))
    out, err = waiting.communicate(timeout=30)
    assert (waiting.returncode, out) == (3, "alice: RUNNING\n")
    assert err == "another command has changed the fleet meanwhile\nstopped there: 1 not restarted\n"
    assert up.states() == THREE | {"bob": "STOPPED"}
    assert up.pids()["carol"] == before["carol"]


def test_a_rollout_stops_at_the_first_bot_that_does_not_get_ready(up):
    before = up.pids()
    up.edit("bots.echo:build", "bots.nowhere:build")
    told = up.run("deploy", code=3)
    assert "app failed to import" in told.stderr
    assert "bob" in told.stderr
    assert up.states() == THREE | {"alice": "QUARANTINED"}
    assert up.pids()["bob"] == before["bob"]
    os.kill(before["bob"], signal.SIGKILL)
    up.edit("bots.nowhere:build", "bots.echo:build")
    up.run("deploy")
    assert up.states() == THREE


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_stranger_is_refused(up):
    up.folder.parent.chmod(0o755)
    stranger = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    told = up.run("deploy", code=None, behind=stranger, env=os.environ | {"HOME": "/nonexistent"})
    assert told.returncode in (2, 4), told
    assert "Traceback" not in told.stderr
    assert told.stderr.startswith("error: ")
    for folder in (up.folder, up.home.parent, up.folder / "bots"):
        folder.chmod(0o755)
    assert up.home.stat().st_mode & 0o777 == 0o700
    env = {"behind": stranger, "env": os.environ | {"HOME": "/nonexistent"}}
    assert "is valid" in up.run("validate", **env).stdout
    told = up.run("plan", code=2, behind=stranger, env=env["env"] | {"TOOLKIT_ROOT": "/nonexistent"}).stderr
    assert told.count("token.file: you may not read the file, and the bot runs as you") == len(THREE)
    assert "run it as the owner" in up.run("bot", "list", code=4, **env).stderr


def test_the_history_keeps_what_was_deployed(up):
    up.edit("greeting: Hello", "greeting: Moin")
    up.run("deploy")
    rows = sqlite3.connect(up.home / "fleet.db").execute(
        "SELECT number, status FROM revision ORDER BY number"
    )
    assert rows.fetchall() == [(1, "applied"), (2, "applied")]
    assert up.json("system", "info")["revision"] == 2


def test_a_lost_bot_file_is_told_in_words_and_mended_by_a_deploy(up, eventually):
    (up.home / "bots" / "alice" / "bot.json").unlink()
    os.kill(up.pids()["alice"], signal.SIGKILL)
    eventually(lambda: "EXITED" in up.supervisorctl("status", "test-alice"))
    alice = up.bots()["alice"]
    assert (alice["state"], alice["ready"]) == ("QUARANTINED", False)
    lost = str(up.home / "bots" / "alice" / "bot.json")
    assert alice["reason"] == f"bad configuration: {lost}: No such file or directory"
    assert alice["reason"] in up.run("bot", "status", "alice", code=3).stdout
    assert "bot file changed" in up.run("plan", code=3).stdout
    up.run("deploy")
    assert up.states() == THREE


def test_a_runner_that_cannot_be_loaded_is_told_with_its_last_words(up, eventually):
    unit = up.home / "units" / "test-alice.conf"
    text = unit.read_text()
    (up.folder / "broken").mkdir()
    (up.folder / "broken" / "toolkit.py").write_text("import nothing_of_that_name\n")
    path = f"environment=PYTHONPATH='{up.folder}/broken',"
    unit.write_text(text.replace("environment=", path, 1).replace("startretries=10", "startretries=0"))
    up.supervisorctl("update")
    eventually(lambda: "FATAL" in up.supervisorctl("status", "test-alice"))
    alice = up.bots()["alice"]
    assert alice["state"] == "FAILED"
    assert "No module named 'nothing_of_that_name'" in alice["reason"]


def test_what_the_hint_says_helps_once_the_cause_is_mended(up, eventually):
    token = up.folder / "secrets" / "alice.token"
    token.rename(token.with_name("away"))
    os.kill(up.pids()["alice"], signal.SIGKILL)
    eventually(lambda: "EXITED" in up.supervisorctl("status", "test-alice"))
    told = up.run("bot", "status", "alice", code=3).stdout
    assert f"bad configuration: token: {token}" in told
    hint = next(line for line in told.splitlines() if " hint:" in line)
    token.with_name("away").rename(token)
    deploy = up.run("deploy", code=3)
    assert "nothing to do" in deploy.stdout
    command = "toolkit admin start-bot alice"
    assert f"`{command}`" in hint
    assert f"`{command}`" in deploy.stderr
    up.run(*command.split()[1:])
    assert up.states() == THREE
