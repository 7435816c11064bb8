"""What is known of a bot now → whether it is well, and why not. Pure.

Three heartbeats, since each fault hides from the others: the event loop, the poller, the updates that are
being handled. An idle bot is well. So is one whose polls fail and go on: what is wrong then is the Bot API,
and ending the bot would not mend it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from toolkit.botfile import Health

# What is on its way to its limit is told from this part of it on.
_EARLY = 1 / 3
# For a verdict, and for what has no time of its own at the end.
_START_MARGIN_S = 30.0
_TROUBLED_S = 0.2
_UNBEGUN = "updates wait, and none has come to a handler"


class Level(IntEnum):
    """How bad it is."""

    OK = 0
    DEGRADED = 1
    HUNG = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A bot at one moment; None where there is nothing to look at.

    Parameters:
        loop_lag_s: seconds that the event loop is late.
        beat_age_s: seconds since a program's last WATCHDOG=1; None as long as it never sent one.
        poll_overdue_s: seconds since the poller should have shown a sign of life, counted from the moment
            until which its present poll or pause may take; None where it is not to poll.
        poller_lives: False where the polling task has ended though the bot is to run.
        fetcher_lives: False where the task that hands updates to the handlers has ended though the bot is to
            run.
        oldest_in_flight_s: seconds that the oldest update has been in its handler.
        stalled_s: seconds for which no update has begun or ended while none could begin: each turn was
            taken, or there was no room for more.
        unbegun_s: seconds for which updates that were taken in have waited, with none in a handler.
        no_descriptor_s: seconds for which no file descriptor has been left; None where one is.
        starting_s: seconds for which the app's own code has been at a step of its start.
        start_step: that step, in words.
    """

    loop_lag_s: float | None = None
    beat_age_s: float | None = None
    poll_overdue_s: float | None = None
    poller_lives: bool = True
    fetcher_lives: bool = True
    oldest_in_flight_s: float | None = None
    stalled_s: float | None = None
    unbegun_s: float | None = None
    no_descriptor_s: float | None = None
    starting_s: float | None = None
    start_step: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a bot is.

    Parameters:
        level: the worst of what was found.
        reasons: one line each. They name limits, not ages: the same trouble is told in the same words.
    """

    level: Level = Level.OK
    reasons: tuple[str, ...] = ()


def judge(sample: Sample, limits: Health) -> Verdict:
    """How a bot is.

    Parameters:
        sample: the bot now.
        limits: the bot's own, from its bot file.
    """
    found = list(_findings(sample, limits))
    return Verdict(max((level for level, _ in found), default=Level.OK), tuple(reason for _, reason in found))


def _findings(sample: Sample, limits: Health) -> Iterator[tuple[Level, str]]:
    lag = sample.loop_lag_s or 0.0
    if lag > limits.loop_s:
        # Whatever else is late is late because of this.
        yield Level.HUNG, f"the event loop has been blocked for more than {limits.loop_s:g} s"
        return
    if lag > limits.loop_s * _EARLY:
        yield Level.DEGRADED, f"the event loop has been blocked for more than {limits.loop_s * _EARLY:g} s"
    if (sample.beat_age_s or 0.0) > limits.loop_s:
        yield Level.HUNG, f"the program has not sent WATCHDOG=1 for more than {limits.loop_s:g} s"
    yield from _poller(sample, limits)
    yield from _handlers(sample, limits)
    yield from _descriptors(sample, limits)
    yield from _start(sample, limits)


def _poller(sample: Sample, limits: Health) -> Iterator[tuple[Level, str]]:
    overdue = sample.poll_overdue_s or 0.0
    if not sample.poller_lives:
        yield Level.HUNG, "the poller has ended"
    elif overdue > limits.poll_s:
        yield Level.HUNG, f"the poll is overdue by more than {limits.poll_s:g} s"
    elif overdue > limits.poll_s * _EARLY:
        yield Level.DEGRADED, f"the poll is overdue by more than {limits.poll_s * _EARLY:g} s"


def _handlers(sample: Sample, limits: Health) -> Iterator[tuple[Level, str]]:
    if not sample.fetcher_lives:
        yield Level.HUNG, "nothing hands updates to the handlers: the task that did has ended"
    elif has_stalled(sample, limits):
        yield Level.HUNG, f"the handlers are stuck: none began or ended for more than {limits.stuck_s:g} s"
    elif (sample.unbegun_s or 0.0) > limits.stuck_s:
        yield Level.HUNG, f"{_UNBEGUN} for more than {limits.stuck_s:g} s"
    elif (sample.unbegun_s or 0.0) > limits.handler_s:
        yield Level.DEGRADED, f"{_UNBEGUN} for more than {limits.handler_s:g} s"
    elif (sample.oldest_in_flight_s or 0.0) > limits.handler_s:
        yield Level.DEGRADED, f"an update has been in its handler for more than {limits.handler_s:g} s"


def _descriptors(sample: Sample, limits: Health) -> Iterator[tuple[Level, str]]:
    if sample.no_descriptor_s is None:
        return
    if sample.no_descriptor_s > limits.stuck_s:
        yield Level.HUNG, f"no file descriptor has been left for more than {limits.stuck_s:g} s"
    else:
        cause = "the app closes less than it opens, or needs more than `limits: open_files` allows"
        yield Level.DEGRADED, f"no file descriptor is left: {cause}"


def _start(sample: Sample, limits: Health) -> Iterator[tuple[Level, str]]:
    taken = sample.starting_s or 0.0
    if taken > limits.start_s:
        yield Level.HUNG, f"{sample.start_step} has taken more than {limits.start_s:g} s"
    elif taken > limits.start_s * _EARLY:
        told = f"{sample.start_step} has taken more than {limits.start_s * _EARLY:g} s"
        yield Level.DEGRADED, f"{told}; after {limits.start_s:g} s it is ended"


def start_timeout_s(limits: Health, stop_s: float) -> float:
    """Seconds after which a start has failed for the supervisor: the bot itself has found that out before.

    Parameters:
        stop_s: what the bot has to end.
    """
    return limits.start_s + stop_s + _START_MARGIN_S


def has_stalled(sample: Sample, limits: Health) -> bool:
    """Whether the handlers have stood still for so long that none of them will end."""
    return (sample.stalled_s or 0.0) > limits.stuck_s


def next_look_s(sample: Sample, verdict: Verdict, limits: Health) -> float:
    """Seconds to the next look: soon where something is wrong, and when a limit may be reached.

    Parameters:
        sample, verdict: of the last look.
    """
    if verdict.level is not Level.OK:
        return _TROUBLED_S
    ages = (
        (sample.beat_age_s, limits.loop_s),
        (sample.oldest_in_flight_s, limits.handler_s),
        (sample.stalled_s, limits.stuck_s),
        (sample.unbegun_s, min(limits.handler_s, limits.stuck_s)),
    )
    left = (limit - age for age, limit in ages if age is not None)
    return max(_TROUBLED_S, min((interval_s(limits), *left)))


def interval_s(limits: Health) -> float:
    """Seconds from one look to the next at most: cheap for a bot that is well."""
    shortest = min(limits.loop_s, limits.poll_s, limits.handler_s, limits.stuck_s, limits.start_s)
    return min(5.0, max(_TROUBLED_S, shortest / 3))
