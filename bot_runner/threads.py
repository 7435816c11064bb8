"""What it means that a thread cannot be started: in words, with the limit that forbids it."""

from collections.abc import Iterator
from contextlib import contextmanager

from bot_runner.failure import BotFailedError
from toolkit.botfile import Limits
from toolkit.lifecycle import FailureClass

# CPython's words, in all versions; it has no class of its own for that.
REFUSED = "can't start new thread"


@contextmanager
def needed(limits: Limits) -> Iterator[None]:
    """In it threads are started that the bot cannot do without.

    Raises:
        BotFailedError: BAD_CONFIG or TEMPORARY, the bot's own limit, or the system, allows no more.
    """
    try:
        yield
    except RuntimeError as error:
        if REFUSED not in str(error):
            raise
        raise _failed(limits) from None


def _failed(limits: Limits) -> BotFailedError:
    if limits.processes is None:
        reason = "no thread can be started: the system, or `limits: tasks`, allows no more"
        return BotFailedError(FailureClass.TEMPORARY, reason)
    counted = "all processes and threads of the bot's user count"
    reason = f"no thread can be started: `limits: processes` is {limits.processes}, and {counted}"
    return BotFailedError(FailureClass.BAD_CONFIG, reason)
