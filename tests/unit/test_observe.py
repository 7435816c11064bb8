"""How three sources make one state, as data."""

import pytest

from toolkit.backends import Phase, UnitStatus
from toolkit.ipc.client import Failure
from toolkit.lifecycle import State
from toolkit.observe import view
from toolkit.run_record import LastExit, RunRecord

NOW = 1_000_000.0
ANSWER = {"state": "RUNNING", "ready": True, "reason": "", "pid": 7, "uptime_s": 5.0, "restarts": 2}
REFUSED = RunRecord(
    starts=1, last_exit=LastExit(at="t", kind="failed", failure="TOKEN_REFUSED", code=77, reason="401")
)


def seen(phase, answer=None, record=None, *, since=0.0, exit_code=None):
    unit = UnitStatus("alice", phase, pid=7, since=since, exit_code=exit_code, detail="words")
    return view("echo", "supervisord", unit, record or RunRecord(), answer or silence(), now=NOW)


def silence():
    return next(failure for failure in _failures())


def _failures():
    import tempfile
    from pathlib import Path

    from toolkit.ipc.client import ask_many

    with tempfile.TemporaryDirectory() as folder:
        yield ask_many({"x": Path(folder) / "no.sock"}, "status", timeout_s=0.1)["x"]


@pytest.mark.parametrize(
    ("phase", "state"),
    [
        (Phase.ABSENT, State.DEFINED),
        (Phase.STOPPED, State.STOPPED),
        (Phase.STARTING, State.STARTING),
        (Phase.BACKOFF, State.BACKOFF),
        (Phase.STOPPING, State.STOPPING),
        (Phase.FAILED, State.FAILED),
    ],
)
def test_the_supervisor_alone(phase, state):
    assert isinstance(silence(), Failure)
    assert seen(phase).state is state


def test_a_bot_that_answers_tells_its_own_state():
    bot = seen(Phase.RUNNING, ANSWER)
    assert (bot.state, bot.ready, bot.pid, bot.restarts) == (State.RUNNING, True, 7, 2)


def test_the_supervisor_knows_better_that_it_is_stopping():
    assert seen(Phase.STOPPING, ANSWER).state is State.STOPPING


def test_a_bot_that_outlived_its_supervisor_says_so():
    assert "without its supervisor" in seen(Phase.STOPPED, ANSWER).reason


def test_silence_right_after_the_start_is_no_fault_but_later_it_is():
    assert seen(Phase.RUNNING, since=NOW - 1).state is State.STARTING
    late = seen(Phase.RUNNING, since=NOW - 100)
    assert late.state is State.DEGRADED
    assert "control socket" in late.reason
    assert late.hint


@pytest.mark.parametrize(("code", "state"), [(77, State.QUARANTINED), (0, State.STOPPED), (3, State.FAILED)])
def test_an_exit_tells_its_class(code, state):
    assert seen(Phase.EXITED, exit_code=code).state is state


def test_the_run_record_gives_the_class_in_words_with_a_hint():
    bot = seen(Phase.EXITED, record=REFUSED, exit_code=77)
    assert bot.state is State.QUARANTINED
    assert bot.failure == "TOKEN_REFUSED"
    assert bot.reason == "token refused: 401"
    assert "token" in bot.hint
    assert bot.restarts == 0


def test_json_holds_the_promised_names():
    names = seen(Phase.RUNNING, ANSWER).as_json().keys()
    promised = "name type backend state ready pid uptime_s restarts memory_bytes cpu_percent"
    assert names >= set(promised.split())
