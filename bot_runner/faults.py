"""What can be wrong with the Bot API, told apart by the library's errors, and how long to wait then."""

import random
from dataclasses import dataclass
from enum import Enum

from httpx import PoolTimeout
from telegram.error import Conflict, InvalidToken, NetworkError, RetryAfter, TelegramError, TimedOut

from bot_runner.pacing import growing, jittered
from bot_runner.redaction import Redactor

_GROWTH = 1.5
LONGEST_FLOOD_S = 300.0
SHUT_DOWN = "the app shut its own bot down"


class Misrouted(InvalidToken):
    """404: python-telegram-bot takes it for a refused token, but it is what a misrouted proxy answers."""


@dataclass(frozen=True, slots=True)
class _Kind:
    words: str  # {api} is the server
    first_s: float
    longest_s: float


class Fault(Enum):
    """A class of faults. The caps are such that the first answer comes within 1 s of the server's return.

    A try that gets no answer takes seconds itself, in which the kernel asks again each second where packets
    are lost (tcp_syn_linear_timeouts of ip-sysctl, from Linux 6.5 on): only the pause behind it adds to that.
    """

    NETWORK = _Kind("{api} cannot be reached", 0.1, 0.7)
    OCCUPIED = _Kind("no connection to {api} gets free", 0.1, 0.7)
    TIMEOUT = _Kind("{api} does not answer", 0.1, 0.2)
    SERVER = _Kind("{api} is in trouble", 0.2, 0.7)
    GARBAGE = _Kind("the answer of {api} makes no sense", 0.2, 0.7)
    MISROUTED = _Kind("misrouted, 404: check `endpoint` and the proxy before it", 0.2, 0.7)
    HASTY = _Kind("{api} answers at once and has nothing new, though it is asked to wait", 0.05, 0.5)
    FLOOD = _Kind("{api} asks for less", 1.0, LONGEST_FLOOD_S)
    CONFLICT = _Kind("conflict, 409", 0.7, 15.0)
    REFUSED = _Kind("token refused, 401", 0.0, 0.0)


def _is_misrouted(error: BaseException | None) -> bool:
    """404, also where the app brought its own request: then only the text tells."""
    while error is not None:
        if isinstance(error, Misrouted) or (isinstance(error, InvalidToken) and "Not Found" in str(error)):
            return True
        error = error.__cause__
    return False


def classify(error: Exception) -> Fault:
    """The class of what one of the runner's calls raised; the unknown came of an answer without sense."""
    if isinstance(error, InvalidToken):
        return Fault.MISROUTED if _is_misrouted(error) else Fault.REFUSED
    timed_out = Fault.OCCUPIED if isinstance(error.__cause__, PoolTimeout) else Fault.TIMEOUT
    for kind, fault in ((Conflict, Fault.CONFLICT), (RetryAfter, Fault.FLOOD), (TimedOut, timed_out)):
        if isinstance(error, kind):
            return fault
    if isinstance(error, NetworkError):
        text = str(error)
        return Fault.NETWORK if text.startswith(("httpx.", "Unknown error in HTTP")) else Fault.SERVER
    if isinstance(error, TimeoutError):
        return Fault.TIMEOUT
    if isinstance(error, TelegramError):
        return Fault.GARBAGE if "Invalid server response" in str(error) else Fault.SERVER
    return Fault.GARBAGE


def is_shut_down(error: Exception) -> bool:
    """Whether the app called ``bot.shutdown()``: python-telegram-bot tells that as a fault of the network."""
    return isinstance(error.__cause__, RuntimeError) and "is not initialized" in str(error.__cause__)


class Words:
    """What is told of faults: the call, what is wrong, and with which server.

    Parameters:
        endpoint: the Bot API server; its host and port are named.
        redact: takes secrets out of what is told.
    """

    def __init__(self, endpoint: str, redact: Redactor) -> None:
        self._api = f"the Bot API at {endpoint.partition('//')[2]}"
        self._redact = redact

    def __call__(self, call: str, fault: Fault, why: object = "") -> str:
        """One line.

        Parameters:
            call: the method.
            why: what more is known, such as the error.
        """
        what = fault.value.words.format(api=self._api)
        return self._redact.line(f"{call}: {what}" + (f" ({why})" if why else ""))


class Tries:
    """Counts failures in a row and says how long to wait before the next try."""

    def __init__(self) -> None:
        self.failed = 0
        self._fault: Fault | None = None

    def succeeded(self) -> None:
        """The next failure is the first again."""
        self.failed, self._fault = 0, None

    def pause_s(self, error: Exception | None, fault: Fault) -> float:
        """Seconds to wait after one more failure; a fault of another class starts anew."""
        self.failed = self.failed + 1 if fault is self._fault else 1
        self._fault = fault
        kind = fault.value
        if isinstance(error, RetryAfter):
            asked = error.retry_after
            seconds = asked if isinstance(asked, int | float) else asked.total_seconds()
            return min(max(seconds, kind.first_s), kind.longest_s)
        pause = growing(self.failed, kind.first_s, _GROWTH, kind.longest_s)
        # The roll of a die keeps a thousand bots from trying in step; nobody's secret depends on it.
        return min(jittered(pause, random.random()), kind.longest_s)  # noqa: S311
