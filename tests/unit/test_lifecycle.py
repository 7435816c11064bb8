import re

from hypothesis import given
from hypothesis import strategies as st

from toolkit.lifecycle import NO_RESTART_CODES, TRANSITIONS, Event, FailureClass, State, may_follow, step


def test_a_bots_ordinary_life():
    state = State.DEFINED
    for event in (Event.INSTALL, Event.SPAWN, Event.HELLO, Event.READY, Event.STOP, Event.EXIT):
        state = step(state, event)
    assert state is State.STOPPED


def test_every_state_can_be_reached_and_left():
    reached = {State.DEFINED, *TRANSITIONS.values()}
    left = {state for state, _ in TRANSITIONS}
    assert reached == left == set(State)


@given(st.lists(st.sampled_from(Event)))
def test_any_events_in_any_order_lead_to_a_state_or_are_impossible(events):
    state = State.DEFINED
    for event in events:
        state = step(state, event) or state
    assert state in State


def test_what_may_be_seen_next():
    possible = [
        (State.INITIALIZING, State.RUNNING),
        (State.INITIALIZING, State.DEGRADED),
        (State.INITIALIZING, State.PAUSED),
        (State.INITIALIZING, State.BACKOFF),
        (State.BACKOFF, State.INITIALIZING),
        (State.BACKOFF, State.STOPPING),
        (State.PAUSED, State.DEGRADED),
        (State.STOPPING, State.BACKOFF),
        (State.STOPPING, State.QUARANTINED),
    ]
    assert [pair for pair in possible if not may_follow(*pair)] == []
    impossible = [
        (State.STOPPING, State.RUNNING),
        (State.STOPPING, State.INITIALIZING),
        (State.RUNNING, State.INITIALIZING),
        (State.BACKOFF, State.RUNNING),
        (State.QUARANTINED, State.RUNNING),
    ]
    assert [pair for pair in impossible if may_follow(*pair)] == []


def test_readiness_is_not_reached_without_a_start():
    assert step(State.STOPPED, Event.READY) is None
    assert step(State.QUARANTINED, Event.READY) is None


def test_failure_classes_keep_within_their_codes_and_are_told_apart():
    codes = [failure.code for failure in FailureClass]
    assert len(set(codes)) == len(codes)
    assert all(64 <= code <= 113 for code in codes)
    assert NO_RESTART_CODES == (72, 77, 78, 100)
    assert all(failure.words for failure in FailureClass)
    for hint in (failure.hint("alice") for failure in FailureClass):
        assert hint
        for command in re.findall(r"`toolkit ((?:bot|admin) [^`]*)`", hint):
            assert command.endswith(" alice"), "a command that can be typed"
