"""SIGTERM and SIGINT: by them a supervisor says that the bot is to end, whatever the app makes of them."""

import logging
import signal
from collections.abc import Callable

_ASK = (signal.SIGTERM, signal.SIGINT)
_log = logging.getLogger("bot_runner")


class Signals:
    """Keeps them the runner's.

    An app that was a script before may have handlers of its own for them, with which it would not drain, and
    be killed. ``Application.run_polling`` would take them over as well.

    Parameters:
        ask: asks for the end, and says why; called in a signal handler.
    """

    def __init__(self, ask: Callable[[str], None]) -> None:
        self._ask = ask
        self._taken = False

    def take(self) -> None:
        """Take them, also back from an app; to be called in the main thread, and now and then."""
        lost = [number for number in _ASK if signal.getsignal(number) != self._heard]
        for number in lost:
            signal.signal(number, self._heard)
        if lost and self._taken:
            names = " and ".join(number.name for number in lost)
            _log.warning("the app handled %s itself; `context.on_stop` is called when it is to end", names)
        self._taken = True

    def _heard(self, number: int, _: object) -> None:
        self._ask(f"asked by {signal.Signals(number).name}")
