"""Ask again where the message bus was lost, as by its restart: systemd itself has to come back to it too."""

import time
from collections.abc import Callable
from typing import TypeVar

from toolkit.backends import NotRunningError, SocketGoneError
from toolkit.backends.systemd.bus import Bus, LostError

# Seconds in which a bus that was there has to be back.
BACK_S = 10.0
_PAUSE_MIN_S, _PAUSE_MAX_S = 0.1, 2.0
_Answer = TypeVar("_Answer")


def patiently(bus: Bus, ask: Callable[[], _Answer], end: float | None = None) -> _Answer:
    """The answer, asked for anew while the bus is away; one that was never there is not waited for.

    Parameters:
        ask: asks by the bus. What was asked may have been done when the bus was lost, which it must not mind.
        end: by the monotonic clock, when to give up; None is soon.

    Raises:
        NotRunningError: the bus did not come back, or was not there.
        SocketGoneError: likewise, and the manager runs.
    """
    end, pause = end or time.monotonic() + BACK_S, _PAUSE_MIN_S
    while True:
        try:
            return ask()
        except NotRunningError as error:
            was_there = bus.was_up or isinstance(error, LostError)
            if not was_there or time.monotonic() + pause >= end:
                if bus.manager_runs():
                    raise SocketGoneError(f"systemd runs, but: {error.message}", error.hint) from None
                raise
        import random  # 10 ms, for what hardly ever happens

        time.sleep(pause * random.uniform(0.5, 1))  # noqa: S311, jitter is no secret
        pause = min(pause * 2, _PAUSE_MAX_S)
