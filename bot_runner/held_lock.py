"""Ends a bot whose code takes the interpreter's lock and does not give it back, as a regular expression can.

No thread of Python's runs then, so nothing else here sees it. The kernel does: a timer of processor time, put
off at each look, whose signal faulthandler answers without the lock: the stacks go into a file, and then the
signal ends the process. A process that is stopped, or whose machine sleeps, uses no processor time, and is
not ended. Nor is one that waits with the lock held, and uses none either: systemd's watchdog knows of that.
"""

import faulthandler
import os
import signal
from contextlib import suppress
from pathlib import Path

from toolkit.errors import OddFileError
from toolkit.regular_files import open_regular

_MOST_BYTES = 65536
_PATIENCE = 3
_SIGNAL, _TIMER = signal.SIGVTALRM, signal.ITIMER_VIRTUAL
REASON = "its code held the interpreter's lock: no other thread could run"


class HeldLock:
    """The timer of one run.

    Parameters:
        path: the file for the stacks; it stays open.

    Attributes:
        stacks: what the timer of the run before told at its end; "" where it did not end by it.
    """

    def __init__(self, path: Path) -> None:
        self.stacks = ""
        self._file: int | None = None
        self._processors = len(os.sched_getaffinity(0))
        with suppress(OSError, OddFileError):
            self._file = open_regular(path, os.O_RDWR | os.O_CREAT)
            self.stacks = os.read(self._file, _MOST_BYTES).decode("utf-8", "replace")
            os.ftruncate(self._file, 0)
            os.lseek(self._file, 0, os.SEEK_SET)

    def watch(self) -> None:
        """Have the signal write the stacks before it ends the process; to be called before ``put_off``."""
        if self._file is not None:
            faulthandler.register(_SIGNAL, self._file, all_threads=True, chain=True)

    def put_off(self, seconds: float, interval_s: float) -> None:
        """End the process if this is not called again before it has used some seconds of processor time.

        An app that uses the signal or the timer itself has it for itself.

        Parameters:
            seconds: that it may use at least.
            interval_s: seconds from one call to the next, if all is well.
        """
        # With the lock free, threads on all processors use so much between a few calls.
        seconds = max(seconds, _PATIENCE * interval_s * self._processors)
        if signal.getsignal(_SIGNAL) is signal.SIG_DFL and not signal.getitimer(_TIMER)[1]:
            signal.setitimer(_TIMER, seconds)
