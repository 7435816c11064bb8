"""What becomes of a bot at each fault, as a table: printed when all tests are done.

Each row: how long until it was detected, in which state the bot then was, with which class it ended if it
did, how long after the fault's end it answered again, how many updates were lost, how often two polls
overlapped. The times are told, not held to: machines differ. That it is detected, comes back and loses
nothing is held.
"""

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from toolkit.botfile import Health
from toolkit.lifecycle import FailureClass

TABLE = "faults of the Bot API"
OF_HANDLERS = "faults of handlers"
# Short, yet long enough for a machine that has much else to do.
LIMITS = Health(loop_s=2.0, poll_s=10.0, handler_s=1.0, stuck_s=2.0)
LEAK_BYTES = 25_000_000
METHODS = ("getMe", "deleteWebhook", "getUpdates", "sendMessage")
BEFORE_READINESS = ("getMe", "deleteWebhook")
UNSEEN = "-"
# What strikes with more than its kind.
DETAILS = {"429": {"retry_after": 2}, "delay": {"delay_ms": 400}}


@dataclass
class Row:
    fault: str
    method: str
    detected_s: float | None = None
    state: str = UNSEEN
    failure: str = UNSEEN
    back_s: float | None = None
    lost: int = 0
    overlaps: int = 0

    def told(self):
        return {
            "fault": self.fault,
            "method": self.method,
            "detected after": seconds(self.detected_s),
            "state": self.state,
            "exit class": self.failure,
            "back after": seconds(self.back_s),
            "lost": str(self.lost),
            "polled twice": str(self.overlaps),
        }


def seconds(value):
    return UNSEEN if value is None else f"{value:.2f} s"


def handled(bot):
    """The updates that a handler ended with, well or not."""
    file = bot.folder / "state" / "handled"
    lines = file.read_text().split("\n") if file.exists() else []
    return {int(line.split()[1]) for line in lines if line.startswith("ended")}


def seen(bot, method, began, eventually):
    """Wait until it shows from outside; the time since it began, the state, and the class of an end."""

    def look():
        if bot.runner.poll() is not None:
            failure = next(each for each in FailureClass if each.code == bot.runner.returncode)
            return ("QUARANTINED" if not failure.restart_helps else "BACKOFF"), failure.name
        status = bot.status()
        if status["state"] in {"STOPPING", "QUARANTINED"}:  # it is about to end
            return None
        if method == "sendMessage":
            return (status["state"], UNSEEN) if status.get("errors") else None
        return (status["state"], UNSEEN) if method in status["reason"] else None

    state, failure = eventually(look, f"{method}'s fault is seen: {bot.status()}", within_s=60)
    return time.monotonic() - began, state, failure


def strike(bot, sandbox, row):
    """Let the fault begin, at the moment at which its method is called."""
    details = DETAILS.get(row.fault, {})
    if row.method in BEFORE_READINESS:
        sandbox.fault(bot.id, row.method, row.fault, **details)
        bot.start()
        return
    bot.up()
    assert sandbox.ask(bot.id, "before", timeout=20)
    sandbox.fault(bot.id, row.method, row.fault, **details)
    sandbox.say(bot.id, "meanwhile")


def met(sandbox, bot):
    """When the fault first met a call."""
    sandbox.wait_until(bot.id, lambda counters: counters["faults"], timeout=30)
    return time.monotonic()


def observe(bot, sandbox, row, eventually):
    """Fill a row in."""
    bot.app("telegram", "faults_app:build")
    strike(bot, sandbox, row)
    began = met(sandbox, bot)
    if row.fault != "delay":
        row.detected_s, row.state, row.failure = seen(bot, row.method, began, eventually)
    sandbox.heal(bot.id)
    healed = time.time()
    if row.failure != UNSEEN:
        bot.start()
    sandbox.say(bot.id, "after")

    def answered():
        return next((each for each in sandbox.answers(bot.id) if each["text"] == "after"), None)

    try:
        row.back_s = eventually(answered, "an answer", within_s=60)["time"] - healed
    except AssertionError:
        raise AssertionError(f"{row}\n{bot.status()}\n{bot.log()}") from None
    assert bot.until("RUNNING")["ready"]
    assert bot.stop() == 0
    row.lost = len({each["update_id"] for each in sandbox.updates(bot.id)} - handled(bot))
    row.overlaps = sandbox.counters(bot.id)["overlapping_polls"]
    return row


def check(row, tell_row):
    tell_row(TABLE, row.told())
    assert (row.lost, row.overlaps) == (0, 0), row
    if row.fault == "401" and row.method != "sendMessage":
        assert (row.state, row.failure) == ("QUARANTINED", "TOKEN_REFUSED"), row
    elif row.fault != "delay":
        expected = {"sendMessage": "RUNNING", "getUpdates": "DEGRADED"}.get(row.method, "INITIALIZING")
        assert (row.state, row.failure) == (expected, UNSEEN), row


@pytest.mark.parametrize(
    "kind", ["401", "404", "409", "429", "500", "hang", "drop", "lost", "garbage", "delay", "tls"]
)
def test_a_fault_of_each_method(new_bot, sandbox, eventually, tell_row, kind):
    rows = [Row(kind, method) for method in METHODS]
    with ThreadPoolExecutor(len(rows)) as threads:
        observed = [threads.submit(observe, new_bot(), sandbox, row, eventually) for row in rows]
        for each in observed:
            check(each.result(), tell_row)


def way_of_end(code):
    """The class of an exit, or its code or signal where it has none."""
    if code < 0:
        return signal.Signals(-code).name
    return next((each.name for each in FailureClass if each.code == code), f"code {code}")


def seen_of_handler(bot, row, memory, eventually):
    """Wait until a handler's fault shows: by an end, a trouble, an error, or memory that grows."""
    begun = time.monotonic()

    def look():
        if bot.runner.poll() is not None:
            return "BACKOFF", way_of_end(bot.runner.returncode)
        status = bot.status()
        if not row.ends and status["state"] == "DEGRADED":
            return "DEGRADED", UNSEEN
        grown = (status.get("memory_bytes") or 0) - memory
        shows = not row.ends and (status.get("errors") or grown > LEAK_BYTES)
        return ("RUNNING", UNSEEN) if shows else None

    row.state, row.failure = eventually(look, f"the fault shows: {bot.status()}", within_s=40)
    row.detected_s = time.monotonic() - begun


@dataclass
class HandlerRow(Row):
    concurrency: int | None = None
    ends: bool = False


def observe_handler(bot, sandbox, row, eventually):
    """Fill in the row of a handler's fault; whatever ends the bot, its supervisor starts it again."""
    bot.app("telegram", "faults_app:build").change(health=LIMITS, stop_s=1.0, concurrency=row.concurrency)
    bot.up()
    assert sandbox.ask(bot.id, "before", timeout=20, chat_id=1)
    memory = eventually(lambda: bot.status().get("memory_bytes"), "a sample of memory")
    command = sandbox.say(bot.id, row.fault, chat_id=2)
    seen_of_handler(bot, row, memory, eventually)
    shown = time.time()
    if row.state == "DEGRADED":
        assert bot.stop() == 0
    sandbox.say(bot.id, "after", chat_id=3)

    def answered():
        if bot.runner.poll() is not None:
            bot.start()
        return next((each for each in sandbox.answers(bot.id) if each["text"] == "after"), None)

    row.back_s = eventually(answered, "an answer after the fault", within_s=60)["time"] - shown
    status = bot.until("RUNNING")
    if row.state == "RUNNING":
        eventually(lambda: not bot.status()["spool"], f"nothing is left in the spool: {row}")
    aside = {command} if status.get("dead_letters") or "is set aside" in bot.log() else set()
    assert bool(aside) == ("always" in row.fault)
    # Without its bot the handler fails to answer, which is an end like any other.
    if row.state != "RUNNING" and not aside and row.fault != "/shutdown":
        # The handler that asked for the end could finish first.
        wanted = row.fault if row.fault in {"/quit", "/stop", "/starve", "/unpoll"} else f"again: {row.fault}"
        eventually(lambda: any(each["text"] == wanted for each in sandbox.answers(bot.id)), wanted)
    assert bot.stop() == 0
    row.method = "set aside" if aside else "handled"
    row.lost = len({each["update_id"] for each in sandbox.updates(bot.id)} - handled(bot) - aside)
    row.overlaps = sandbox.counters(bot.id)["overlapping_polls"]
    return row


def handler_faults(name):
    """The rows of one group, each with the state and the end that are expected."""
    groups = {
        "never returns": [
            (HandlerRow("/block", "", ends=True), "BACKOFF", "DEAF"),
            (HandlerRow("/hang", ""), "DEGRADED", UNSEEN),
            (HandlerRow("/hang", "", concurrency=1, ends=True), "BACKOFF", "DEAF"),
            (HandlerRow("/cling", "", concurrency=1, ends=True), "BACKOFF", "DEAF"),
        ],
        "ends": [
            (HandlerRow("/leave", "", ends=True), "BACKOFF", "APP_CRASHED"),
            (HandlerRow("/quit", "", ends=True), "BACKOFF", "APP_CRASHED"),
            (HandlerRow("/stop", "", ends=True), "BACKOFF", "APP_CRASHED"),
            (HandlerRow("/shutdown", "", ends=True), "BACKOFF", "APP_CRASHED"),
            (HandlerRow("/drop", "", ends=True), "BACKOFF", "code 3"),
            (HandlerRow("/crash", "", ends=True), "BACKOFF", "SIGSEGV"),
            (HandlerRow("/starve", "", ends=True), "BACKOFF", "DEAF"),
            (HandlerRow("/unpoll", "", ends=True), "BACKOFF", "DEAF"),
        ],
        "goes on": [
            (HandlerRow("/fail", ""), "RUNNING", UNSEEN),
            (HandlerRow("/vanish", ""), "RUNNING", UNSEEN),
            (HandlerRow("/giveup", ""), "RUNNING", UNSEEN),
            (HandlerRow("/vanish", "", concurrency=1), "RUNNING", UNSEEN),
            (HandlerRow("/giveup", "", concurrency=1), "RUNNING", UNSEEN),
            (HandlerRow("/leak", ""), "RUNNING", UNSEEN),
            (HandlerRow("/drop always", "", ends=True), "BACKOFF", "code 3"),
        ],
    }
    return groups[name]


@pytest.mark.parametrize("group", ["never returns", "ends", "goes on"])
def test_faults_of_handlers(new_bot, sandbox, eventually, tell_row, group):
    rows = handler_faults(group)
    with ThreadPoolExecutor(len(rows)) as threads:
        observed = [
            (threads.submit(observe_handler, new_bot(), sandbox, row, eventually), state, failure)
            for row, state, failure in rows
        ]
        for each, state, failure in observed:
            row = each.result()
            told = row.told()
            told["update"] = told.pop("method")
            told["fault"] += " (one at a time)" if row.concurrency == 1 else ""
            tell_row(OF_HANDLERS, told)
            assert (row.state, row.failure) == (state, failure), row
            assert (row.lost, row.overlaps) == (0, 0), row
