"""The run record's arithmetic and the pacing of starts."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot_runner import runs
from bot_runner.failure import BotFailedError
from bot_runner.keeper import Keeper
from bot_runner.pacing import growing, jittered
from toolkit import run_record
from toolkit.botfile import Restart
from toolkit.lifecycle import FailureClass
from toolkit.run_record import LastExit, RunRecord

EARLY, LATE = "2026-01-01T00:00:00.000Z", "2026-01-01T00:00:10.000Z"
CRASHED = LastExit(at=EARLY, kind="failed", failure="APP_CRASHED", uptime_s=1.0)
STOPPED = LastExit(at=EARLY, kind="stopped", uptime_s=1.0)


def begun(record: RunRecord) -> RunRecord:
    return runs.begun(record, pid=42, now=LATE, healthy_s=60.0)


def test_the_first_start_is_no_restart():
    record = begun(RunRecord())
    assert (record.starts, record.restarts, record.total_starts, record.pid) == (1, 0, 1, 42)
    assert record.last_exit is None


def test_a_start_after_an_unrecorded_end_finds_it():
    record = begun(RunRecord(starts=3, total_starts=9, failures=1, pid=7, started_at=EARLY))
    assert (record.starts, record.total_starts, record.failures) == (4, 10, 2)
    assert (record.last_exit.kind, record.last_exit.uptime_s) == ("died", 10.0)


def test_an_unrecorded_end_after_a_healthy_time_is_the_first_failure():
    record = runs.begun(
        RunRecord(starts=3, failures=5, pid=7, started_at=EARLY), pid=42, now=LATE, healthy_s=10.0
    )
    assert record.failures == 1


def test_a_start_after_an_orderly_stop_counts_anew():
    record = begun(runs.ended(RunRecord(starts=5, total_starts=5, failures=2, pid=7), STOPPED, 60.0))
    assert (record.starts, record.total_starts, record.failures) == (1, 6, 0)


def test_a_start_after_a_crash_goes_on_counting():
    record = begun(runs.ended(RunRecord(starts=1, total_starts=1, pid=7), CRASHED, 60.0))
    assert (record.starts, record.restarts, record.failures) == (2, 1, 1)


def test_a_start_after_a_quarantine_was_asked_for():
    refused = LastExit(at=EARLY, kind="failed", failure="TOKEN_REFUSED")
    record = begun(runs.ended(RunRecord(starts=4, failures=3, pid=7), refused, 60.0))
    assert (record.starts, record.failures) == (1, 0)


def test_the_first_crash_comes_back_at_once_and_then_the_pauses_grow():
    restart = Restart(pause_s=1.0, pause_max_s=10.0)
    pauses = [runs.pause_s(failures, restart, 0.5) for failures in range(8)]
    assert pauses == [0, 0, 1, 2, 4, 8, 10, 10]


@settings(deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 0.999))
def test_a_pause_is_never_longer_than_allowed(failures, fraction):
    assert 0 <= runs.pause_s(failures, Restart(pause_s=1, pause_max_s=30), fraction) <= 30


@settings(deadline=None)
@given(st.floats(0, 1e6), st.floats(0, 0.999))
def test_jitter_stays_within_its_share(seconds, fraction):
    assert seconds * 0.8 <= jittered(seconds, fraction) <= seconds * 1.2 + 1e-9


def test_growing_needs_a_failure():
    assert growing(0, 1.0, 2.0, 9.0) == 0.0
    assert growing(10**9, 1.0, 2.0, 9.0) == 9.0


def test_only_failures_that_last_are_a_loop():
    restart = Restart(limit=3)
    assert not runs.in_crash_loop(RunRecord(failures=2, last_exit=CRASHED), restart)
    assert runs.in_crash_loop(RunRecord(failures=3, last_exit=CRASHED), restart)
    assert not runs.in_crash_loop(RunRecord(failures=99, last_exit=CRASHED), Restart(limit=0))
    for failure in ("TEMPORARY", "BAD_UPSTREAM"):
        outside = LastExit(at=EARLY, kind="failed", failure=failure)
        assert not runs.in_crash_loop(RunRecord(failures=99, last_exit=outside), restart)


def test_only_the_first_end_counts_and_one_failure_too_many_is_a_loop(tmp_path):
    keeper = Keeper(tmp_path / "run.json", Restart(limit=1), born=0.0)
    keeper.record = msgspec.structs.replace(keeper.record, starts=1)
    keeper._began = 1e12  # not healthy yet
    crash = BotFailedError(FailureClass.APP_CRASHED, "broken")
    assert keeper.end(crash).failure is FailureClass.CRASH_LOOP
    assert keeper.end(None).failure is FailureClass.CRASH_LOOP
    last = run_record.read(tmp_path / "run.json").last_exit
    assert (last.failure, last.code) == ("CRASH_LOOP", 100)
    assert "broken" in last.reason


def test_a_pause_after_the_end_is_none(tmp_path):
    keeper = Keeper(tmp_path / "run.json", Restart(), born=0.0)
    assert keeper.pause(paused=True)
    assert run_record.read(tmp_path / "run.json").paused
    assert keeper.pause(paused=False)
    keeper.end(None)
    assert not keeper.pause(paused=True)
    assert not run_record.read(tmp_path / "run.json").paused


def test_the_file_is_replaced_whole(tmp_path):
    path = tmp_path / "run.json"
    path.write_text("old")
    with open(path) as old:
        runs.save(path, RunRecord(starts=2))
        assert old.read() == "old"
    assert json.loads(path.read_text())["starts"] == 2
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.json"]


def test_a_folder_that_is_gone_raises(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        runs.save(tmp_path / "gone" / "run.json", RunRecord())
