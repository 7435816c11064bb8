"""What is known of the running bot: written by its loop, read by the control socket's thread."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from toolkit.clock import now
from toolkit.health import Sample, Verdict
from toolkit.lifecycle import State, may_follow

# More often would cost an idle bot more processor time than its polls do.
TICK_S = 2.0
_HISTORY = 32


class Transition(NamedTuple):
    """A change of state; an impossible one is a fault of the runner, and kept like any other."""

    at: str
    earlier: State
    later: State
    possible: bool


class Vitals:
    """State, reasons and figures. Each field is written whole, so that another thread reads it safely.

    Parameters:
        changed: called after each change of state or reasons, in the thread that made it.

    Attributes:
        phase: the state without regard to troubles.
        poller: the task that polls, where one is to.
        fetcher: the task that hands updates to the handlers, where one is to.
        full: whether the poller waits for room.
        verdict: the judge's last word.
        transitions: the last changes of state, the latest last.
        impossible: how many of all changes cannot be.
    """

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        self._changed = changed
        self._lock = threading.RLock()
        self.phase = State.INITIALIZING
        self._reason = "starting"
        self._known = self.phase
        self.transitions: deque[Transition] = deque(maxlen=_HISTORY)
        self.impossible = 0
        self._troubles: dict[str, str] = {}
        self.started = time.monotonic()
        self.ready = False
        self.username: str | None = None
        self.said = ""
        self.updates_handled = 0
        self.errors = 0
        self.in_flight: dict[int, float] = {}
        self.last_poll: float | None = None
        self.last_tick: float | None = None
        self.last_beat: float | None = None
        self.poller: asyncio.Task[Any] | None = None
        self.fetcher: asyncio.Task[Any] | None = None
        self.full = False
        self.verdict = Verdict()
        self._poll_due: float | None = None
        self._turns, self._held = (0, 1), 0
        self._moved = self._awake = self.started
        self._lag = 0.0
        self._no_descriptor: float | None = None
        self._step: tuple[str, float] | None = None

    @property
    def state(self) -> State:
        """Where the bot is in its life; DEGRADED is running with a trouble."""
        if self.phase is State.RUNNING and self._troubles:
            return State.DEGRADED
        return self.phase

    @property
    def reasons(self) -> list[str]:
        """Why it is not simply running; one line each."""
        reasons = [self._reason] if self._reason else []
        return reasons + list(self._troubles.values())

    def _tell(self) -> None:
        """Record the change of state, if it is one, and tell of it; with the lock held."""
        later = self.state
        if later is not self._known:
            possible = may_follow(self._known, later)
            self.impossible += not possible
            self.transitions.append(Transition(now(), self._known, later, possible))
            self._known = later
        self._changed()

    def _enter(self, phase: State, reason: str) -> None:
        with self._lock:
            if (phase, reason) != (self.phase, self._reason):
                self.phase, self._reason = phase, reason
                self._tell()

    def waits(self, reason: str) -> None:
        """It is not ready yet, and this is what it waits for."""
        self._enter(State.INITIALIZING, reason)

    @contextmanager
    def app_works(self, step: str) -> Iterator[None]:
        """It is not ready yet, and the app's own code is at this step, for which it has its time."""
        self.waits(step)
        self._step = step, time.monotonic()
        try:
            yield
        finally:
            self._step = None

    @property
    def starts(self) -> bool:
        """Whether the app's own code is at a step of the start."""
        return self._step is not None

    def is_ready(self) -> None:
        """It works: the first time, or again after a pause. What ends does not begin anew by that."""
        with self._lock:
            if self.phase in {State.INITIALIZING, State.PAUSED}:
                self.ready = True
                self._enter(State.RUNNING, "")

    def pauses(self, reason: str) -> None:
        """It takes no updates until it is ready again. What ends does not pause."""
        with self._lock:
            if self.phase in {State.RUNNING, State.PAUSED}:
                self.ready = False
                self._enter(State.PAUSED, reason)

    def stops(self, reason: str) -> None:
        """It drains and ends."""
        self.ready = False
        self._enter(State.STOPPING, reason)

    def is_down(self, state: State, reason: str) -> None:
        """It does not run: BACKOFF before the next try, or QUARANTINED."""
        self.ready = False
        self._enter(state, reason)

    def trouble(self, source: str, reason: str) -> None:
        """Something is wrong while it runs.

        Parameters:
            source: who says so; one source has one trouble.
            reason: one line for people.
        """
        with self._lock:
            if self._troubles.get(source) != reason:
                self._troubles = {**self._troubles, source: reason}
                self._tell()

    def well(self, source: str) -> None:
        """That source's trouble is over."""
        with self._lock:
            if source in self._troubles:
                self._troubles = {key: text for key, text in self._troubles.items() if key != source}
                self._tell()

    def says(self, text: str) -> None:
        """The bot's own words on how it is; what it waits for, while it is not ready."""
        self.said = text
        if self.phase is State.INITIALIZING:
            self.waits(text)
        else:
            with self._lock:
                self._changed()

    def polled(self) -> None:
        """A getUpdates was answered."""
        self.last_poll = time.monotonic()

    def polls_for(self, seconds: float | None) -> None:
        """The poller may be silent for so long from now: a poll, or a pause; None where it is not to poll."""
        self._poll_due = None if seconds is None else time.monotonic() + seconds

    def moved(self, taken: int, turns: int) -> None:
        """An update has begun or ended.

        Parameters:
            taken: how many turns are taken now.
            turns: how many there are.
        """
        self._turns, self._moved = (taken, turns), time.monotonic()

    def holds(self, updates: int) -> None:
        """So many updates are taken in and not done with; the first of them begins to wait now."""
        if not self._held:
            self._moved = time.monotonic()
        self._held = updates

    def has_descriptor(self, has: bool) -> None:
        """Whether a file could be opened just now, so far as file descriptors matter."""
        if has:
            self._no_descriptor = None
        elif self._no_descriptor is None:
            self._no_descriptor = time.monotonic()

    def woke(self) -> None:
        """The process stood still until now, as by SIGSTOP: that time counts against nothing."""
        self._awake = time.monotonic()

    def ticked(self, lag_s: float) -> None:
        """The bot's loop turned, this much later than it should have."""
        self.last_tick, self._lag = time.monotonic(), lag_s

    @property
    def uptime_s(self) -> float:
        """Seconds since the runner began."""
        return time.monotonic() - self.started

    @property
    def poll_age_s(self) -> float | None:
        """Seconds since the last answered getUpdates; None before the first."""
        return None if self.last_poll is None else time.monotonic() - self.last_poll

    @property
    def loop_lag_s(self) -> float | None:
        """How late the bot's loop is, also while it hangs; None where there is no loop to watch."""
        if self.last_tick is None:
            return None
        return max(self._lag, time.monotonic() - self.last_tick - TICK_S, 0.0)

    @property
    def oldest_in_flight_s(self) -> float | None:
        """How long the oldest update has been in its handler; None where none is."""
        began = list(self.in_flight.values())
        return time.monotonic() - min(began) if began else None

    def sample(self) -> Sample:
        """The bot now, as the judge looks at it."""

        def since(moment: float | None) -> float | None:
            return None if moment is None else time.monotonic() - max(moment, self._awake)

        if step := self._step:
            # Until it is done the loop may turn or not, and nothing is polled.
            return Sample(start_step=step[0], starting_s=since(step[1]))
        began, polls = list(self.in_flight.values()), self.phase is State.RUNNING
        runs = polls or self.phase is State.PAUSED
        lag = since(self.last_tick)
        taken, turns = self._turns
        return Sample(
            loop_lag_s=None if lag is None else lag - TICK_S,
            beat_age_s=since(self.last_beat),
            poll_overdue_s=since(self._poll_due) if polls else None,
            poller_lives=not (polls and self.poller is not None and self.poller.done()),
            fetcher_lives=not (runs and self.fetcher is not None and self.fetcher.done()),
            oldest_in_flight_s=since(min(began)) if began else None,
            stalled_s=since(self._moved) if self.full or taken >= turns else None,
            unbegun_s=since(self._moved) if self._held and not began else None,
            no_descriptor_s=since(self._no_descriptor),
        )
