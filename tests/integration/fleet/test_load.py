"""A fleet under load, changed by its operator."""

from pathlib import Path

APPS = Path(__file__).parents[2] / "apps"
MESSAGES = 2000
RESTARTS = 3


def test_restarts_under_load_answer_each_message_exactly_once(operator, tell_row):
    app = f'app: {{telegram: "flood_app:build"}}\n    search: [{APPS}]\n    config: {{answers: true}}'
    operator.edit('app: {telegram: "bots.echo:build"}', app)
    operator.run("up")
    bot_id, sandbox = operator.bot_id("alice"), operator.sandbox
    sandbox.fault(bot_id, "sendMessage", "delay", delay_ms=20)
    sandbox.flood(bot_id, MESSAGES, chats=50, rate=200)
    for number in range(1, RESTARTS + 1):
        sandbox.wait_until(bot_id, lambda each, n=number: each["sent"] > n * MESSAGES / 5, timeout=60)
        operator.run("admin", "restart-bot", "alice")
    counters = sandbox.wait_until(
        bot_id, lambda each: each["accepted"] == MESSAGES and not each["unanswered"], timeout=60
    )
    alice = operator.bots()["alice"]
    row = {"restarts": str(RESTARTS), "messages": str(MESSAGES), "lost": str(counters["unanswered"])}
    tell_row("restart-bot under load", row | {"answered twice": str(counters["answered_twice"])})
    assert (counters["sent"], counters["answered_twice"], counters["unasked"]) == (MESSAGES, 0, 0)
    assert counters["overlapping_polls"] == 0
    assert (alice["state"], alice["restarts"]) == ("RUNNING", 0)
