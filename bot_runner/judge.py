"""Looks at the bot from the side loop, also while the bot's own loop hangs, and condemns one that is deaf."""

import asyncio
import errno
import os
import time
from collections.abc import Callable

from bot_runner.vitals import Vitals
from toolkit import health
from toolkit.botfile import Health
from toolkit.health import Level, Sample, Verdict
from toolkit.lifecycle import State

# So many verdicts in a row; one alone may be the moment before the bot recovers.
PATIENCE = 3
SOURCE = "health"
# An unready bot may wait for the Bot API for long, and one that ends has its deadline.
_JUDGED = frozenset({State.RUNNING, State.DEGRADED, State.PAUSED})


class Judge:
    """Judges one run.

    Parameters:
        vitals: are looked at, and take the verdict.
        limits: the bot's own.
        condemn: called once, in the side loop, with the last of too many verdicts in a row that it hangs.
        put_off: called with the seconds within which the next look is to come at the latest, and when it
            will come.
    """

    def __init__(
        self,
        vitals: Vitals,
        limits: Health,
        condemn: Callable[[Verdict], None],
        put_off: Callable[[float, float], None],
    ) -> None:
        self._vitals, self._limits, self._condemn = vitals, limits, condemn
        self._put_off = put_off
        self._hung = 0
        self._pause_s = 0.0
        self.interval_s = health.interval_s(limits)

    async def watch(self) -> None:
        """Look again and again, until the bot is condemned."""
        slack = max(1.0, self.interval_s)
        self.look()
        while self._hung < PATIENCE:
            before, pause = time.monotonic(), self._pause_s
            await asyncio.sleep(pause)
            if time.monotonic() - before > pause + slack:
                # This thread stood still too: the process was stopped, or the machine has no time for it.
                self._vitals.woke()
            self.look()

    def look(self) -> None:
        """Look once."""
        vitals, limits = self._vitals, self._limits
        runs = vitals.state in _JUDGED
        judged = runs or vitals.starts
        self._put_off(limits.loop_s if runs else max(limits.loop_s, limits.start_s), self.interval_s)
        vitals.has_descriptor(_can_open())
        sample = vitals.sample() if judged else Sample()
        verdict = vitals.verdict = health.judge(sample, limits)
        self._pause_s = health.next_look_s(sample, verdict, limits)
        if verdict.reasons:
            vitals.trouble(SOURCE, "; ".join(verdict.reasons))
        else:
            vitals.well(SOURCE)
        self._hung = self._hung + 1 if verdict.level is Level.HUNG else 0
        if self._hung == PATIENCE:
            self._condemn(verdict)


def _can_open() -> bool:
    """Whether this process has a file descriptor left."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return error.errno != errno.EMFILE
    return True
