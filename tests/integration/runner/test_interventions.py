"""What an operator does to a bot that runs: pause, resume, look at dead letters, retry them."""

import resource
import signal
from pathlib import Path

import pytest
from msgspec import Raw

from bot_runner.delivery import MOST_DEATHS
from toolkit.ipc.protocol import INVALID_PARAMS, REFUSED, RpcError
from toolkit.spool import DeadLetter, DeadLetters


@pytest.fixture
def bot(bot):
    return bot.app("telegram", "delivery_app:build")


@pytest.fixture
def state(bot):
    folder = Path(bot.file.files.state)
    folder.mkdir()
    return folder


def refusal(bot, method, **params):
    with pytest.raises(RpcError) as raised:
        bot.ask(method, **params)
    return raised.value


def answers(sandbox, bot):
    return [answer["text"] for answer in sandbox.answers(bot.id)]


def test_a_pause_takes_no_more_finishes_what_was_taken_and_a_resume_goes_on(bot, sandbox, state, eventually):
    bot.up()
    sandbox.say(bot.id, "/slow gate", chat_id=1)
    sandbox.say(bot.id, "behind it", chat_id=1)
    sandbox.wait_for_answers(bot.id, 1)
    sandbox.wait_until(bot.id, lambda counters: counters["pending"] == 0)
    assert bot.ask("pause") == {"paused": True}
    paused = bot.until("PAUSED", "what was taken is being finished")
    assert (paused["ready"], paused["unfinished"], paused["spool"]) == (False, 2, 2)
    sandbox.say(bot.id, "new")
    (state / "gate").touch()
    eventually(lambda: bot.status()["reason"] == "an operator paused it", "nothing left to finish")
    done = bot.status()
    assert (done["paused"], done["unfinished"], done["spool"]) == (True, 0, 0)
    assert answers(sandbox, bot) == ["begun gate, time 1", "done gate", "behind it, time 1"]
    polls = sandbox.counters(bot.id)["polls"]
    assert sandbox.counters(bot.id)["pending"] == 1
    assert bot.ask("pause") == {"paused": True}
    assert bot.ask("resume") == {"paused": False}
    bot.until("RUNNING")
    assert sandbox.wait_for_answers(bot.id, 4)[3]["text"] == "new, time 1"
    assert sandbox.counters(bot.id)["polls"] > polls
    assert bot.stop() == 0
    counters = sandbox.counters(bot.id)
    assert (counters["overlapping_polls"], counters["answered_twice"]) == (0, 0)


def test_a_resume_while_it_still_finishes_goes_on_at_once(bot, sandbox, state):
    bot.up()
    sandbox.say(bot.id, "/slow gate", chat_id=1)
    sandbox.wait_for_answers(bot.id, 1)
    bot.ask("pause")
    bot.until("PAUSED")
    bot.ask("resume")
    bot.until("RUNNING")
    assert sandbox.ask(bot.id, "beside it", chat_id=2)[0]["text"] == "beside it, time 1"
    (state / "gate").touch()
    assert bot.stop() == 0


def test_an_update_that_cannot_be_read_keeps_no_pause_from_its_end(bot, sandbox, state, eventually):
    bot.up()
    sandbox.say(bot.id, "/slow gate")
    sandbox.wait_for_answers(bot.id, 1)
    bot.ask("pause")
    bot.until("PAUSED", "what was taken is being finished")
    sandbox.inject(bot.id, {"message": {"text": 5, "entities": "none"}})
    (state / "gate").touch()
    eventually(lambda: bot.status()["reason"] == "an operator paused it", "nothing left to finish")
    bot.ask("resume")
    eventually(lambda: bot.status()["dead_letters"] == 1, "what cannot be read is set aside")


def test_a_pause_outlives_a_kill_and_no_orderly_end(bot, sandbox, eventually):
    bot.up()
    bot.ask("pause")
    bot.until("PAUSED")
    bot.runner.kill()
    bot.ended()
    sandbox.say(bot.id, "hello")
    bot.start()
    bot.until("PAUSED")
    assert sandbox.counters(bot.id)["pending"] == 1
    bot.runner.kill()
    bot.ended()
    bot.start()
    bot.until("PAUSED")
    assert bot.stop() == 0
    assert sandbox.counters(bot.id)["pending"] == 1
    bot.up()
    eventually(lambda: answers(sandbox, bot) == ["hello, time 1"], "the answer")
    assert not bot.status()["paused"]


@pytest.mark.parametrize(("method", "words"), [("pause", "not paused"), ("resume", "not resumed")])
def test_what_a_crash_would_forget_is_refused(bot, method, words):
    bot.up()
    before = method == "resume"
    if before:
        bot.ask("pause")
    state = "PAUSED" if before else "RUNNING"
    bot.until(state)
    # No file may grow beyond this, as on a full disk.
    unlimited = resource.RLIM_INFINITY
    resource.prlimit(bot.runner.pid, resource.RLIMIT_FSIZE, (10, unlimited))
    error = refusal(bot, method)
    assert (error.code, error.message) == (
        REFUSED,
        f"{words}: {bot.file.files.run_record} cannot be written: File too large",
    )
    assert (bot.status()["state"], bot.status()["paused"]) == (state, before)
    resource.prlimit(bot.runner.pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))
    assert bot.ask(method) == {"paused": not before}
    assert bot.record().paused is not before


def test_what_a_kill_left_waits_for_the_resume(bot, sandbox, state):
    bot.up()
    sandbox.say(bot.id, "/slow gate")
    sandbox.wait_for_answers(bot.id, 1)
    bot.ask("pause")
    bot.runner.kill()
    bot.ended()
    (state / "gate").touch()
    bot.start()
    assert bot.until("PAUSED", "an operator paused it")["spool"] == 1
    bot.ask("resume")
    assert sandbox.wait_for_answers(bot.id, 3)[2]["text"] == "done gate"


def test_a_paused_bot_that_hangs_still_ends_as_deaf(bot, sandbox):
    bot.change(health=type(bot.file.health)(handler_s=0.3, stuck_s=0.9), concurrency=1, stop_s=0.5).up()
    sandbox.say(bot.id, "/slow never")
    sandbox.wait_for_answers(bot.id, 1)
    bot.ask("pause")
    assert bot.ended() == 101
    assert bot.record().paused


def test_sigterm_ends_a_pause_and_its_repeats_cut_no_handler_short(bot, sandbox, state):
    bot.up()
    sandbox.say(bot.id, "/slow gate")
    sandbox.wait_for_answers(bot.id, 1)
    bot.ask("pause")
    bot.until("PAUSED")
    bot.runner.send_signal(signal.SIGTERM)
    bot.until("STOPPING")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
        bot.runner.send_signal(number)
        assert bot.status()["state"] == "STOPPING"
    (state / "gate").touch()
    assert bot.ended() == 0
    assert answers(sandbox, bot)[1:] == ["done gate"]


@pytest.mark.parametrize(
    ("kind", "more"), [("async", {"target": "tasks_app:waits"}), ("exec", {"argv": ("/bin/sleep", "60")})]
)
def test_a_kind_that_takes_its_updates_by_itself_refuses(bot, kind, more):
    bot.app(kind, **more).up()
    for method in ("pause", "resume", "retry_update"):
        error = refusal(bot, method)
        assert (error.code, f"kind {kind}" in error.message) == (REFUSED, True)
    assert bot.status()["paused"] is None
    assert bot.ask("dead_letters") == {"count": 0, "dead_letters": [], "unreadable": []}


def killed_by(bot, sandbox, *texts):
    """Updates that end the process until they are set aside."""
    bot.start()
    numbers = []
    for text in texts:
        numbers.append(sandbox.say(bot.id, text))
        for _ in range(MOST_DEATHS):
            assert bot.ended() == 9
            bot.start()
    bot.until("RUNNING")
    return numbers


def test_dead_letters_are_told_and_retried(bot, sandbox, eventually):
    first, second = killed_by(bot, sandbox, "/die 1", "/die 2")
    assert bot.status()["dead_letters"] == 2
    told = bot.ask("dead_letters")
    assert [letter["update_id"] for letter in told["dead_letters"]] == [first, second]
    assert told["dead_letters"][0]["attempts"] == MOST_DEATHS
    assert "update" not in told["dead_letters"][0]
    assert bot.ask("retry_update", update_ids=[1]) == {"retried": []}
    assert bot.ask("retry_update", update_ids=[first]) == {"retried": [first]}
    assert bot.ended() == 9  # its handler dies as before, and is asked which time it is
    eventually(lambda: answers(sandbox, bot)[-1] == f"dying, time {MOST_DEATHS + 1}", "the retry")
    assert DeadLetters(Path(bot.file.files.state) / "spool" / "dead").ids() == [second]


@pytest.mark.parametrize("wrong", [{"update_ids": 5}, {"update_ids": ["5"]}, {"update_ids": [True]}])
def test_a_retry_of_no_list_of_numbers_is_refused(bot, wrong):
    assert refusal(bot.up() and bot, "retry_update", **wrong).code == INVALID_PARAMS


def test_a_paused_bot_retries_nothing(bot):
    bot.up()
    bot.ask("pause")
    assert refusal(bot, "retry_update", update_ids=[1]).code == REFUSED


def test_a_letter_with_another_update_in_it_is_set_aside_again(bot, eventually, state):
    letters = DeadLetters(state / "spool" / "dead")
    (state / "spool").mkdir()
    letters.put(DeadLetter(update_id=5, reason="why", at="now", attempts=3, update=Raw(b'{"update_id":7}')))
    bot.up()
    assert bot.ask("retry_update", update_ids=[5]) == {"retried": [5]}
    eventually(lambda: letters.ids() == [5] and "update 7" in letters.read(5).reason, "it is set aside again")
    assert bot.status()["unfinished"] == 0


def test_a_bot_whose_spool_is_a_link_tells_how_it_is(bot, state):
    elsewhere = bot.folder / "elsewhere"
    elsewhere.mkdir()
    (state / "spool").symlink_to(elsewhere)
    bot.up()
    assert bot.status()["dead_letters"] is None
