"""What is known of the running bot: written by its loop, read by the control socket's thread."""

import time
from collections.abc import Callable

from toolkit.lifecycle import State

# More often would cost an idle bot more processor time than its polls do.
TICK_S = 2.0


class Vitals:
    """State, reasons and figures. Each field is written whole, so that another thread reads it safely.

    Parameters:
        changed: called after each change of state or reasons, in the thread that made it.
    """

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        self._changed = changed
        self._phase = State.INITIALIZING
        self._reason = "starting"
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
        self._lag = 0.0

    @property
    def state(self) -> State:
        """Where the bot is in its life; DEGRADED is running with a trouble."""
        if self._phase is State.RUNNING and self._troubles:
            return State.DEGRADED
        return self._phase

    @property
    def reasons(self) -> list[str]:
        """Why it is not simply running; one line each."""
        reasons = [self._reason] if self._reason else []
        return reasons + list(self._troubles.values())

    def _enter(self, phase: State, reason: str) -> None:
        if (phase, reason) != (self._phase, self._reason):
            self._phase, self._reason = phase, reason
            self._changed()

    def waits(self, reason: str) -> None:
        """It is not ready yet, and this is what it waits for."""
        self._enter(State.INITIALIZING, reason)

    def is_ready(self) -> None:
        """It works: the first time, or again after a pause. What ends does not begin anew by that."""
        if self._phase not in {State.INITIALIZING, State.PAUSED}:
            return
        self.ready = True
        self._enter(State.RUNNING, "")

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
        if self._troubles.get(source) != reason:
            self._troubles = {**self._troubles, source: reason}
            self._changed()

    def well(self, source: str) -> None:
        """That source's trouble is over."""
        if source in self._troubles:
            self._troubles = {key: text for key, text in self._troubles.items() if key != source}
            self._changed()

    def says(self, text: str) -> None:
        """The bot's own words on how it is; what it waits for, while it is not ready."""
        self.said = text
        if self._phase is State.INITIALIZING:
            self.waits(text)
        else:
            self._changed()

    def polled(self) -> None:
        """A getUpdates was answered."""
        self.last_poll = time.monotonic()

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
