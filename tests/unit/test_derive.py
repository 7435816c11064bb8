"""How three sources make one state, as data."""

import pytest

from toolkit.backends import NotRunningError, Phase, SocketGoneError, UnitStatus
from toolkit.derive import unasked, understood, view_of_answer, view_of_silence, with_hold
from toolkit.ipc.client import Failure, FailureKind
from toolkit.lifecycle import State
from toolkit.run_record import LastExit, RunRecord

SILENCE = Failure(FailureKind.NOT_RUNNING, "its control socket /s is not there")
NOW = 1_000_000.0
ANSWER = {"state": "RUNNING", "ready": True, "reason": "", "pid": 7, "uptime_s": 5.0, "restarts": 2}
REFUSED = RunRecord(
    starts=1, last_exit=LastExit(at="t", kind="failed", failure="TOKEN_REFUSED", code=77, reason="401")
)


def seen(phase, answer=None, record=None, *, since=0.0, exit_code=None, made=False, silence=SILENCE):
    unit = UnitStatus("alice", phase, pid=7, since=since, exit_code=exit_code, detail="words")
    if answer:
        return view_of_answer("echo", "supervisord", unit, answer)
    return view_of_silence("echo", "supervisord", unit, record or RunRecord(), silence, now=NOW, made=made)


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
    assert seen(phase).state is state


def test_a_bot_that_answers_tells_its_own_state():
    bot = seen(Phase.RUNNING, ANSWER)
    assert (bot.state, bot.ready, bot.pid, bot.restarts) == (State.RUNNING, True, 7, 2)


@pytest.mark.parametrize(
    "answer",
    [
        *(None, [], "RUNNING", {}, ANSWER | {"state": "ASLEEP"}, ANSWER | {"state": []}),
        *(ANSWER | {"pid": "7"}, ANSWER | {"uptime_s": "long"}, ANSWER | {"last_exit": [1]}),
        ANSWER | {"reason": 5},
    ],
)
def test_what_is_no_answer_is_a_failure(answer):
    assert isinstance(understood(answer), Failure)


def test_an_answer_is_understood_with_what_is_new_in_it_and_without_what_is_not_there():
    assert understood(ANSWER | {"new": 1}) == ANSWER | {"new": 1}
    assert understood({"state": "PAUSED"}) == {"state": "PAUSED"}
    assert understood(SILENCE) is SILENCE


def test_the_supervisor_knows_better_that_it_is_stopping():
    assert seen(Phase.STOPPING, ANSWER).state is State.STOPPING


def test_a_bot_that_outlived_its_supervisor_says_so():
    assert "without its supervisor" in seen(Phase.STOPPED, ANSWER).reason


@pytest.mark.parametrize(
    ("silence", "supervisor", "stopped", "alive"),
    [
        (NotRunningError("m", "h"), "not running", "the supervisor is not running", "without its supervisor"),
        (SocketGoneError("its socket is lost", "h"), "socket gone", "its socket is lost", "socket is lost"),
    ],
)
def test_a_supervisor_that_cannot_be_asked_is_told_by_a_code_and_in_words(
    silence, supervisor, stopped, alive
):
    told = {phase: unasked(seen(phase, record=BEGUN), silence) for phase in Phase}
    assert {view.as_json()["supervisor"] for view in told.values()} == {supervisor}
    assert stopped in told[Phase.STOPPED].reason
    assert alive in told[Phase.RUNNING].reason
    assert alive in unasked(seen(Phase.RUNNING, ANSWER), silence).reason
    assert seen(Phase.RUNNING, ANSWER).as_json()["supervisor"] == "answers"


BEGUN = RunRecord(starts=1, pid=7, started_at="1970-01-12T13:46:35Z")  # 5 s before NOW


def test_silence_right_after_the_start_is_no_fault_but_later_it_is():
    assert seen(Phase.RUNNING, since=NOW - 1, record=BEGUN).state is State.STARTING
    assert seen(Phase.RUNNING, record=BEGUN).state is State.STARTING, "the record tells when, too"
    late = seen(Phase.RUNNING, since=NOW - 100, record=BEGUN)
    assert late.state is State.DEGRADED
    assert late.reason == "its control socket /s is not there"
    assert late.hint == "`toolkit admin restart-bot alice` makes it anew"


def test_a_control_socket_that_was_made_and_is_gone_is_a_fault_at_once():
    bot = seen(Phase.RUNNING, since=NOW - 1, record=BEGUN, made=True)
    assert (bot.state, bot.reason) == (State.DEGRADED, SILENCE.message)
    assert bot.hint == "`toolkit admin restart-bot alice` makes it anew"
    hung = Failure(FailureKind.HUNG, "no answer in time")
    young = seen(Phase.RUNNING, since=NOW - 1, record=BEGUN, made=True, silence=hung)
    assert young.state is State.STARTING


SEEN_TO_END = {"at": "1970-01-12T13:46:39Z", "pid": 7}  # 1 s before NOW


@pytest.mark.parametrize("made", [True, False])
@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.RUNNING])
@pytest.mark.parametrize(
    ("last", "state", "reason"),
    [
        (LastExit(kind="stopped", **SEEN_TO_END), State.STOPPING, ""),
        (
            LastExit(kind="failed", failure="TOKEN_REFUSED", code=77, reason="401", **SEEN_TO_END),
            State.QUARANTINED,
            "token refused: 401",
        ),
        (
            LastExit(kind="failed", failure="TEMPORARY", reason="no", **SEEN_TO_END),
            State.BACKOFF,
            "temporary: no",
        ),
    ],
)
def test_a_process_that_has_recorded_its_end_is_not_told_as_one_that_starts(last, state, reason, phase, made):
    bot = seen(phase, since=NOW - 2, record=RunRecord(starts=1, last_exit=last), made=made)
    assert (bot.state, bot.reason) == (state, reason)
    assert "makes it anew" not in bot.hint


@pytest.mark.parametrize("other", [{"pid": 8}, {"at": "1970-01-12T13:46:37Z"}], ids=["process", "boot"])
def test_the_end_of_another_process_is_not_that_of_this_one(other):
    record = RunRecord(starts=1, last_exit=LastExit(kind="stopped", **SEEN_TO_END | other))
    assert seen(Phase.RUNNING, since=NOW - 2, record=record).state is State.STARTING


@pytest.mark.parametrize("phase", Phase)
def test_a_bot_that_is_stopped_is_well_where_an_operator_wants_it_so_and_else_says_what_to_do(phase):
    bot, held = (with_hold(seen(phase), held=held) for held in (False, True))
    stopped = bot.state is State.STOPPED
    assert (bot.well, held.well, held.held) == (False, stopped, stopped)
    if phase is Phase.STOPPED:
        unit = UnitStatus("alice", phase)
        bot, held = (
            with_hold(view_of_silence("echo", "b", unit, RunRecord(), SILENCE, now=NOW), held=held)
            for held in (False, True)
        )
        assert (bot.reason, bot.hint) == (
            "it is to run, and was stopped",
            "`toolkit admin start-bot alice` starts it",
        )
        assert (held.reason, held.hint) == ("", "")


@pytest.mark.parametrize(("state", "well"), [("RUNNING", True), ("PAUSED", True), ("INITIALIZING", False)])
def test_whether_a_bot_is_well_is_told(state, well):
    assert seen(Phase.RUNNING, ANSWER | {"state": state}).as_json()["well"] is well


def test_a_bot_whose_process_has_only_begun_says_so_instead_of_its_state():
    bot = view_of_silence(
        "echo", "supervisord", UnitStatus("alice", Phase.STARTING, 7), RunRecord(), SILENCE, now=NOW
    )
    assert (bot.state, bot.reason) == (State.STARTING, "its runner is not loaded yet")


@pytest.mark.parametrize(
    "record", [RunRecord(), RunRecord(starts=3, pid=6, started_at="2026-01-01T00:00:00Z")]
)
def test_a_bot_whose_runner_is_not_loaded_yet_is_starting_for_some_minutes(record):
    for since in (0.0, NOW - 100, NOW - 299):
        bot = seen(Phase.RUNNING, since=since, record=record)
        assert (bot.state, bot.reason) == (State.STARTING, "its runner is not loaded yet")
    assert seen(Phase.RUNNING, since=NOW - 301, record=record).state is State.DEGRADED


def test_a_bot_that_hangs_or_that_systemd_calls_active_is_not_starting():
    unit = UnitStatus("alice", Phase.RUNNING, pid=7, since=NOW - 100)
    hung = Failure(FailureKind.HUNG, "no answer in time")
    assert view_of_silence("echo", "supervisord", unit, RunRecord(), hung, now=NOW).state is State.DEGRADED
    assert view_of_silence("echo", "systemd", unit, RunRecord(), SILENCE, now=NOW).state is State.DEGRADED


@pytest.mark.parametrize(("code", "state"), [(77, State.QUARANTINED), (0, State.STOPPED), (3, State.FAILED)])
def test_an_exit_tells_its_class(code, state):
    assert seen(Phase.EXITED, exit_code=code).state is state


@pytest.mark.parametrize(
    ("ago", "code", "state"),
    [
        (2.5, 3, State.BACKOFF),
        (2.5, None, State.BACKOFF),  # a signal
        (2.5, 77, State.QUARANTINED),
        (2.5, 0, State.STOPPED),
        (3.5, 3, State.FAILED),
    ],
)
def test_one_that_has_just_ended_may_be_about_to_be_started_again(ago, code, state):
    assert seen(Phase.EXITED, since=NOW - ago, exit_code=code).state is state


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


def test_an_exit_code_tells_the_class_where_there_is_no_record():
    bot = seen(Phase.EXITED, exit_code=78)
    assert bot.state is State.QUARANTINED
    assert bot.reason == "bad configuration"
    assert bot.failure == "BAD_CONFIG"


@pytest.mark.parametrize(
    ("code", "reason"), [(203, "words"), (70, "app crashed: oh"), (None, "app crashed: oh")]
)
def test_an_end_that_left_no_record_is_not_told_in_the_words_of_an_earlier_one(code, reason):
    crashed = LastExit(at="t", kind="failed", failure="APP_CRASHED", code=70, reason="oh")
    bot = seen(Phase.FAILED, record=RunRecord(starts=1, last_exit=crashed), exit_code=code)
    assert (bot.state, bot.reason) == (State.FAILED, reason)
    assert (bot.failure is None) is (code == 203)
