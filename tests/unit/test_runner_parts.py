"""Smaller parts of the runner: vitals, context, processes, the token lock, faults of the API."""

import asyncio
import logging
import os
import subprocess
import sys
import time

import pytest
from telegram import Bot
from telegram.error import (
    BadRequest,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
    TimedOut,
)

from bot_runner import descendants, process
from bot_runner.application import server_of
from bot_runner.conflicts import CALM_S, EARLIER, GRACE_S, OTHER, STOOD_S, Conflicts
from bot_runner.context import frozen
from bot_runner.faults import LONGEST_FLOOD_S, Fault, Misrouted, Tries, classify
from bot_runner.start_slot import StartSlot
from bot_runner.state_log import StateLog
from bot_runner.token_lock import TokenLock
from bot_runner.vitals import Vitals
from toolkit.lifecycle import State


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("https://api.telegram.org", "https://api.telegram.org"),
        ("https://API.Telegram.org:443/bot123456:secret/test", "https://api.telegram.org"),
        ("http://user:secret@[::1]:8081/bot123456:secret", "http://[::1]:8081"),
        ("http://[::1:8081/bot123456:secret", "what is no URL"),
    ],
)
def test_a_server_is_named_in_one_way_and_without_secrets(url, server):
    assert server_of(url) == server


def test_state_follows_readiness_and_troubles():
    changes = []
    vitals = Vitals(lambda: changes.append(vitals.state))
    assert (vitals.state, vitals.ready, vitals.reasons) == (State.INITIALIZING, False, ["starting"])
    vitals.waits("getMe")
    vitals.waits("getMe")
    vitals.is_ready()
    vitals.trouble("poll", "no answer")
    vitals.trouble("app", "slow")
    assert (vitals.state, vitals.ready) == (State.DEGRADED, True)
    assert vitals.reasons == ["no answer", "slow"]
    vitals.well("poll")
    vitals.well("app")
    vitals.well("app")
    vitals.stops("asked")
    vitals.is_ready()
    assert (vitals.state, vitals.ready, vitals.reasons) == (State.STOPPING, False, ["asked"])
    assert changes == [
        State.INITIALIZING,
        State.RUNNING,
        State.DEGRADED,
        State.DEGRADED,
        State.DEGRADED,
        State.RUNNING,
        State.STOPPING,
    ]


def test_changes_of_state_are_kept_and_impossible_ones_counted():
    vitals = Vitals()
    vitals.is_ready()
    vitals.trouble("app", "slow")
    vitals.trouble("app", "slower")
    vitals.stops("asked")
    assert [change.later for change in vitals.transitions] == [State.RUNNING, State.DEGRADED, State.STOPPING]
    assert vitals.impossible == 0
    vitals.waits("it ends, and yet begins")
    assert vitals.impossible == 1
    assert vitals.transitions[-1].possible is False


class EndsMeanwhile:
    """A lock that another thread takes first, to say that the bot ends."""

    def __init__(self, vitals: Vitals) -> None:
        self.vitals, self.lock = vitals, vitals._lock

    def __enter__(self) -> None:
        self.lock.acquire()
        self.vitals._lock = self.lock
        self.vitals.stops("asked")

    def __exit__(self, *_: object) -> None:
        self.lock.release()


@pytest.mark.parametrize("what", [Vitals.is_ready, lambda vitals: vitals.pauses("an operator paused it")])
def test_what_ends_meanwhile_gets_neither_ready_nor_paused(what):
    vitals = Vitals()
    if what is not Vitals.is_ready:
        vitals.is_ready()
    vitals._lock = EndsMeanwhile(vitals)
    what(vitals)
    assert (vitals.state, vitals.ready, vitals.impossible) == (State.STOPPING, False, 0)


def test_a_state_is_logged_at_once_a_flapping_one_seldom_and_a_lasting_trouble_now_and_then():
    now, lines = [0.0], []
    log = StateLog(lambda level, line: lines.append((now[0], level, line)), lambda: now[0])
    for _ in range(100):
        log.changed(logging.WARNING, "DEGRADED: it flaps")
        log.look()
        now[0] += 0.3
        log.changed(logging.INFO, "RUNNING")
        log.look()
        now[0] += 0.3
    assert [line for _, _, line in lines] == ["DEGRADED: it flaps", "RUNNING"]
    log.changed(logging.WARNING, "DEGRADED: it flaps")
    while now[0] < 2000:
        log.look()
        now[0] += 5.0
    told = [line for _, _, line in lines[2:]]
    assert told[0] == "DEGRADED: it flaps"
    assert told[1:] == ["still DEGRADED: it flaps"] * 3
    log.changed(logging.INFO, "RUNNING")
    assert lines[-1] == (now[0], logging.INFO, "RUNNING")


def test_a_loop_that_hangs_lags_though_it_does_not_tick():
    vitals = Vitals()
    assert vitals.loop_lag_s is None
    vitals.ticked(0.25)
    assert vitals.loop_lag_s == pytest.approx(0.25)
    vitals.last_tick = time.monotonic() - 11
    assert vitals.loop_lag_s == pytest.approx(10, abs=1)


def test_the_oldest_update_counts():
    vitals = Vitals()
    assert vitals.oldest_in_flight_s is None
    vitals.in_flight = {1: time.monotonic() - 1, 2: time.monotonic() - 9}
    assert vitals.oldest_in_flight_s == pytest.approx(9, abs=1)


def test_time_that_the_process_stood_still_counts_against_nothing():
    vitals = Vitals()
    vitals._awake -= 1000
    vitals.is_ready()
    vitals.moved(1, 1)
    vitals.in_flight = {1: time.monotonic() - 100}
    vitals.polls_for(-50)
    vitals.last_tick = time.monotonic() - 100
    vitals._moved = time.monotonic() - 100
    ages = ("loop_lag_s", "poll_overdue_s", "oldest_in_flight_s", "stalled_s")
    sample = vitals.sample()
    assert all(getattr(sample, age) > 40 for age in ages)
    vitals.woke()
    sample = vitals.sample()
    assert all(getattr(sample, age) < 10 for age in ages)
    assert vitals.oldest_in_flight_s > 90


def test_updates_wait_from_the_first_on_that_is_in_no_handler():
    vitals = Vitals()
    vitals._awake = vitals._moved = time.monotonic() - 1000
    assert vitals.sample().unbegun_s is None
    vitals.holds(1)
    assert vitals.sample().unbegun_s < 10
    vitals._moved -= 100
    vitals.holds(2)
    assert vitals.sample().unbegun_s > 90
    vitals.in_flight = {1: time.monotonic()}
    assert vitals.sample().unbegun_s is None


def test_no_poll_is_missed_while_none_is_wanted():
    vitals = Vitals()
    vitals._awake -= 1000
    vitals.polls_for(-50)
    assert vitals.sample().poll_overdue_s is None
    vitals.is_ready()
    assert vitals.sample().poll_overdue_s > 40
    vitals.polls_for(None)
    assert vitals.sample().poll_overdue_s is None


def test_a_config_cannot_be_changed():
    config = frozen({"a": {"b": [1, {"c": 2}]}})
    assert config["a"]["b"][1]["c"] == 2
    for part in (config, config["a"], config["a"]["b"][1]):
        with pytest.raises(TypeError):
            part["x"] = 1


def test_a_tree_is_seen_whole_with_its_memory(eventually):
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    child = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE)
    try:
        pids = eventually(lambda: len(pids := process.tree(child.pid)) > 1 and pids)
        assert pids[0] == child.pid
        assert set(pids) < set(process.tree(os.getpid()))
        assert 1_000_000 < process.memory(child.pid) < 200_000_000
        assert process.cpu_s(os.getpid()) > 0
    finally:
        child.communicate(b"\n")
    assert process.memory(child.pid) == 0
    assert process.cpu_s(child.pid) == 0
    assert process.tree(child.pid) == [child.pid]


def test_usage_knows_the_share_of_a_processor():
    usage = process.Usage()
    assert usage.cpu_percent == 0.0
    usage.sample()
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass
    usage.sample()
    assert 0 < usage.cpu_percent < 150
    assert usage.memory_bytes > 1_000_000


def test_leftovers_are_known_by_their_mark(short_dir):
    socket, botfile = short_dir / "control.sock", short_dir / "bot.json"
    script = "import time; print(flush=True); time.sleep(60)"
    marked = subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, descendants.MARKER: str(socket)},
        stdout=subprocess.PIPE,
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, descendants.MARKER: f"{socket}2"},
        stdout=subprocess.PIPE,
    )
    fork = subprocess.Popen(
        [sys.executable, "-c", script, "bot-runner", str(botfile)], stdout=subprocess.PIPE
    )
    try:
        for made in (marked, other, fork):
            made.stdout.readline()
        assert set(descendants.leftovers(socket, botfile)) == {marked.pid, fork.pid}
        assert descendants.leftovers(socket, botfile, living=fork.pid) == [marked.pid]
        descendants.end_leftovers([marked.pid, fork.pid], 1.0, 5.0)
        assert [made.wait(5) for made in (marked, fork)] == [-15, -15]
        assert other.poll() is None
    finally:
        for made in (marked, other, fork):
            made.kill()
            made.communicate()


async def conflicts_by_time() -> None:
    now = [100.0]
    conflicts = Conflicts(Bot("1:x"), lambda: now[0])
    other = Conflict("terminated by other getUpdates request")
    assert await conflicts.name(other) == EARLIER
    now[0] += GRACE_S
    assert await conflicts.name(other) == OTHER
    assert conflicts.answered()
    assert await Conflicts(Bot("1:x")).name(other) == EARLIER
    now[0] += 5
    assert await conflicts.name(other) == OTHER
    assert not conflicts.answered(STOOD_S / 2)
    now[0] += 5
    assert await conflicts.name(other) == OTHER
    assert not conflicts.answered(STOOD_S / 2)
    assert conflicts.answered(STOOD_S / 2)
    now[0] += CALM_S
    assert await conflicts.name(other) == OTHER
    assert conflicts.answered()


def test_an_earlier_poll_has_its_time_and_another_poller_is_told_until_polls_stand():
    asyncio.run(conflicts_by_time())


async def start_in_turn() -> None:
    slots = [StartSlot(10_000) for _ in range(2)]
    for slot in slots:
        assert slot.try_take()
        slot.release()
        slot.release()
    free = StartSlot(1)
    assert await free.take(30.0)
    try:
        late = StartSlot(1)
        assert not await late.take(0.1)
        waiting = asyncio.ensure_future(late.take(30.0))
        await asyncio.sleep(0)
        free.release()
        assert await waiting
        late.release()
    finally:
        free.release()


def test_who_finds_no_free_slot_starts_when_one_is_left_or_the_wait_is_over():
    asyncio.run(start_in_turn())


async def take_in_turn(bot_id: str) -> None:
    first, second = TokenLock(bot_id), TokenLock(bot_id)
    assert first.try_take()
    assert not await second.take(0.15)
    waiting = asyncio.ensure_future(second.take(5.0))
    await asyncio.sleep(0)
    first.release()
    assert await waiting
    second.release()


def test_a_token_has_one_poller():
    asyncio.run(take_in_turn(f"{os.getpid()}000"))


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (InvalidToken("Unauthorized"), Fault.REFUSED),
        (Misrouted("Not Found (404)"), Fault.MISROUTED),
        (InvalidToken("Not Found"), Fault.MISROUTED),
        (Conflict("terminated by other getUpdates"), Fault.CONFLICT),
        (TimedOut(), Fault.TIMEOUT),
        (TimeoutError(), Fault.TIMEOUT),
        (NetworkError("httpx.ConnectError: refused"), Fault.NETWORK),
        (NetworkError("Bad Gateway"), Fault.SERVER),
        (BadRequest("odd"), Fault.SERVER),
        (Forbidden("odd"), Fault.SERVER),
        (TelegramError("Invalid server response"), Fault.GARBAGE),
        (KeyError("result"), Fault.GARBAGE),
    ],
)
def test_errors_have_their_class(error, fault):
    assert classify(error) is fault


def test_a_404_is_known_behind_the_librarys_own_words():
    error = InvalidToken("The token was rejected by the server.")
    error.__cause__ = Misrouted("Not Found (404)")
    assert classify(error) is Fault.MISROUTED


def test_tries_wait_longer_up_to_a_cap_and_begin_anew():
    tries = Tries()
    error = NetworkError("httpx.ConnectError")
    pauses = [tries.pause_s(error, Fault.NETWORK) for _ in range(50)]
    assert pauses[0] < 0.2
    assert 0.5 < pauses[-1] <= 0.7
    assert tries.pause_s(TimedOut(), Fault.TIMEOUT) < 0.2
    assert max(tries.pause_s(TimedOut(), Fault.TIMEOUT) for _ in range(50)) <= 0.2
    tries.succeeded()
    assert tries.failed == 0


OUTAGES = (Fault.NETWORK, Fault.TIMEOUT, Fault.SERVER, Fault.GARBAGE, Fault.MISROUTED)


@pytest.mark.parametrize("fault", OUTAGES)
def test_an_outage_leaves_pauses_that_end_within_a_second_of_it_and_differ(fault):
    tries, others = Tries(), Tries()
    pauses = [tries.pause_s(None, fault) for _ in range(50)]
    assert max(pauses) < 0.8
    assert pauses != [others.pause_s(None, fault) for _ in range(50)]


# The library warns of a type that it will change one day.
@pytest.mark.filterwarnings("ignore:.*retry_after")
def test_what_the_api_asks_for_is_kept_within_reason():
    assert classify(RetryAfter(7)) is Fault.FLOOD
    assert Tries().pause_s(RetryAfter(7), Fault.FLOOD) == 7
    assert Tries().pause_s(RetryAfter(10_072), Fault.FLOOD) == LONGEST_FLOOD_S
