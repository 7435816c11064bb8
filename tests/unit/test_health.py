"""The rule that tells whether a bot is well."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.botfile import Health
from toolkit.health import Level, Sample, Verdict, interval_s, judge, next_look_s

LIMITS = Health(loop_s=90, poll_s=30, handler_s=120, stuck_s=600, start_s=300)
ages = st.none() | st.floats(0, 1e6)
samples = st.builds(
    Sample,
    loop_lag_s=ages,
    beat_age_s=ages,
    poll_overdue_s=st.none() | st.floats(-60, 1e6),
    poller_lives=st.booleans(),
    fetcher_lives=st.booleans(),
    oldest_in_flight_s=ages,
    stalled_s=ages,
    unbegun_s=ages,
    no_descriptor_s=ages,
    starting_s=ages,
)


@pytest.mark.parametrize(
    "sample",
    [
        Sample(),
        Sample(loop_lag_s=-1.5, poll_overdue_s=-24.0),
        Sample(loop_lag_s=30, poll_overdue_s=10, oldest_in_flight_s=120, stalled_s=120),
        Sample(unbegun_s=120),
        # Busy with an upload of a minute, one update at a time.
        Sample(loop_lag_s=0.1, poll_overdue_s=-3, oldest_in_flight_s=61, stalled_s=61),
        # The same by a call that blocks the loop is a trouble, and no hang: see below.
    ],
)
def test_a_bot_that_is_idle_or_busy_is_well(sample):
    assert judge(sample, LIMITS) == Verdict()


@pytest.mark.parametrize(
    ("sample", "level", "words"),
    [
        (Sample(loop_lag_s=30.1), Level.DEGRADED, "loop has been blocked for more than 30 s"),
        (Sample(loop_lag_s=61), Level.DEGRADED, "loop has been blocked for more than 30 s"),
        (Sample(loop_lag_s=90.1), Level.HUNG, "loop has been blocked for more than 90 s"),
        (Sample(beat_age_s=90.1), Level.HUNG, "has not sent WATCHDOG=1 for more than 90 s"),
        (Sample(poll_overdue_s=10.1), Level.DEGRADED, "overdue by more than 10 s"),
        (Sample(poll_overdue_s=30.1), Level.HUNG, "overdue by more than 30 s"),
        (Sample(poller_lives=False), Level.HUNG, "the poller has ended"),
        (Sample(fetcher_lives=False), Level.HUNG, "nothing hands updates to the handlers"),
        (Sample(oldest_in_flight_s=120.1), Level.DEGRADED, "in its handler for more than 120 s"),
        # One of many turns: the others go on.
        (Sample(oldest_in_flight_s=1e6), Level.DEGRADED, "in its handler for more than 120 s"),
        (Sample(oldest_in_flight_s=600.1, stalled_s=600.1), Level.HUNG, "stuck: none began or ended"),
        # All turns are free.
        (Sample(unbegun_s=120.1), Level.DEGRADED, "none has come to a handler for more than 120 s"),
        (Sample(unbegun_s=600.1), Level.HUNG, "none has come to a handler for more than 600 s"),
        # Nothing in a handler, and yet no room for more.
        (Sample(stalled_s=600.1), Level.HUNG, "stuck: none began or ended"),
        (
            Sample(starting_s=100.1, start_step="post_init"),
            Level.DEGRADED,
            "post_init has taken more than 100 s; after 300 s it is ended",
        ),
        (Sample(starting_s=300.1, start_step="post_init"), Level.HUNG, "post_init has taken more than 300 s"),
        (Sample(no_descriptor_s=0.0), Level.DEGRADED, "no file descriptor is left"),
        (Sample(no_descriptor_s=600.1), Level.HUNG, "no file descriptor has been left for more than 600 s"),
    ],
)
def test_each_heartbeat_has_its_limit(sample, level, words):
    verdict = judge(sample, LIMITS)
    assert verdict.level is level
    assert len(verdict.reasons) == 1
    assert words in verdict.reasons[0]


def test_all_troubles_are_told_and_the_worst_counts():
    verdict = judge(Sample(loop_lag_s=40, poll_overdue_s=31, oldest_in_flight_s=200), LIMITS)
    assert verdict.level is Level.HUNG
    assert len(verdict.reasons) == 3


def test_what_a_blocked_loop_makes_late_is_not_told_beside_it():
    verdict = judge(Sample(loop_lag_s=100, poll_overdue_s=100, stalled_s=1000), LIMITS)
    assert verdict.reasons == ("the event loop has been blocked for more than 90 s",)


@given(samples)
def test_a_level_has_reasons_and_reasons_a_level(sample):
    verdict = judge(sample, LIMITS)
    assert bool(verdict.reasons) == (verdict.level is not Level.OK)


@given(
    samples,
    st.sampled_from([field.name for field in fields(Sample) if field.name.endswith("_s")]),
)
def test_what_is_later_is_never_better(sample, name):
    later = {field.name: getattr(sample, field.name) for field in fields(Sample)}
    later[name] = (later[name] or 0.0) + 50
    assert judge(Sample(**later), LIMITS).level >= judge(sample, LIMITS).level


@given(st.floats(0.3, 90), st.floats(0.3, 600))
def test_the_words_of_a_lasting_trouble_do_not_change(age, more):
    limits = Health(loop_s=0.1, poll_s=0.1, handler_s=0.1, stuck_s=0.1)
    first = judge(Sample(poll_overdue_s=age, stalled_s=age), limits)
    assert first == judge(Sample(poll_overdue_s=age + more, stalled_s=age + more), limits)


def test_the_looks_are_frequent_enough_for_the_shortest_limit_and_never_many():
    assert interval_s(LIMITS) == 5.0
    assert interval_s(Health(handler_s=3.0)) == 1.0
    assert interval_s(Health(poll_s=0.01)) == 0.2


@pytest.mark.parametrize("level", [Level.DEGRADED, Level.HUNG])
def test_a_bot_in_trouble_is_looked_at_often(level):
    assert next_look_s(Sample(), Verdict(level), LIMITS) == 0.2


@pytest.mark.parametrize(
    ("sample", "seconds"),
    [
        (Sample(), 5.0),
        (Sample(oldest_in_flight_s=10.0, stalled_s=10.0), 5.0),
        (Sample(oldest_in_flight_s=118.0), 2.0),
        (Sample(stalled_s=599.0), 1.0),
        (Sample(unbegun_s=117.0), 3.0),
        (Sample(oldest_in_flight_s=119.9), 0.2),
    ],
)
def test_an_update_is_looked_at_when_it_reaches_its_limit(sample, seconds):
    assert next_look_s(sample, Verdict(), LIMITS) == pytest.approx(seconds)
