"""Start and stop units: subscribed before anything is asked, each job followed by its own path.

A job that is done says only that systemd has done its part: whether a bot works, the bot itself tells.
"""

import time
from collections.abc import Callable, Mapping, Sequence

from toolkit.backends.systemd.bus import BUS, Bus, Call, FaultError, LostError
from toolkit.backends.systemd.manager import MANAGER, NO_SUCH_UNIT, PATH, Listed, list_call, listed
from toolkit.backends.systemd.patience import patiently

_MATCH = (
    f"type='signal',sender='org.freedesktop.systemd1',path='{PATH}',interface='{MANAGER}',member='JobRemoved'"
)
# Signals can be lost: it is looked anew that often.
_LOOK_MIN_S, _LOOK_MAX_S = 0.05, 2.0


class Jobs:
    """Jobs of one kind on their way.

    Parameters:
        bus: the manager's.
        methods: the method for each unit: StartUnit, StopUnit or RestartUnit. They are asked again after
            the bus was lost, which none of them minds.
        modes: the mode of a unit's job where it is not ``replace``.
    """

    def __init__(self, bus: Bus, methods: Mapping[str, str], modes: Mapping[str, str] | None = None) -> None:
        self.bus = bus
        self._methods, self._modes = methods, modes or {}
        self._open: dict[str, str] = {}  # the path of each unit's job
        self.faults: dict[str, FaultError] = {}
        self.results: dict[str, str] = {}
        patiently(bus, lambda: self._begin(list(methods)))

    @property
    def open(self) -> list[str]:
        """The units whose jobs have not ended."""
        return list(self._open)

    def wait(self, deadline_s: float, enough: Callable[[Listed | None], bool] | None = None) -> bool:
        """Wait until all jobs have ended, or are far enough.

        Parameters:
            deadline_s: seconds.
            enough: whether a unit need not be waited for any longer; it gets None where none is loaded.

        Returns:
            Whether that was in time.
        """
        end, pause = time.monotonic() + deadline_s, _LOOK_MIN_S
        if enough:
            self._look(enough, end)
        while self._open:
            now = time.monotonic()
            if now >= end:
                return False
            try:
                if not self.bus.wait_signal(min(end, now + pause)):
                    self._look(enough or (lambda _: False), end)
                    pause = min(pause * 2, _LOOK_MAX_S)
            except LostError:
                self._again(end)
            self._take_signals()
        return True

    def _begin(self, units: Sequence[str]) -> None:
        """Subscribe, then ask: a job may end before its answer is read."""
        calls = [
            Call(PATH, MANAGER, self._methods[unit], "ss", (unit, self._modes.get(unit, "replace")))
            for unit in units
        ]
        subscribe(self.bus)
        for unit, answer in zip(units, self.bus.many(calls), strict=True):
            if isinstance(answer, FaultError):
                self._open.pop(unit, None)
                if answer.name == NO_SUCH_UNIT and self._methods[unit] == "StopUnit":
                    self.results[unit] = "done"
                else:
                    self.faults[unit] = answer
            elif isinstance(answer, Exception):
                raise answer
            else:
                self._open[unit] = answer[0]
        self._take_signals()

    def _take_signals(self) -> None:
        """JobRemoved carries the job's number, its path, its unit, and how it ended."""
        signals = self.bus.signals
        while signals:
            signal = signals.popleft()
            if signal.member == "JobRemoved":
                _, path, unit, result = signal.body
                if self._open.get(unit) == path:
                    del self._open[unit]
                    self.results[unit] = result

    def _look(self, enough: Callable[[Listed | None], bool], end: float) -> None:
        """See for ourselves: a unit that has no job, or another's, is not waited for."""
        try:
            rows = {row.name: row for row in listed(self.bus.call(list_call(self.open)))}
        except LostError:
            self._again(end)
            return
        self._take_signals()
        for unit, path in list(self._open.items()):
            row = rows.get(unit)
            is_enough = enough(row)
            if is_enough or row is None or row.job_path != path:
                del self._open[unit]
                self.results.setdefault(unit, "enough" if is_enough else "")

    def _again(self, end: float) -> None:
        """The bus was lost: connect anew and ask again for what is open."""
        patiently(self.bus, lambda: self._begin(self.open), end)


def subscribe(bus: Bus) -> None:
    """Have the manager send signals, and the bus pass on those of ended jobs; once a connection."""
    if bus.subscribed:
        return
    bus.call(Call("/org/freedesktop/DBus", BUS, "AddMatch", "s", (_MATCH,), destination=BUS))
    try:
        bus.call(Call(PATH, MANAGER, "Subscribe"))
    except FaultError as fault:
        if fault.name != "org.freedesktop.systemd1.AlreadySubscribed":
            raise
    bus.subscribed = True
