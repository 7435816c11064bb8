"""A python-telegram-bot bot under the runner, from its start to its end."""

import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import msgspec
import pytest

from toolkit import botfile
from toolkit.lifecycle import FailureClass

SUPERVISE = """
import subprocess, sys, time
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
time.sleep(60)
"""


def test_it_answers_when_it_is_running(bot, sandbox):
    bot.up()
    assert [answer["text"] for answer in sandbox.ask(bot.id, "hello")] == ["hello"]
    status = bot.ask("status")
    assert status["updates_handled"] == 1
    assert status["username"]
    assert status["memory_bytes"] > 10_000_000
    assert status["poll_age_s"] < 15
    assert bot.ask("health")["ready"] is True
    assert "post_init says Hello" in bot.messages("alice")


def test_a_built_application_is_taken_and_its_updater_left_alone(bot, sandbox):
    bot.app("telegram", "echo_app:built").up()
    assert sandbox.ask(bot.id, "hello")[0]["text"] == "hello"


def test_the_probe_confirms_nothing(bot, sandbox):
    for number in range(3):
        sandbox.say(bot.id, f"before {number}")
    bot.up()
    answers = sandbox.wait_for_answers(bot.id, 3)
    assert [answer["text"] for answer in answers] == ["before 0", "before 1", "before 2"]


def test_only_the_allowed_updates_are_asked_for(bot, sandbox):
    bot.app("telegram", "echo_app:picky").up()
    assert sandbox.say(bot.id, "not wanted") is None


def test_sigterm_lets_the_running_handler_finish_and_runs_the_hooks(bot, sandbox, eventually):
    bot.up()
    sandbox.say(bot.id, "/slow 0.7")
    eventually(lambda: bot.ask("status")["oldest_in_flight_s"], "a handler that runs")
    bot.runner.send_signal(signal.SIGTERM)
    bot.runner.send_signal(signal.SIGTERM)
    bot.until("STOPPING", "SIGTERM")
    assert bot.ended() == 0
    assert [answer["text"] for answer in sandbox.answers(bot.id)] == ["slept 0.7"]
    order = [text for text in bot.messages("alice") if text in {"on_stop", "post_stop", "post_shutdown"}]
    assert order == ["on_stop", "post_stop", "post_shutdown"]
    last = bot.record().last_exit
    assert (last.kind, last.code) == ("stopped", 0)
    assert not Path(bot.file.files.socket).exists()


def test_what_was_handled_does_not_come_again(bot, sandbox, eventually):
    """So many that the intake waits for room, and has not confirmed them when the end is asked for."""
    bot.change(stop_s=30.0).up()
    sandbox.flood(bot.id, 90, "/slow 0.02")
    eventually(lambda: bot.ask("status")["updates_handled"] > 1, "the first of them")
    bot.runner.send_signal(signal.SIGTERM)
    assert bot.ended(within_s=40) == 0
    bot.up()
    sandbox.say(bot.id, "later")
    assert sandbox.wait_until(bot.id, lambda counters: counters["unanswered"] == 0)["sent"] == 91
    assert sandbox.counters(bot.id)["answered_twice"] == 0


def test_a_handler_that_does_not_end_is_cancelled_at_the_deadline_and_said(bot, sandbox, eventually):
    bot.change(stop_s=1.0).up()
    sandbox.say(bot.id, "/slow 60")
    eventually(lambda: bot.ask("status")["oldest_in_flight_s"], "a handler that runs")
    assert bot.stop() == 0
    assert any(text.startswith("1 updates were not handled within 1 s") for text in bot.messages())
    assert "post_shutdown" in bot.messages("alice")


def test_a_blocked_loop_is_seen_and_ended_by_force(bot, sandbox, eventually):
    bot.change(stop_s=1.0).up()
    sandbox.say(bot.id, "/block 60")
    eventually(lambda: bot.ask("status")["loop_lag_s"] > 0.5, "a lag of the loop")
    assert bot.stop() == 0
    assert any("its event loop hangs" in text for text in bot.messages())
    assert bot.record().last_exit.kind == "stopped"


@pytest.mark.parametrize("text", ["/slow 60", "/block 60"])
def test_the_end_comes_before_the_supervisor_kills_whatever_hangs(bot, sandbox, eventually, text):
    """A handler, all hooks, and a child that does not heed SIGTERM; supervisors wait 3 s beyond stop_s."""
    bot.app("telegram", "echo_app:hangs_at_its_end").change(stop_s=0.5).up()
    sandbox.ask(bot.id, "/stubborn")
    sandbox.say(bot.id, text)
    eventually(lambda: bot.ask("status")["oldest_in_flight_s"], "a handler that runs")
    bot.runner.send_signal(signal.SIGTERM)
    assert bot.ended(within_s=bot.file.stop_s + 3.0) == 0
    assert bot.record().last_exit.kind == "stopped"


def test_what_hangs_at_the_end_takes_no_time_from_the_handlers_and_the_other_hooks(bot, sandbox, eventually):
    bot.app("telegram", "echo_app:slow_to_end").change(stop_s=2.0).up()
    sandbox.say(bot.id, "/slow 0.5")
    eventually(lambda: bot.ask("status")["oldest_in_flight_s"], "a handler that runs")
    assert bot.stop() == 0
    assert sandbox.counters(bot.id)["sent"] == 1
    said = bot.messages()
    assert [text.partition(" took")[0] for text in said if " took longer" in text] == ["on_stop", "post_stop"]
    assert said.index("post_shutdown") > said.index("on_stop")
    assert not [text for text in said if "its event loop hangs" in text or "were not handled" in text]


def test_an_exit_at_the_end_takes_nothing_from_what_follows(bot, sandbox, eventually):
    bot.app("telegram", "echo_app:exits_at_its_end").up()
    sandbox.say(bot.id, "/slow 0.5")
    eventually(lambda: bot.ask("status")["oldest_in_flight_s"], "a handler that runs")
    assert bot.stop() == 0
    said = bot.messages()
    assert [text for text in said if " failed" in text] == [
        "a callback given to on_stop failed",
        "post_stop failed",
    ]
    assert "post_shutdown" in said
    assert sandbox.counters(bot.id)["pending"] == 0


def test_the_control_socket_stops_it_too(bot):
    bot.up()
    assert bot.ask("stop") == {"stopping": True}
    assert bot.ended() == 0


def test_a_refused_token_is_tried_once(bot, sandbox):
    sandbox.refuse(bot.id)
    bot.change(hold_s=3.0).start()
    status = bot.until("QUARANTINED", "token refused, 401")
    assert status["ready"] is False
    assert bot.ended() == FailureClass.TOKEN_REFUSED.code
    last = bot.record().last_exit
    assert (last.kind, last.failure, last.code) == ("failed", "TOKEN_REFUSED", 77)
    assert bot.record().starts == 1


def test_a_token_refused_later_ends_it(bot, sandbox):
    bot.up()
    sandbox.refuse(bot.id)
    assert bot.ended() == FailureClass.TOKEN_REFUSED.code
    assert "post_shutdown" in bot.messages("alice")


def test_a_network_that_is_down_is_no_crash(bot, sandbox):
    endpoint = bot.file.endpoint
    bot.change(endpoint="http://127.0.0.1:9").start()
    bot.until("INITIALIZING", "getMe: the Bot API at 127.0.0.1:9 cannot be reached")
    assert bot.ask("health")["ready"] is False
    assert bot.stop() == 0
    bot.change(endpoint=endpoint).up()
    assert sandbox.ask(bot.id, "hello")


def test_404_keeps_it_initializing(bot, sandbox):
    sandbox.fault(bot.id, "*", "404")
    bot.start()
    bot.until("INITIALIZING", "misrouted, 404")
    sandbox.heal(bot.id)
    bot.until("RUNNING")


@pytest.mark.parametrize(
    ("kind", "failure", "words"),
    [("404", "BAD_UPSTREAM", "post_init: misrouted, 404"), ("502", "TEMPORARY", "post_init: Bad Gateway")],
)
def test_a_hook_of_the_start_that_meets_a_fault_on_the_way_begins_the_process_anew(
    bot, sandbox, kind, failure, words
):
    sandbox.fault(bot.id, "sendMessage", kind)
    bot.app("telegram", "echo_app:greets_first").start()
    assert bot.ended() == FailureClass[failure].code
    last = bot.record().last_exit
    assert (last.failure, last.reason[: len(words)]) == (failure, words)
    sandbox.heal(bot.id)
    bot.up()
    assert sandbox.answers(bot.id)[-1]["text"] == "here I am"


def test_an_app_does_not_say_when_it_polls(bot, sandbox):
    sandbox.fault(bot.id, "deleteWebhook", "502")
    bot.app("telegram", "echo_app:eager").start()
    assert bot.until("INITIALIZING", "deleteWebhook")["ready"] is False
    assert [change["later"] for change in bot.ask("health")["transitions"]] == []
    sandbox.heal(bot.id)
    bot.until("RUNNING")


def test_faults_before_and_after_readiness_are_told_and_survived(bot, sandbox):
    words = {"502": "in trouble", "garbage": "makes no sense", "drop": "cannot be reached"}
    for kind, word in words.items():
        sandbox.fault(bot.id, "deleteWebhook", kind)
        bot.start()
        bot.until("INITIALIZING", word)
        sandbox.heal(bot.id)
        bot.until("RUNNING")
        sandbox.fault(bot.id, "getUpdates", kind)
        sandbox.say(bot.id, "in the dark")  # wakes the long poll that is on its way
        bot.until("DEGRADED", word)
        sandbox.heal(bot.id)
        bot.until("RUNNING")
        assert bot.stop() == 0


def test_a_conflict_is_named_and_backed_off(bot, sandbox):
    sandbox.fault(bot.id, "getUpdates", "409")
    bot.start()
    bot.until("INITIALIZING", "conflict, 409 (an earlier poll of this bot may not have ended yet)")
    polls = sandbox.counters(bot.id)["calls"]["getUpdates"]
    assert polls < 10
    sandbox.heal(bot.id)
    bot.until("RUNNING")


def test_a_webhook_that_was_set_elsewhere_is_named_by_its_host_alone(bot, sandbox):
    bot.up()
    path = "path-that-is-a-secret"
    with urllib.request.urlopen(
        f"{sandbox.url}/bot{bot.token}/setWebhook?url=http://127.0.0.1:9/{path}"
    ) as done:
        assert done.status == 200
    bot.until("DEGRADED", "conflict, 409 (a webhook is set to 127.0.0.1;")
    assert path not in bot.log() + bot.status()["reason"]
    with urllib.request.urlopen(f"{sandbox.url}/bot{bot.token}/deleteWebhook"):
        pass
    bot.until("RUNNING")


def test_a_process_that_polls_elsewhere_is_named_and_stays_named_while_it_polls(bot, sandbox):
    bot.up()
    for _ in range(2):
        sandbox.fault(bot.id, "getUpdates", "409", count=1)
        sandbox.say(bot.id, "wakes the poll")
        bot.until("DEGRADED", "conflict, 409 (another process polls with this token, on another machine")
        assert sandbox.ask(bot.id, "hello")
    assert bot.ask("status")["state"] == "DEGRADED"
    # The first poll that nobody ends takes 10 s.
    bot.until("RUNNING")


def test_two_runners_never_poll_with_one_token(bot, sandbox):
    bot.up()
    first = bot.runner
    twin = bot.twin()
    twin.start()
    twin.until("INITIALIZING", f"({bot.path}, pid {first.pid}) polls as bot {bot.id}; waiting for its end")
    assert sandbox.counters(bot.id)["overlapping_polls"] == 0
    first.send_signal(signal.SIGTERM)
    twin.until("RUNNING")
    assert twin.stop() == 0


def test_two_runners_with_one_token_end_in_conflict(bot):
    bot.up()
    twin = bot.twin().change(stop_s=1.0)
    twin.start()
    assert twin.ended() == FailureClass.CONFLICT.code
    assert f"({bot.path}, pid {bot.runner.pid}) polls as bot {bot.id}" in twin.record().last_exit.reason
    assert bot.ask("health")["state"] == "RUNNING"


def test_a_second_runner_of_the_same_bot_is_refused(bot):
    bot.change(stop_s=0.0).up()
    first, record = bot.runner, bot.record()
    bot.start()
    assert bot.ended() == FailureClass.CONFLICT.code
    assert "another runner of alice lives" in bot.stray()
    assert bot.ask("hello")["pid"] == first.pid
    assert bot.record() == record


def test_calls_by_an_apps_own_http_layer_end_too(bot, sandbox, eventually):
    bot.app("telegram", "deaf_app:trickles").up()
    sandbox.say(bot.id, "an echo that cannot be sent")
    eventually(lambda: bot.ask("status")["errors"] == 1, "the call's end")
    eventually(lambda: "Timed out: no whole answer within" in bot.log(), "its log")
    assert bot.ask("status")["oldest_in_flight_s"] is None


def test_an_apps_own_http_layer_tells_404_from_401(bot, sandbox):
    bot.app("telegram", "deaf_app:trickles")
    sandbox.fault(bot.id, "getMe", "404")
    bot.start()
    bot.until("INITIALIZING", "misrouted, 404")


def test_errors_of_handlers_are_counted_and_survived(bot, sandbox, eventually):
    bot.up()
    sandbox.say(bot.id, "/fail")
    eventually(lambda: bot.ask("status")["errors"] == 1, "an error")
    assert sandbox.ask(bot.id, "still there")[0]["text"] == "still there"


def test_an_app_that_ends_itself_has_crashed(bot, sandbox):
    ways = {"/halt": "stop_running", "/cancel": "CancelledError()", "/leave": "SystemExit(3)"}
    for command, words in ways.items():
        bot.up()
        sandbox.say(bot.id, command)
        assert bot.ended() == FailureClass.APP_CRASHED.code
        last = bot.record().last_exit
        assert last.failure == "APP_CRASHED"
        assert words in last.reason
        assert "post_shutdown" in bot.messages("alice")
        sandbox.forget(bot.id)
        Path(bot.file.files.log).unlink()


def test_processes_that_hide_in_a_session_of_their_own_end_with_the_bot(bot, sandbox, eventually, lives):
    bot.up()
    child = int(sandbox.ask(bot.id, "/spawn")[0]["text"])
    assert lives(child)
    eventually(lambda: bot.ask("status")["processes"] == 2, "the process in the tree", within_s=10)
    assert bot.stop() == 0
    assert not lives(child)


@pytest.mark.parametrize("by", ["kill", "os._exit"])
def test_processes_that_a_run_left_are_ended_before_the_next(bot, sandbox, lives, by):
    bot.change(delivery="at-most-once").up()
    child = int(sandbox.ask(bot.id, "/spawn")[0]["text"])
    if by == "kill":
        bot.runner.kill()
    else:
        sandbox.say(bot.id, "/die")
    bot.ended()
    assert lives(child)
    bot.up()
    assert not lives(child)
    status = bot.ask("status")
    assert status["restarts"] == 1
    assert status["last_exit"]["kind"] == "died"
    assert bot.stop() == 0
    bot.up()
    assert bot.ask("status")["restarts"] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_app_with_signal_handlers_of_its_own_drains_all_the_same(bot, eventually, number):
    bot.app("telegram", "echo_app:handles_signals").up()
    eventually(lambda: "the app handled SIGTERM and SIGINT itself" in bot.log(), "the runner has them back")
    bot.runner.send_signal(number)
    assert bot.ended() == 0
    assert bot.record().last_exit.kind == "stopped"


def test_it_drains_when_the_supervisor_dies(bot, eventually, lives):
    bot.change(die_with_parent=True)
    bot.path.write_text(botfile.encode(bot.file))
    runner = str(Path(sys.executable).with_name("bot-runner"))
    supervisor = subprocess.Popen([sys.executable, "-c", SUPERVISE, runner, str(bot.path)])
    pid = bot.until("RUNNING")["pid"]
    supervisor.kill()
    supervisor.wait()
    eventually(lambda: not lives(pid), "the bot's end")
    assert bot.record().last_exit.kind == "stopped"


def test_allowed_limits_hold(bot):
    limits = msgspec.structs.replace(bot.file.limits, open_files=77, nice=3)
    bot.change(limits=limits).up()
    text = Path(f"/proc/{bot.runner.pid}/limits").read_text()
    line = next(line for line in text.splitlines() if line.startswith("Max open files"))
    assert line.split()[3:5] == ["77", "77"]
    assert Path(f"/proc/{bot.runner.pid}/stat").read_text().rpartition(")")[2].split()[16] == "3"
