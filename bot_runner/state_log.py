"""The bot's state in its log: each change at once, a flapping one seldom, a lasting trouble now and then."""

import logging
import threading
import time
from collections.abc import Callable

# The same words are not written again before that, unless they stay true.
SELDOM_S = 60.0
SETTLED_S = 5.0
REMINDER_S = 600.0
_MOST_TEXTS = 64


class StateLog:
    """Writes what is told, so that the log neither is silent nor floods.

    Parameters:
        write: takes a level of ``logging`` and a line.
        clock: monotonic seconds.
    """

    def __init__(
        self, write: Callable[[int, str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write, self._clock = write, clock
        self._lock = threading.Lock()
        self._level, self._text, self._since = logging.INFO, "", 0.0
        self._written = ""
        self._at: dict[str, float] = {}

    def changed(self, level: int, text: str) -> None:
        """The state or its reasons are these from now on."""
        with self._lock:
            now = self._clock()
            self._level, self._text, self._since = level, text, now
            if now - self._at.get(text, float("-inf")) >= SELDOM_S:
                self._put(text, now)

    def look(self) -> None:
        """To be called every few seconds: writes what was held back and stays true, and what still lasts."""
        with self._lock:
            now = self._clock()
            if self._text != self._written:
                if now - self._since >= SETTLED_S:
                    self._put(self._text, now)
            elif self._level > logging.INFO and now - self._at[self._text] >= REMINDER_S:
                self._put(f"still {self._text}", now)

    def _put(self, line: str, now: float) -> None:
        self._at.pop(self._text, None)
        self._at[self._text] = now
        while len(self._at) > _MOST_TEXTS:
            del self._at[next(iter(self._at))]
        self._written = self._text
        self._write(self._level, line)
