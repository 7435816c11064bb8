"""How many updates a bot handles at once, and in which order."""

import re

import pytest


def answers(sandbox, bot, count):
    found = sandbox.wait_for_answers(bot.id, count, timeout=20)
    assert len(found) == count
    return found


def most(found):
    return max(int(re.search(r"of at most (\d+)", answer["text"])[1]) for answer in found)


def test_chats_are_handled_at_once_and_each_in_order(bot, sandbox):
    sandbox.flood(bot.id, 60, chats=20)
    sandbox.wait_until(bot.id, lambda counters: counters["accepted"] == 60)
    bot.app("telegram", "ordered_app:build").up()
    found = answers(sandbox, bot, 60)
    chats = {answer["chat_id"] for answer in found}
    assert len(chats) == 20
    for chat in chats:
        numbers = [int(answer["text"].split()[1]) for answer in found if answer["chat_id"] == chat]
        assert numbers == sorted(numbers)
    assert most(found) == 16


def test_no_more_is_taken_in_than_there_is_room_for(bot, sandbox, eventually):
    bot.app("telegram", "flood_app:build").up()
    for expected, more in ((40, 40), (100, 200)):
        sandbox.flood(bot.id, more, chats=50)
        eventually(lambda n=expected: bot.ask("status")["unfinished"] >= n, f"{expected} updates")
    assert bot.ask("status")["unfinished"] == 100


def test_room_is_not_asked_for_place_by_place(bot, sandbox):
    bot.app("telegram", "flood_app:build").change(config={"answers": True}, concurrency=1)
    sandbox.fault(bot.id, "sendMessage", "delay", delay_ms=10)
    sandbox.flood(bot.id, 200, chats=50)
    sandbox.wait_until(bot.id, lambda counters: counters["accepted"] == 200)
    bot.up()
    counters = sandbox.wait_until(bot.id, lambda counters: not counters["unanswered"], timeout=30)
    # The probe, 100, twice 50 more, and what waits for news; else one for each update.
    assert counters["polls"] < 12


def test_one_at_a_time_with_conversations_or_where_the_fleet_file_says_so(bot, sandbox):
    bot.app("telegram", "ordered_app:conversation").up()
    sandbox.flood(bot.id, 10, chats=5)
    assert most(answers(sandbox, bot, 10)) == 1
    assert bot.stop() == 0
    sandbox.forget(bot.id)
    bot.app("telegram", "ordered_app:build").change(concurrency=1).up()
    sandbox.flood(bot.id, 10, chats=5)
    assert most(answers(sandbox, bot, 10)) == 1


def test_what_the_app_asks_for_holds_unless_the_fleet_file_says_otherwise(bot, sandbox):
    bot.app("telegram", "ordered_app:own").up()
    sandbox.flood(bot.id, 15, chats=15)
    assert most(answers(sandbox, bot, 15)) == 3
    assert bot.stop() == 0
    sandbox.forget(bot.id)
    bot.change(concurrency=5).up()
    sandbox.flood(bot.id, 15, chats=15)
    assert most(answers(sandbox, bot, 15)) == 5


def test_a_handler_that_does_not_block_is_in_flight_but_holds_up_nobody(bot, sandbox, eventually):
    bot.app("telegram", "ordered_app:build").up()
    sandbox.say(bot.id, "/stay 1")
    eventually(lambda: bot.ask("status")["oldest_in_flight_s"], "a handler that runs")
    first = sandbox.ask(bot.id, "hello")
    assert first[0]["text"] == "hello of at most 1"
    assert bot.ask("status")["updates_handled"] == 1
    eventually(lambda: bot.ask("status")["updates_handled"] == 2, "the end of the handler")
    assert bot.ask("status")["oldest_in_flight_s"] is None


def test_a_handler_that_does_not_block_is_let_finish(bot, sandbox, eventually):
    bot.app("telegram", "ordered_app:build").up()
    sandbox.say(bot.id, "/stay 0.5")
    eventually(lambda: bot.ask("status")["oldest_in_flight_s"], "a handler that runs")
    assert bot.stop() == 0
    assert [answer["text"] for answer in sandbox.answers(bot.id)] == ["stayed"]
    assert sandbox.counters(bot.id)["answered_twice"] == 0


@pytest.mark.parametrize(("command", "by"), [("/vanish", "GeneratorExit"), ("/giveup", "CancelledError")])
def test_a_handler_that_does_not_block_and_ends_unheard_is_told_and_counted(
    bot, sandbox, eventually, command, by
):
    bot.app("telegram", "ordered_app:build").up()
    sandbox.say(bot.id, command)
    eventually(lambda: bot.ask("status")["updates_handled"] == 1, "the end of the handler")
    status = bot.ask("status")
    assert (status["errors"], status["spool"]) == (1, 0)
    eventually(lambda: f"a handler ended by {by}" in bot.log(), "a line of it")


def test_a_handler_that_does_not_block_and_is_cut_at_the_end_is_no_error(bot, sandbox, eventually):
    bot.app("telegram", "ordered_app:build").change(stop_s=0.5).up()
    sandbox.say(bot.id, "/stay 60")
    eventually(lambda: bot.ask("status")["oldest_in_flight_s"], "a handler that runs")
    assert bot.stop() == 0
    assert "a handler ended by" not in bot.log()


def test_one_at_a_time_is_in_the_order_of_arrival_across_chats(bot, sandbox):
    bot.app("telegram", "ordered_app:build").change(concurrency=1)
    for number, chat in enumerate((1, 1, 2), 1):
        sandbox.say(bot.id, f"message {number}", chat_id=chat)
    bot.up()
    assert [answer["text"].split()[1] for answer in answers(sandbox, bot, 3)] == ["1", "2", "3"]


@pytest.mark.parametrize(("command", "by"), [("/vanish", "GeneratorExit"), ("/giveup", "CancelledError")])
def test_one_at_a_time_goes_on_after_a_handler_that_ends_unheard(bot, sandbox, command, by):
    bot.app("telegram", "faults_app:build").change(concurrency=1).up()
    sandbox.say(bot.id, command)
    assert sandbox.ask(bot.id, "after")[0]["text"] == "after"
    status = bot.ask("status")
    # The same run: an end as deaf and a start would mend it as well.
    assert (status["state"], status["errors"], status["starts"]) == ("RUNNING", 1, 1)
    assert f"a handler ended by {by}" in bot.log()
