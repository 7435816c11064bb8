"""Each way to be deaf, for real: seen, told, ended with its class; and what is none of them is not ended."""

import signal
import sys
import time
from pathlib import Path

import pytest

from bot_runner.held_lock import REASON
from bot_runner.judge import PATIENCE
from toolkit.botfile import Health, Limits
from toolkit.health import interval_s
from toolkit.lifecycle import FailureClass

QUICK = Health(loop_s=1.0, poll_s=1.0, handler_s=1.0, stuck_s=2.0)
DEAF = FailureClass.DEAF.code


@pytest.fixture
def deaf(bot):
    return bot.app("telegram", "deaf_app:build").change(health=QUICK, stop_s=1.0)


def last_words(bot) -> str:
    return next(text for text in bot.messages("bot_runner") if text.startswith("deaf: "))


def several_looks() -> None:
    """Let the judge look more often than it has patience."""
    time.sleep((PATIENCE + 2) * interval_s(QUICK))


def test_a_blocked_loop_is_ended_with_the_stack_that_blocks_it(deaf, sandbox):
    deaf.up()
    sandbox.say(deaf.id, "/block 60")
    deaf.until("DEGRADED", "the event loop has been blocked for more than 1 s")
    assert deaf.ended() == DEAF
    last = deaf.record().last_exit
    assert (last.kind, last.failure) == ("failed", "DEAF")
    assert "the event loop has been blocked" in last.reason
    assert "in block" in last_words(deaf)


@pytest.mark.parametrize("concurrency", [1, 16])
def test_handlers_that_all_never_return_are_ended_with_their_tasks_told(deaf, sandbox, concurrency):
    deaf.change(concurrency=concurrency).up()
    for chat in range(1, concurrency):
        sandbox.say(deaf.id, "/never", chat_id=chat)
    if concurrency > 1:
        deaf.until("DEGRADED", "an update has been in its handler for more than 1 s")
        several_looks()
        assert sandbox.ask(deaf.id, "one lane is free", chat_id=99)
    sandbox.say(deaf.id, "/never", chat_id=concurrency)
    deaf.until("DEGRADED", "the handlers are stuck")
    assert deaf.ended() == DEAF
    assert last_words(deaf).count("in never") == concurrency
    assert "waits for a Future" in last_words(deaf)


def test_a_bot_whose_judge_fails_is_ended_as_nobody_watches_it_any_more(deaf, sandbox):
    deaf.up()
    # The app of this bot breaks what the judge looks at.
    sandbox.say(deaf.id, "/blind")
    assert deaf.ended() == FailureClass.TEMPORARY.code
    assert "bot-runner's own watch failed" in deaf.record().last_exit.reason


def test_a_bot_that_has_used_up_its_file_descriptors_is_ended_all_the_same(deaf, sandbox):
    deaf.change(concurrency=1, limits=Limits(open_files=64)).up()
    sandbox.say(deaf.id, "/exhaust")
    assert deaf.ended() == DEAF
    assert "the stacks of threads cannot be told: Too many open files" in last_words(deaf)
    assert "in exhaust" in last_words(deaf)
    assert deaf.record().last_exit.failure == "DEAF"


def test_a_bot_without_file_descriptors_is_told_without_a_flood_and_ended_when_that_lasts(deaf, sandbox):
    deaf.change(limits=Limits(open_files=64), health=Health(loop_s=1.0, stuck_s=6.0)).up()
    sandbox.say(deaf.id, "/hoard")
    # Its control socket answers, though the first peer after another may have to wait.
    deaf.until("DEGRADED", "no file descriptor is left")
    # Those who wait at the socket are what asyncio's own server floods the log for.
    waiting = [deaf.connect() for _ in range(5)]
    assert deaf.ended() == DEAF
    for each in waiting:
        each.close()
    assert "no file descriptor has been left for more than 6 s" in deaf.record().last_exit.reason
    assert len(deaf.lines()) < 30


def test_a_call_that_keeps_the_interpreters_lock_is_ended_and_told_by_the_next_run(deaf, sandbox, eventually):
    deaf.up()
    several_looks()  # the first one after the start sets the limit of a bot that runs
    sandbox.say(deaf.id, "/backtrack")
    assert deaf.ended(within_s=60) == -signal.SIGVTALRM
    # It does the same again, but not within the first moments.
    deaf.start()
    eventually(lambda: deaf.record().starts == 2, "the next run's record")
    last = deaf.record().last_exit
    assert (last.kind, last.failure, last.reason) == ("failed", "DEAF", REASON)
    deaf.runner.kill()
    deaf.ended()
    told = next(text for text in deaf.messages("bot_runner") if text.startswith("the last run was deaf"))
    assert "in backtrack" in told
    deaf.start()
    eventually(lambda: deaf.record().starts == 3, "the record of the run after it")
    assert deaf.record().last_exit.kind == "died"


def test_one_stuck_chat_that_fills_the_room_is_ended(deaf, sandbox):
    deaf.up()
    sandbox.flood(deaf.id, 60, "/never")
    assert deaf.ended() == DEAF
    assert "the handlers are stuck" in deaf.record().last_exit.reason


def test_updates_that_come_to_no_handler_though_all_turns_are_free_end_the_bot(deaf, sandbox):
    deaf.app("telegram", "deaf_app:swallows").up()
    several_looks()
    sandbox.say(deaf.id, "hello")
    deaf.until("DEGRADED", "updates wait, and none has come to a handler for more than 1 s")
    assert deaf.ended() == DEAF
    assert deaf.record().last_exit.reason.endswith("none has come to a handler for more than 2 s")


def test_a_poller_that_something_cancelled_ends_the_bot(deaf, sandbox):
    deaf.up()
    sandbox.say(deaf.id, "/cancel")
    assert deaf.ended() == DEAF
    assert "something cancelled it" in deaf.record().last_exit.reason


def test_a_poll_that_cannot_even_be_cancelled_ends_the_bot(deaf):
    deaf.app("telegram", "deaf_app:wedged").up()
    deaf.until("DEGRADED", "the poll is overdue by more than 1 s")
    assert deaf.ended() == DEAF
    assert "in do_request" in last_words(deaf)


def test_calls_that_are_answered_hide_no_poll_that_is_not(deaf, sandbox, eventually):
    deaf.app("telegram", "deaf_app:wedged_and_talking").up()
    eventually(lambda: sandbox.counters(deaf.id)["sent"] > 5, "messages, though no poll is answered")
    assert deaf.ended() == DEAF
    assert "the poll is overdue by more than 1 s" in deaf.record().last_exit.reason


def test_a_bot_whose_http_layer_has_no_connection_for_polls_any_more_is_ended(deaf, sandbox):
    deaf.app("telegram", "deaf_app:occupied").up()
    sandbox.say(deaf.id, "/hold")
    sandbox.say(deaf.id, "this ends the poll that may be under way")
    words = f"no connection to the Bot API at {sandbox.url.partition('//')[2]} gets free"
    deaf.until("DEGRADED", words)
    assert deaf.ended() == DEAF
    assert words in deaf.record().last_exit.reason


@pytest.mark.parametrize(
    ("target", "step", "place"),
    [("unstarted", "post_init", "in _never_started"), ("unbuilt", "loading the app", "in unbuilt")],
)
def test_an_app_that_does_not_start_is_told_and_ended(deaf, sandbox, target, step, place):
    deaf.app("telegram", f"deaf_app:{target}").change(health=Health(start_s=1.5)).start()
    deaf.until("INITIALIZING", f"{step}; {step} has taken more than 0.5 s; after 1.5 s it is ended")
    assert deaf.ended() == DEAF
    assert deaf.record().last_exit.reason == f"{step} has taken more than 1.5 s"
    assert place in last_words(deaf)


def test_a_bot_api_that_cannot_be_reached_may_take_as_long_as_it_wants(deaf, sandbox):
    sandbox.fault(deaf.id, "getMe", "drop")
    deaf.change(health=Health(start_s=0.5)).start()
    deaf.until("INITIALIZING", "getMe")
    several_looks()
    sandbox.heal(deaf.id)
    deaf.until("RUNNING")


def test_an_async_bot_that_blocks_its_loop_is_ended(deaf):
    deaf.app("async", "tasks_app:blocked", ready="app").up()
    assert deaf.ended() == DEAF


def test_a_program_that_stops_to_send_its_watchdog_word_is_ended(deaf):
    script = (
        "import os, socket, sys, time\n"
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect(os.environ['NOTIFY_SOCKET'])\n"
        "assert os.environ['WATCHDOG_USEC'] == '1000000'\n"
        "s.send(b'READY=1\\nWATCHDOG=1'); time.sleep(60)\n"
    )
    deaf.app("exec", argv=(sys.executable, "-c", script), ready="app").up()
    assert deaf.ended() == DEAF
    assert "has not sent WATCHDOG=1" in deaf.record().last_exit.reason


def test_a_bot_that_was_stopped_and_goes_on_is_not_ended(deaf, sandbox):
    deaf.change(concurrency=1).up()
    sandbox.ask(deaf.id, "hello")
    deaf.runner.send_signal(signal.SIGSTOP)
    time.sleep(6.0)
    deaf.runner.send_signal(signal.SIGCONT)
    assert sandbox.ask(deaf.id, "there?")
    several_looks()
    assert deaf.ask("health")["state"] == "RUNNING"
    assert deaf.record().starts == 1


def test_neither_silence_nor_an_outage_is_a_hang(deaf, sandbox):
    deaf.up()
    several_looks()
    assert deaf.ask("health")["state"] == "RUNNING"
    for kind in ("hang", "drop", "502"):
        sandbox.fault(deaf.id, "getUpdates", kind)
        sandbox.say(deaf.id, f"during {kind}")
        several_looks()
        sandbox.heal(deaf.id)
        deaf.until("RUNNING")
    assert len(sandbox.wait_for_answers(deaf.id, 3)) == 3
    assert deaf.runner.poll() is None


def all_threads_sleep(pid):
    stats = [stat.read_text() for stat in Path(f"/proc/{pid}/task").glob("*/stat")]
    return all(stat.rpartition(")")[2].split()[0] == "S" for stat in stats)


def test_sigabrt_ends_a_blocked_bot_at_once_with_its_stack(deaf, sandbox, eventually):
    """As systemd's watchdog sends it to a bot whose loop can handle nothing."""
    deaf.change(health=Health()).up()
    sandbox.say(deaf.id, "/block 60")
    eventually(lambda: deaf.ask("status")["oldest_in_flight_s"], "a handler that blocks")
    # faulthandler of Python 3.11 may crash at the frames of a thread that goes on meanwhile.
    eventually(lambda: all_threads_sleep(deaf.runner.pid), "no thread that does something")
    deaf.runner.send_signal(signal.SIGABRT)
    assert deaf.ended(within_s=10) == -signal.SIGABRT
    assert "in block" in deaf.stray()


def test_the_watchdog_is_fed_until_the_bot_hangs(deaf, sandbox, supervisor):
    deaf.change(concurrency=1, health=Health(loop_s=5, poll_s=5, handler_s=1, stuck_s=1), stop_s=3.0)
    deaf.up(NOTIFY_SOCKET=supervisor.getsockname(), WATCHDOG_USEC="300000")
    sandbox.say(deaf.id, "/never")
    heard = []
    while "STOPPING=1" not in heard:
        heard.append(supervisor.recv(4096).decode().partition("\n")[0])
    told = next(i for i, text in enumerate(heard) if "the handlers are stuck" in text)
    assert "WATCHDOG=1" in heard[:told]
    # The loop turns on, and a last word may have been under way when the verdict fell.
    assert heard[told:].count("WATCHDOG=1") <= 1
    assert deaf.ended() == DEAF
