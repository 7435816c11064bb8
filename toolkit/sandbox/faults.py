"""Faults on demand: what the server does wrong, for which bot and method, and for how long."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from toolkit.sandbox.replies import ApiError, phrase
from toolkit.sandbox.shapes import FaultRecord

ANY = "*"
MAX_FAULTS = 1000
KINDS = ("hang", "drop", "lost", "garbage", "delay", "tls")
"""Beside these, any HTTP status from 400 to 599.

``hang``: no answer until the client leaves, the fault ends or is healed; then the connection is closed.
``drop``: the connection is closed without an answer. ``lost``: the call is done, then the same.
``garbage``: 200 with something that is no JSON. ``delay``: the right answer, late.
``tls``: the server speaks plain text where TLS was spoken, and a TLS alert where it was not.
"""
WORDS = f"{', '.join(KINDS)} or an HTTP status from 400 to 599"

_DESCRIPTIONS = {
    401: "Unauthorized",
    403: "Forbidden: bot was blocked by the user",
    404: "Not Found",
    409: "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
    429: "Too Many Requests: retry after {retry_after}",
}


@dataclass(slots=True, eq=False)
class Fault:
    """One fault.

    Parameters:
        bot_id: the bot that meets it, or ``*``.
        method: the method in lower case, or ``*``.
        kind: one of KINDS or an HTTP status.
        retry_after: seconds that a 429 asks for.
        description: what an HTTP status says instead of Telegram's own words.
        delay_s: seconds before it strikes.
        left: how many calls it still strikes; None for all.
        until: when it ends, on the monotonic clock; None for never.
        id: given by the server.
        hits: how many calls it struck.
        holding: how many calls hang on it now.
        ended: set when it is healed.
    """

    bot_id: str
    method: str
    kind: str
    retry_after: int = 0
    description: str = ""
    delay_s: float = 0.0
    left: int | None = None
    until: float | None = None
    id: int = 0
    hits: int = 0
    holding: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def status(self) -> int:
        """The HTTP status, or 0 for a fault that is none."""
        return int(self.kind) if self.kind.isdecimal() else 0

    @property
    def words(self) -> str:
        """What the error says."""
        own = _DESCRIPTIONS.get(self.status, phrase(self.status))
        return self.description or own.format(retry_after=self.retry_after)

    def seconds_left(self, now: float) -> float | None:
        """How long it goes on."""
        return None if self.until is None else max(0.0, self.until - now)

    def record(self, now: float) -> FaultRecord:
        """The fault as the control API tells it."""
        return FaultRecord(
            id=self.id,
            bot_id=self.bot_id,
            method=self.method,
            kind=self.kind,
            delay_s=self.delay_s,
            left=self.left,
            seconds=self.seconds_left(now),
            hits=self.hits,
        )


def valid_kind(kind: str) -> bool:
    """Whether there is such a fault."""
    return kind in KINDS or (len(kind) == 3 and kind.isascii() and kind.isdecimal() and kind[0] in "45")  # noqa: PLR2004 a status


class Faults:
    """All faults in force; of several that fit, the one that was set last strikes.

    Parameters:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._faults: list[Fault] = []
        self._last_id = 0

    def add(self, fault: Fault) -> int:
        """Put a fault in force; its id.

        Raises:
            ApiError: 429, there are MAX_FAULTS.
        """
        if len(self._faults) >= MAX_FAULTS and len(self.in_force()) >= MAX_FAULTS:
            raise ApiError(429, f"Too Many Requests: there are {MAX_FAULTS} faults", 1)
        self._last_id += 1
        fault.id = self._last_id
        held = [each for each in self._faults if each.holding or self._strikes(each)]
        self._faults = [*held, fault]
        return fault.id

    def in_force(self) -> list[Fault]:
        """The faults that can still strike."""
        return [fault for fault in self._faults if self._strikes(fault)]

    def take(self, bot_id: str, method: str) -> Fault | None:
        """The fault that strikes this call, if any; it is counted."""
        for fault in reversed(self._faults):
            if fault.bot_id in (bot_id, ANY) and fault.method in (method, ANY) and self._strikes(fault):
                fault.hits += 1
                if fault.left is not None:
                    fault.left -= 1
                return fault
        return None

    def heal(self, bot_id: str = ANY, method: str = ANY) -> int:
        """End the faults of a bot and method, or all; how many were in force.

        Calls that hang on them are let go. A fault that was set for every bot or method is ended only
        by ``*``.
        """
        healed = [f for f in self._faults if bot_id in (f.bot_id, ANY) and method in (f.method, ANY)]
        for fault in healed:
            fault.ended.set()
        self._faults = [fault for fault in self._faults if fault not in healed]
        return sum(self._strikes(fault) for fault in healed)

    def _strikes(self, fault: Fault) -> bool:
        return fault.left != 0 and (fault.until is None or self._clock() < fault.until)
