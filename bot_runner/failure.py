"""The one exception that ends a run with a class."""

import logging
from pathlib import Path

from bot_runner.redaction import Redactor
from toolkit.files import FULL
from toolkit.lifecycle import FailureClass

_log = logging.getLogger("bot_runner")


class BotFailedError(Exception):
    """The bot cannot go on.

    Parameters:
        failure: the class, whose code the process will exit with.
        reason: one line for people, without secrets.
    """

    def __init__(self, failure: FailureClass, reason: str) -> None:
        super().__init__(reason)
        self.failure = failure
        self.reason = reason


def unusable(what: str | Path, error: OSError) -> BotFailedError:
    """What it means that the system refuses a file or a socket: a disk that is full may have room again.

    Parameters:
        what: it, in words.
    """
    kind = FailureClass.TEMPORARY if error.errno in FULL else FailureClass.BAD_CONFIG
    return BotFailedError(kind, f"{what}: {error.strerror}")


def text_of(error: BaseException) -> str:
    """What an exception of the app's says; its own ``__str__`` may fail as well."""
    try:
        return str(error)
    except Exception as another:  # noqa: BLE001  it is the app's code
        return f"(it cannot say what: {type(another).__name__})"


def crashed(error: BaseException, redact: Redactor) -> BotFailedError:
    """What it means that the app's own code raised this; the log is told where.

    Parameters:
        error: anything: an app may also call ``sys.exit`` or cancel the runner's own task.
        redact: takes secrets out of the reason.
    """
    name = type(error).__name__
    if isinstance(error, Exception):
        _log.error("the app failed", exc_info=error)
        reason = redact.line(f"{name}: {text_of(error)}")
    else:
        reason = f"the app ended itself by {name}({redact.line(text_of(error))})"
    return BotFailedError(FailureClass.APP_CRASHED, reason)
