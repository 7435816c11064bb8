"""Pauses and dead letters, as an operator has them at the command line."""

import json
import os
import signal

import msgspec
import pytest

from toolkit.spool import DeadLetter, letters_of


def test_a_pause_holds_over_a_kill_until_the_resume(up, eventually):
    told = up.json("admin", "pause-bot", "type:echo")["bots"]
    assert [(bot["name"], bot["state"], bot["unfinished"]) for bot in told] == [
        ("alice", "PAUSED", 0),
        ("bob", "PAUSED", 0),
    ]
    assert {bot["reason"] for bot in told} == {"an operator paused it"}
    assert "admin resume-bot alice" in up.run("bot", "status", "alice").stdout
    assert up.run("bot", "health").returncode == 0
    assert "nothing to do" in up.run("deploy").stdout
    before = up.pids()["alice"]
    os.kill(before, signal.SIGKILL)
    eventually(lambda: up.pids()["alice"] not in (before, None) and up.states()["alice"] == "PAUSED")
    up.sandbox.say(up.bot_id("alice"), "hello")
    assert up.states() == {"alice": "PAUSED", "bob": "PAUSED", "carol": "RUNNING"}
    assert up.sandbox.counters(up.bot_id("alice"))["pending"] == 1
    assert up.run("admin", "resume-bot", "state:PAUSED").stdout.splitlines() == [
        "alice: RUNNING",
        "bob: RUNNING",
    ]
    assert up.sandbox.wait_for_answers(up.bot_id("alice"), 1)
    up.run("admin", "pause-bot", "bob")
    up.run("admin", "restart-bot", "bob")
    assert up.states()["bob"] == "RUNNING"


def test_a_bot_that_cannot_be_paused_is_told(up):
    up.run("admin", "pause-bot", code=2)
    up.run("admin", "stop-bot", "bob")
    assert "bob: STOPPED" in up.run("admin", "pause-bot", "all", code=3).stdout
    up.edit("types:", 'types:\n  sleeper: {app: {exec: [/bin/sleep, "1000"]}}')
    up.edit("bots:", "bots:\n  dora: {type: sleeper}")
    up.run("deploy")
    refused = up.run("admin", "pause-bot", "dora", code=4)
    assert "takes its updates by itself" in refused.stderr
    assert "dora: RUNNING: a bot of kind exec" in up.run("admin", "pause-bot", "dora", "alice", code=3).stdout
    assert up.states()["alice"] == "PAUSED"


def test_a_pause_that_got_no_answer_has_no_effect_later(up, eventually):
    bob = up.pids()["bob"]
    os.kill(bob, signal.SIGSTOP)
    try:
        told = up.run("admin", "pause-bot", "bob", code=3).stdout
        assert "not paused: no answer within 5 s" in told
        assert up.bots()["bob"]["reason"] == f"its process is stopped: `kill -CONT {bob}` has it go on"
    finally:
        os.kill(bob, signal.SIGCONT)
    # What comes later on the control socket is answered later.
    eventually(lambda: up.states()["bob"] == "RUNNING")
    assert up.bots()["bob"]["paused"] is False
    assert json.loads((up.home / "bots/bob/run.json").read_text())["paused"] is False
    assert up.ask("bob", "x")


def test_a_bot_whose_control_socket_is_gone_is_told_at_once_and_mended_by_a_restart(up):
    before = up.pids()["bob"]
    socket = up.home / "run" / "bob" / "control.sock"
    socket.unlink()
    words = f"its control socket {socket} is not there"
    told = up.run("admin", "pause-bot", "bob", "--wait", "600", code=3)
    assert words in told.stdout
    bob = up.bots()["bob"]
    assert (bob["state"], bob["reason"], bob["pid"]) == ("DEGRADED", words, before)
    assert bob["hint"] == "`toolkit admin restart-bot bob` makes it anew"
    for command in ("pause-bot", "resume-bot"):
        told = up.run("admin", command, "bob", "--wait", "600", code=3)
        assert told.stdout == f"bob: DEGRADED: {words}\n"
        assert "restart-bot bob" in told.stderr
    up.run("admin", "restart-bot", "bob")
    assert up.states()["bob"] == "RUNNING"
    assert up.pids()["bob"] != before


@pytest.fixture
def set_aside(up):
    """Put updates into a bot's dead letters, with texts."""

    def put(bot, **texts):
        letters = letters_of(up.home / "bots" / bot)
        for number, text in texts.items():
            chat = {"id": 5, "type": "private", "first_name": "Ann"}
            message = {"message_id": 1, "date": 1, "chat": chat, "text": text}
            update = {"update_id": int(number[1:]), "message": message}
            letters.put(
                DeadLetter(
                    update_id=int(number[1:]),
                    reason="why",
                    at="2026-01-01T00:00:00.000Z",
                    attempts=3,
                    update=msgspec.Raw(json.dumps(update).encode()),
                )
            )

    return put


def retried(up, text):
    return [a["text"] for a in up.sandbox.wait_for_answers(up.bot_id("alice"), 1) if text in a["text"]]


def test_dead_letters_of_a_bot_that_runs_are_shown_and_handled_again(up, set_aside):
    assert "no update is set aside" in up.run("bot", "dead-letters").stdout
    set_aside("alice", u901="first", u902="second")
    alice, bob, _ = up.json("bot", "dead-letters")["bots"]
    letter = {"update_id": 901, "reason": "why", "at": "2026-01-01T00:00:00.000Z", "attempts": 3}
    assert (alice["count"], alice["dead_letters"][0], bob["count"]) == (2, letter, 0)
    assert up.bots()["alice"]["dead_letters"] == 2
    assert "bot dead-letters alice" in up.run("bot", "status", "alice").stdout
    assert "902" in up.run("bot", "dead-letters", "alice").stdout
    missing = up.json("bot", "retry-update", "alice", "901", "77", code=1)
    assert (missing["retried"], missing["missing"], missing["running"]) == ([901], [77], True)
    assert retried(up, "first")
    assert "1 update to be handled again now" in up.run("bot", "retry-update", "alice", "all").stdout
    assert up.json("bot", "dead-letters", "alice")["bots"][0]["count"] == 0


def test_dead_letters_of_a_bot_that_is_down_are_handled_when_it_starts(up, set_aside):
    set_aside("alice", u901="first", u902="second")
    up.run("admin", "stop-bot", "alice")
    assert up.json("bot", "dead-letters", "alice")["bots"][0]["count"] == 2
    told = up.run("bot", "retry-update", "alice", "901").stdout
    assert told == "alice: 1 update to be handled again when it starts\n"
    assert up.json("bot", "retry-update", "alice", "901", code=1)["missing"] == [901]
    assert [each["update_id"] for each in up.json("bot", "dead-letters")["bots"][0]["dead_letters"]] == [902]
    up.run("admin", "start-bot", "alice")
    assert retried(up, "first")
    assert up.json("bot", "dead-letters", "alice")["bots"][0]["count"] == 1


def test_a_link_in_the_place_of_a_spool_is_told_and_hides_no_other_bot(up, set_aside, tmp_path):
    set_aside("alice", u901="first")
    set_aside("bob", u902="second")
    up.run("admin", "stop-bot", "alice")
    spool = up.home / "bots/alice/spool"
    spool.rename(tmp_path / "elsewhere")
    spool.symlink_to(tmp_path / "elsewhere")
    done = up.run("bot", "dead-letters", code=1)
    assert "bob  902" in done.stdout
    assert done.stderr.startswith(f"error: alice: {spool} is a symbolic link, not a folder\n")
    assert [each["count"] for each in up.json("bot", "dead-letters", code=1)["bots"]] == [None, 1, 0]
    up.run("bot", "dead-letters", "alice", code=4)
    for number in ("901", "all"):
        assert f"{spool} is a symbolic link" in up.run("bot", "retry-update", "alice", number, code=4).stderr
    assert [path.name for path in (tmp_path / "elsewhere/dead").iterdir()] == ["901.json"]


def test_what_is_no_dead_letter_is_told_and_hides_no_other(up, set_aside, tmp_path):
    set_aside("alice", u901="first", u902="second")
    set_aside("bob", u903="third")
    dead = up.home / "bots/alice/spool/dead"
    (tmp_path / "secret").write_bytes((dead / "902.json").read_bytes().replace(b"why", b"secret"))
    (dead / "902.json").unlink()
    (dead / "902.json").symlink_to(tmp_path / "secret")
    os.mkfifo(dead / "904.json")
    (dead / "905.json").write_text("{")
    (dead / "906.json").touch()
    os.truncate(dead / "906.json", 50 * 10**9)
    bob = up.pids()["bob"]
    os.kill(bob, signal.SIGSTOP)
    try:
        for _ in ("runs", "is down"):
            done = up.run("bot", "dead-letters", code=1)
            assert "alice  901" in done.stdout
            assert "secret" not in done.stdout + done.stderr.replace(str(tmp_path), "")
            assert f"alice: update 902: {dead}/902.json is a symbolic link, not a file\n" in done.stderr
            for number, words in (
                (904, "is a named pipe"),
                (905, "is no dead letter"),
                (906, "has more than"),
            ):
                assert f"alice: update {number}: {dead}/{number}.json {words}" in done.stderr
            damaged = dead / "905.json"
            helps = f"`less {damaged}` shows what it holds, `rm {damaged}` removes it\n"
            assert helps in done.stderr
            again = up.run("bot", "retry-update", "alice", "905", code=1)
            assert again.stderr.startswith(f"error: alice: update 905: {damaged} is no dead letter")
            assert again.stderr.endswith(helps)
            assert "error: bob: " in done.stderr
            assert " more" not in done.stderr.replace("has more than", "")
            told = up.json("bot", "dead-letters", code=1)["bots"]
            assert [each["count"] for each in told] == [5, None, 0]
            assert [each["update_id"] for each in told[0]["unreadable"]] == [902, 904, 905, 906]
            assert told[1]["fault"]
            up.run("admin", "stop-bot", "alice")
        done = up.run("bot", "retry-update", "alice", "902", code=1)
        assert (done.stdout, done.stderr.count("error: ")) == ("", 1)
        done = up.json("bot", "retry-update", "alice", "905", "77", code=1)
        assert (done["missing"], [each["update_id"] for each in done["unreadable"]]) == ([77], [905])
        done = up.json("bot", "retry-update", "alice", "all", code=1)
        assert (done["retried"], done["missing"]) == ([901], [])
        assert [each["update_id"] for each in done["unreadable"]] == [902, 904, 905, 906]
        done = up.run("bot", "retry-update", "alice", "all", code=1)
        assert (done.stdout, done.stderr.count("error: ")) == ("", 4)
        assert f"alice: update 904: {dead}/904.json is a named pipe" in done.stderr
        assert up.run("bot", "retry-update", "carol", "all").stdout == "carol: nothing is set aside\n"
    finally:
        os.kill(bob, signal.SIGCONT)


def test_what_makes_no_sense_is_refused_in_words(up):
    assert "no update's id" in up.run("bot", "retry-update", "alice", "x7", code=2).stderr
    assert "means 3 bots" in up.run("bot", "retry-update", "all", "7", code=2).stderr
    up.run("admin", "pause-bot", "alice")
    assert "it is paused" in up.run("bot", "retry-update", "alice", "7", code=4).stderr
