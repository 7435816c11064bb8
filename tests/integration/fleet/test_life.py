"""A fleet's life as its operator sees it."""

import json
import os
import signal
from pathlib import Path

THREE = {"alice": "RUNNING", "bob": "RUNNING", "carol": "RUNNING"}


def test_up_brings_bots_that_answer_and_down_leaves_nothing(operator, eventually):
    done = operator.run("up")
    assert done.stdout == "revision 1: 3 start; 3 of 3 running\n"
    assert done.stderr.splitlines()[1:] == [f"{bot}: start (new)" for bot in ("alice", "bob", "carol")]
    bots = operator.bots()
    promised = "name type backend state ready pid uptime_s restarts memory_bytes cpu_percent"
    for bot in bots.values():
        assert bot.keys() >= set(promised.split())
        assert (bot["state"], bot["ready"], bot["restarts"]) == ("RUNNING", True, 0)
        assert bot["pid"] in operator.runners()
    assert bots["alice"]["type"] == "echo"
    assert operator.ask("alice", "good morning") != operator.ask("carol", "good morning")
    assert any("good morning" in text for text in operator.ask("bob", "good morning"))
    eventually(lambda: operator.bots()["alice"]["memory_bytes"])
    supervisor = operator.supervisor_pid()
    operator.run("down")
    assert operator.runners() == []
    assert not operator.lives(supervisor)
    assert operator.states() == dict.fromkeys(THREE, "STOPPED")
    told = operator.json("bot", "health", code=3)["bots"][0]
    assert (told["reason"], told["hint"]) == ("the supervisor is not running", "start it with `toolkit up`")
    assert operator.run("down").stdout == "fleet test was not running\n"


def test_a_second_up_does_nothing(up):
    pids = up.pids()
    assert "nothing to do" in up.run("up").stdout
    assert "nothing to do" in up.run("deploy").stdout
    up.run("plan")
    assert up.pids() == pids


def test_a_killed_bot_comes_back(up, eventually):
    before = up.bots()["alice"]
    os.kill(before["pid"], signal.SIGKILL)
    eventually(lambda: up.bots()["alice"]["state"] == "RUNNING" and up.pids()["alice"] != before["pid"])
    after = up.bots()["alice"]
    assert after["restarts"] == before["restarts"] + 1
    assert after["last_exit"]["kind"] == "died"
    assert up.bots()["bob"]["restarts"] == 0
    up.run("admin", "restart-bot", "alice")
    assert up.bots()["alice"]["restarts"] == 0, "an orderly stop starts the count anew"


def test_a_killed_supervisor_and_up_again_doubles_no_bot(up):
    before = up.pids()
    os.kill(up.supervisor_pid(), signal.SIGKILL)
    up.run("up")
    assert up.states() == THREE
    assert len(up.runners()) == 3
    assert not set(before.values()) & set(up.pids().values())
    for bot in THREE:
        assert any(up.ask(bot, "still there?"))
        assert up.sandbox.counters(up.bot_id(bot))["overlapping_polls"] == 0


def test_a_refused_token_is_tried_once_and_the_others_run_on(operator, eventually):
    operator.sandbox.refuse(operator.bot_id("bob"))
    told = operator.run("up", code=3)
    assert "token refused" in told.stderr
    others = {bot: pid for bot, pid in operator.pids().items() if bot != "bob"}
    eventually(lambda: "EXITED" in operator.supervisorctl("status", "test-bob"))
    bob = operator.bots()["bob"]
    assert (bob["state"], bob["failure"], bob["restarts"]) == ("QUARANTINED", "TOKEN_REFUSED", 0)
    status = operator.run("bot", "status", "bob", code=3).stdout
    assert "token refused" in status
    assert "hint" in status
    record = json.loads((operator.home / "bots" / "bob" / "run.json").read_text())
    assert record["total_starts"] == 1
    assert {bot: pid for bot, pid in operator.pids().items() if bot != "bob"} == others
    assert "quarantined" in operator.run("plan").stdout
    assert "bob: quarantined; `toolkit admin start-bot bob`" in operator.run("deploy", code=3).stderr
    operator.run("admin", "stop-bot", "bob")
    operator.run("deploy")
    operator.sandbox.allow(operator.bot_id("bob"))
    operator.run("admin", "start-bot", "bob")
    assert operator.states() == THREE


def test_an_edit_that_is_not_deployed_changes_nothing_even_after_a_crash(up, eventually):
    said = up.ask("alice", "x")
    up.edit("greeting: Hello", "greeting: Moin")
    before = up.bots()["alice"]
    listed = up.run("bot", "list")
    assert "fleet.yaml changed since the last deploy" in listed.stderr
    os.kill(before["pid"], signal.SIGKILL)
    eventually(lambda: up.states()["alice"] == "RUNNING" and up.pids()["alice"] != before["pid"])
    assert up.bots()["alice"]["fingerprint"] == before["fingerprint"]
    assert up.ask("alice", "x") == said
    assert "config.greeting changed" in up.run("plan", code=3).stdout
    up.run("deploy")
    assert any("Moin" in text for text in up.ask("alice", "x"))
    assert up.run("bot", "list").stderr == ""


def test_a_deploy_touches_only_what_changed(up):
    before = up.pids()
    text = up.fleet.read_text()
    up.fleet.write_text(
        text.replace("  carol:", "  dora: {type: echo, token: {file: secrets/dora.token}}\n  carol:")
    )
    secret = up.folder / "secrets" / "dora.token"
    secret.write_text("31337:" + "D" * 35)
    secret.chmod(0o600)
    up.run("deploy")
    after = up.pids()
    assert after.pop("dora") not in before.values()
    assert after == before
    up.fleet.write_text(text)
    assert "no longer in the fleet" in up.run("plan", code=3).stdout
    up.run("deploy")
    assert up.pids() == before
    assert len(up.runners()) == 3
    assert not (up.home / "units" / "test-dora.conf").exists()
    assert up.states() == THREE


def test_a_comment_in_the_fleet_file_restarts_nothing(up):
    before = up.pids()
    up.fleet.write_text("# a comment that moves every line\n" + up.fleet.read_text())
    assert "nothing to do" in up.run("deploy").stdout
    assert up.pids() == before


def test_a_changed_environment_reaches_the_bot_although_supervisord_keeps_the_old_one(up):
    app = 'app: {telegram: "bots.echo:build"}'
    up.edit(app, app + "\n    environment: {COLOUR: \"50% blue; 'very' #1\"}")
    up.run("deploy")
    environment = Path(f"/proc/{up.pids()['alice']}/environ").read_bytes().split(b"\0")
    assert b"COLOUR=50% blue; 'very' #1" in environment


def test_a_stop_by_hand_outlasts_the_supervisor(up):
    up.run("admin", "stop-bot", "bob")
    assert up.states() == THREE | {"bob": "STOPPED"}
    up.run("deploy")
    up.run("down")
    up.run("up")
    assert up.states() == THREE | {"bob": "STOPPED"}
    assert "stopped by an operator" in up.run("plan").stdout
    up.run("admin", "start-bot", "bob")
    assert up.states() == THREE


def test_shutdown_keeps_the_supervisor_and_up_brings_all_back(up):
    supervisor = up.supervisor_pid()
    up.run("admin", "shutdown-system")
    assert up.states() == dict.fromkeys(THREE, "STOPPED")
    up.run("up")
    assert up.states() == THREE
    assert up.supervisor_pid() == supervisor


def test_selectors_and_restarts(up):
    before = up.pids()
    up.run("admin", "restart-bot", "type:echo")
    after = up.pids()
    assert [bot for bot in THREE if after[bot] != before[bot]] == ["alice", "bob"]
    assert [bot["name"] for bot in up.json("bot", "list", "state:RUNNING", "c*")["bots"]] == list(THREE)
    wrong = up.run("admin", "stop-bot", "alcie", code=2)
    assert "did you mean `alice`?" in wrong.stderr
    assert up.pids() == after


def test_logs_are_read_merged_and_filtered(up):
    up.ask("alice", "hi")
    text = up.run("bot", "logs").stdout
    assert "alice" in text
    assert "carol" in text
    assert up.run("bot", "logs", "alice", "--grep", "nothing has this").stdout == ""
    lines = up.run("bot", "logs", "bob", "--json", "--since", "5m").stdout.splitlines()
    assert {json.loads(line)["bot"] for line in lines} == {"bob"}


def test_logs_are_followed(up):
    follower = up.start("bot", "logs", "alice", "-f", "-n", "0", "--grep", "STOPPING|asked")
    try:
        up.run("admin", "restart-bot", "alice")
        assert follower.stdout.readline()
    finally:
        follower.terminate()
        follower.communicate()


def test_a_rotated_token_is_told_until_a_restart_takes_it(up):
    path = up.folder / "secrets" / "alice.token"
    assert "alice" not in up.run("plan").stdout
    path.write_text(up.token("alice")[:-4] + "anew")
    row = next(line for line in up.run("plan").stdout.splitlines() if line.startswith("alice "))
    assert "token file was written after it started" in row
    told = up.run("deploy")
    assert "nothing to do" in told.stdout
    command = "toolkit admin restart-bot alice"
    assert f"`{command}`" in row
    assert f"`{command}`" in told.stderr
    up.run(*command.split()[1:])
    assert "alice" not in up.run("plan").stdout
    assert up.ask("alice", "hi")


def test_the_token_is_nowhere_but_in_its_file(up):
    up.ask("alice", "hi")
    up.run("admin", "restart-bot", "alice")
    secrets = [up.token(bot).partition(":")[2].encode() for bot in THREE]
    places = [path for path in up.home.rglob("*") if path.is_file()]
    assert any(path.name == "alice.log" for path in places)
    for path in places:
        data = path.read_bytes()
        assert not [secret for secret in secrets if secret in data], path
    for pid in (*up.runners(), up.supervisor_pid()):
        for name in ("cmdline", "environ"):
            data = Path(f"/proc/{pid}/{name}").read_bytes()
            assert not [secret for secret in secrets if secret in data], (pid, name)
    for command in (("bot", "status"), ("system", "info"), ("render", "--stdout"), ("plan",)):
        shown = up.run(*command).stdout.encode()
        assert not [secret for secret in secrets if secret in shown], command


def test_what_was_never_deployed_is_defined_and_cannot_be_started(operator):
    assert operator.states() == dict.fromkeys(THREE, "DEFINED")
    assert "`toolkit up` puts it in force" in operator.run("bot", "status", "alice").stdout
    for command in ("stop-bot", "pause-bot", "resume-bot"):
        told = operator.run("admin", command, "alice", code=2)
        assert "not deployed yet: alice" in told.stderr
    told = operator.run("admin", "start-bot", "state:FAILED")
    assert (told.stdout, told.stderr) == ("", "note: no bot is in that state\n")
    assert operator.json("bot", "list", "state:FAILED")["bots"] == []
    told = operator.run("sandbox", "say", "alice", "hello", code=2)
    assert "not deployed yet: alice" in told.stderr
    assert "toolkit deploy" in told.stderr
    refused = operator.run("deploy", code=4)
    assert "toolkit up" in refused.stderr


def test_a_bot_that_is_meant_by_a_glob_is_told_by_its_name(up):
    assert up.run("sandbox", "say", "al*", "hi").stdout.startswith("alice: ")
    assert up.json("sandbox", "heal", "al*")["bot"] == "alice"
