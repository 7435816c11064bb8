"""Kills under load: nothing is lost, and no more is repeated than was being handled."""

import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from toolkit.botfile import Restart

MESSAGES = 2000
KILLS = 10
FLOOD = 20_000
# What 100 updates and the queue of a log may take; 20,000 updates take 48 MB.
ROOM_BYTES = 8_000_000


@pytest.fixture
def bot(bot):
    quick = Restart(pause_s=0.05, pause_max_s=0.05, limit=0)
    return bot.app("telegram", "flood_app:build").change(restart=quick)


def kept(bot, sign, after=0):
    """How often each update's handler began or ended, in what was kept after so many lines."""
    path = Path(bot.file.files.state) / "kept"
    lines = path.read_text().split() if path.exists() else []
    return Counter(int(line[1:]) for line in lines[after:] if line[0] == sign)


def resident(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def test_ten_kills_under_load_lose_nothing_and_repeat_only_what_was_in_flight(
    bot, sandbox, eventually, tell_row
):
    random.seed(seed := os.getpid())
    bot.change(config={"answers": True}).up()
    sandbox.fault(bot.id, "sendMessage", "delay", delay_ms=20)
    sandbox.flood(bot.id, MESSAGES, chats=50, rate=200)
    in_flight = known = 0
    for _ in range(KILLS):
        time.sleep(random.uniform(0.02, 0.5))  # any moment will do: the point is that none is special
        bot.runner.kill()
        bot.ended()
        began, ended = kept(bot, "+", known), kept(bot, "-", known)
        in_flight += (began - ended).total()
        known += began.total() + ended.total()
        bot.up()
    sandbox.wait_until(bot.id, lambda each: each["accepted"] == MESSAGES and not each["pending"], timeout=60)
    eventually(lambda: bot.status()["spool"] == 0, "all is handled", 60)
    counters = sandbox.counters(bot.id)
    # Of what is in flight at three kills the bot takes it that it is their cause.
    aside = {letter["update_id"] for letter in bot.ask("dead_letters")["dead_letters"]}
    assert bot.stop() == 0
    began, ended = kept(bot, "+"), kept(bot, "-")
    repeats = began.total() - MESSAGES
    handled = ended.keys() | aside
    row = {"kills": str(KILLS), "messages": str(MESSAGES), "lost": str(MESSAGES - len(handled))}
    row |= {"set aside": str(len(aside)), "in flight at the kills": str(in_flight), "repeats": str(repeats)}
    tell_row("kill -9 under load", row | {"answered twice": str(counters["answered_twice"])})
    assert len(handled) == MESSAGES, f"seed {seed}"
    # A kill may also fall between the end of a handler and the note of it: one turn of the loop's.
    assert repeats <= in_flight + KILLS, f"seed {seed}"
    assert counters["answered_twice"] <= repeats, f"seed {seed}"
    assert counters["overlapping_polls"] == 0


def test_a_flood_into_a_slow_bot_takes_no_memory_and_loses_nothing(bot, sandbox, eventually, tell_row):
    bot.up()
    sandbox.flood(bot.id, 50, chats=50)
    eventually(lambda: len(kept(bot, "+")) >= 16, "handlers that wait")
    before = resident(bot.runner.pid)
    sandbox.flood(bot.id, FLOOD - 50, chats=50)
    polls = sandbox.counters(bot.id)["polls"]
    sandbox.wait_until(bot.id, lambda each: each["delivered"] >= 100 or each["polls"] > polls)
    after = resident(bot.runner.pid)
    delivered = sandbox.counters(bot.id)["delivered"]
    assert delivered <= 200
    assert after - before < ROOM_BYTES
    bot.runner.kill()
    bot.ended()
    (Path(bot.file.files.state) / "gate").touch()
    bot.up()
    end = time.monotonic() + 120
    while len(kept(bot, "-")) < FLOOD and time.monotonic() < end:
        time.sleep(0.5)  # each look reads a long file
    most = resident(bot.runner.pid)
    assert bot.stop() == 0
    lost = FLOOD - len(kept(bot, "-"))
    row = {"flood": str(FLOOD), "taken in": str(delivered), "grown by": f"{(after - before) / 1e6:.1f} MB"}
    row |= {"lost on kill -9": str(lost), "memory once all were handled": f"{most / 1e6:.1f} MB"}
    tell_row("flood into a slow bot", row)
    assert lost == 0
    assert most - before < 2 * ROOM_BYTES
