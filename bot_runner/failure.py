"""The one exception that ends a run with a class."""

from toolkit.lifecycle import FailureClass


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
