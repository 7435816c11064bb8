"""No update is lost, whatever ends the process; and none is handled twice where that was asked for."""

import os
import resource
from pathlib import Path

import pytest

from bot_runner.intake import POLL_S
from toolkit.spool import DeadLetters, Spool


@pytest.fixture
def bot(bot):
    return bot.app("telegram", "delivery_app:build")


def texts(sandbox, bot, count, **more):
    found = sandbox.wait_for_answers(bot.id, count, timeout=20, **more)
    return [answer["text"] for answer in found]


def release(bot, name):
    state = Path(bot.file.files.state)
    state.mkdir(exist_ok=True)
    (state / name).touch()


def kill(bot):
    bot.runner.kill()
    bot.ended()


def folder(bot):
    return Path(bot.file.files.state) / "spool"


def left(bot):
    """What is in the spool of a bot that does not run."""
    spool = Spool(folder(bot))
    found = [(entry.attempts, entry.deaths) for entry in spool.pending()]
    spool.close()
    return found


def test_nothing_is_confirmed_to_the_api_before_it_is_durable(bot, sandbox):
    bot.app("telegram", "delivery_app:tells_syncs_and_polls").up()
    for number in range(5):
        assert sandbox.ask(bot.id, f"text {number}")
    sandbox.wait_until(bot.id, lambda counters: counters["pending"] == 0)
    durable, asked = 0, []
    for words in bot.messages("alice"):
        *_, number = words.split()
        if words.startswith("durable up to ") and number != "None":
            durable = int(number)
        elif words.startswith("asks for ") and number != "None":
            asked.append(int(number))
            assert asked[-1] <= durable + 1, words
    assert len(set(asked)) >= 5


def test_after_a_failed_poll_the_next_does_not_wait_for_updates(bot, sandbox, eventually):
    bot.app("telegram", "delivery_app:tells_syncs_and_polls").up()
    sandbox.fault(bot.id, "getUpdates", "502", count=2)
    assert sandbox.ask(bot.id, "hello")

    def waits():
        return [words.split()[2] for words in bot.messages("alice") if words.startswith("asks for ")]

    poll = str(POLL_S)
    # The first of all is the probe.
    eventually(lambda: waits()[:2] == ["0", poll] and waits()[-2:] == ["0", poll], "a poll that waits again")


def test_a_damaged_place_in_the_spool_costs_what_it_holds_and_is_told(bot, sandbox):
    bot.up()
    sandbox.say(bot.id, "/slow gate")
    texts(sandbox, bot, 1)
    for number in range(8):
        sandbox.say(bot.id, f"text {number}")
    sandbox.wait_until(bot.id, lambda counters: counters["pending"] == 0)
    kill(bot)
    log = folder(bot) / "updates.log"
    data = log.read_bytes()
    log.write_bytes(data.replace(b'"text 3"', b'"tex? 3"'))
    release(bot, "gate")
    bot.up()
    expected = [f"text {number}, time 1" for number in range(8) if number != 3]
    assert texts(sandbox, bot, 9, after=1)[2:] == expected
    assert ". 4 updates that stood behind them are saved." in bot.log()
    assert b'"tex? 3"' in log.with_suffix(".damaged").read_bytes()
    kill(bot)
    assert Spool(folder(bot)).torn == 0


@pytest.mark.parametrize("target", ["delivery_app:build", "delivery_app:one_by_one"])
def test_what_a_killed_bot_had_comes_again_and_in_order(bot, sandbox, target):
    bot.app("telegram", target).up()
    sandbox.say(bot.id, "/slow gate", chat_id=1)
    assert texts(sandbox, bot, 1) == ["begun gate, time 1"]
    for number in range(12):
        sandbox.say(bot.id, f"text {number}", chat_id=1)
    sandbox.wait_until(bot.id, lambda counters: counters["pending"] == 0)
    kill(bot)
    sandbox.say(bot.id, "new", chat_id=1)
    release(bot, "gate")
    bot.up()
    again = ["begun gate, time 2", "done gate"]
    expected = [*again, *(f"text {number}, time 1" for number in range(12)), "new, time 1"]
    assert texts(sandbox, bot, 15, after=1) == expected
    assert bot.stop() == 0
    assert left(bot) == []


def test_what_was_handled_does_not_come_again_after_a_kill(bot, sandbox, eventually):
    bot.up()
    for number in range(5):
        sandbox.say(bot.id, f"text {number}")
    eventually(lambda: bot.ask("status")["updates_handled"] == 5, "five updates handled")
    kill(bot)
    bot.up()
    sandbox.ask(bot.id, "last")
    assert sandbox.counters(bot.id)["answered_twice"] == 0
    assert sandbox.counters(bot.id)["sent"] == 6


def test_an_update_that_ends_the_process_three_times_is_set_aside_and_no_other(bot, sandbox, eventually):
    bot.start()
    for chat in range(1, 6):
        sandbox.say(bot.id, "/slow gate", chat_id=chat)
    deadly = sandbox.say(bot.id, "/die", chat_id=7)
    sandbox.say(bot.id, "behind it", chat_id=7)
    release(bot, "gate")
    for _ in range(3):
        assert bot.ended() == 9
        bot.start()
    bot.until("RUNNING")

    def answers():
        return [answer["text"] for answer in sandbox.answers(bot.id)]

    eventually(lambda: "behind it, time 1" in answers(), "an answer to what stood behind the deadly update")
    eventually(lambda: answers().count("done gate") >= 5, "answers in the other chats")
    assert [text for text in answers() if text.startswith("dying")] == [f"dying, time {n}" for n in (1, 2, 3)]
    letter = DeadLetters(folder(bot) / "dead").get(deadly)
    assert letter.reason == "the bot died 3 times while it handled this update"
    assert b"/die" in bytes(letter.update)
    assert any(f"update {deadly} is set aside" in text for text in bot.messages())
    assert bot.stop() == 0
    assert left(bot) == []


def test_at_most_once_loses_what_was_in_its_handler_and_nothing_else(bot, sandbox):
    bot.change(delivery="at-most-once").up()
    sandbox.say(bot.id, "/slow gate", chat_id=1)
    assert texts(sandbox, bot, 1) == ["begun gate, time 1"]
    sandbox.say(bot.id, "behind it", chat_id=1)
    sandbox.wait_until(bot.id, lambda counters: counters["pending"] == 0)
    kill(bot)
    bot.up()
    assert texts(sandbox, bot, 1, after=1) == ["behind it, time 1"]
    assert bot.stop() == 0
    assert left(bot) == []


def test_what_the_drain_leaves_stays_and_is_no_death(bot, sandbox):
    bot.change(stop_s=0.5).up()
    sandbox.say(bot.id, "/slow gate", chat_id=1)
    sandbox.say(bot.id, "/aside door", chat_id=2)
    assert len(texts(sandbox, bot, 2)) == 2
    sandbox.say(bot.id, "behind it", chat_id=1)
    sandbox.wait_until(bot.id, lambda counters: counters["pending"] == 0)
    assert bot.stop() == 0
    assert any(text.startswith("3 updates were not handled within 0.5 s") for text in bot.messages())
    assert left(bot) == [(1, 0), (1, 0), (0, 0)]
    release(bot, "gate")
    release(bot, "door")
    bot.up()
    found = texts(sandbox, bot, 5, after=2)
    assert set(found) == {
        *("begun gate, time 2", "done gate", "begun door, time 2", "done door", "behind it, time 1")
    }
    assert found.index("done gate") < found.index("behind it, time 1")
    assert bot.stop() == 0
    assert left(bot) == []


def test_the_end_confirms_what_was_taken(bot, sandbox):
    bot.change(stop_s=0.5).up()
    sandbox.say(bot.id, "/slow gate")
    assert len(texts(sandbox, bot, 1)) == 1
    assert bot.stop() == 0
    assert sandbox.counters(bot.id)["pending"] == 0


def test_an_update_that_cannot_be_read_is_set_aside_and_holds_up_nobody(bot, sandbox):
    bot.up()
    strange = sandbox.inject(bot.id, {"message": {"text": 5, "entities": "none"}})
    assert sandbox.ask(bot.id, "hello")[0]["text"] == "hello, time 1"
    letter = DeadLetters(folder(bot) / "dead").get(strange)
    assert "python-telegram-bot cannot read it" in letter.reason


def taken_up_again(bot, sandbox, make_room):
    """The disk is full: nothing is taken, which is said; then there is room."""
    sandbox.say(bot.id, "x" * 3000)
    bot.until("DEGRADED", "no room left; no updates are taken")
    sandbox.say(bot.id, "another")
    assert sandbox.counters(bot.id)["pending"] > 0
    make_room()
    bot.until("RUNNING")
    sandbox.wait_until(bot.id, lambda counters: counters["unanswered"] == 0)
    assert bot.stop() == 0
    assert sandbox.counters(bot.id)["answered_twice"] == 0
    assert left(bot) == []


def test_a_file_that_may_not_grow_stops_the_intake_until_it_may(bot, sandbox):
    bot.up()
    sandbox.ask(bot.id, "hello")
    size = len((folder(bot) / "updates.log").read_bytes().rstrip(b"\0"))
    unlimited = resource.RLIM_INFINITY
    resource.prlimit(bot.runner.pid, resource.RLIMIT_FSIZE, (size + 100, unlimited))
    taken_up_again(
        bot, sandbox, lambda: resource.prlimit(bot.runner.pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))
    )


@pytest.fixture
def spool_disk(bot, small_disk):
    """A file system of 64 kB for the bot's spool."""
    return small_disk(folder(bot), 64)


@pytest.mark.parametrize("delivery", ["at-least-once", "at-most-once"])
def test_a_full_disk_stops_the_intake_until_there_is_room(bot, sandbox, spool_disk, delivery):
    bot.change(delivery=delivery).up()
    sandbox.ask(bot.id, "hello")
    spool_disk.fill()
    for number in range(3):
        sandbox.ask(bot.id, "y" * 300 + str(number), timeout=2)
    taken_up_again(bot, sandbox, spool_disk.make_room)


def test_a_full_disk_at_the_start_is_waited_for(bot, sandbox, spool_disk):
    spool_disk.fill()
    sandbox.say(bot.id, "hello")
    bot.start()
    bot.until("INITIALIZING", "spool")
    spool_disk.make_room()
    bot.until("RUNNING")
    assert texts(sandbox, bot, 1) == ["hello, time 1"]
    assert os.stat(folder(bot) / "updates.log").st_size > 0
