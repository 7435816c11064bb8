"""Tells of the bot's state: its log, and its supervisor."""

import logging
from collections.abc import Callable

from bot_runner.notify import Notifier
from bot_runner.state_log import StateLog
from bot_runner.vitals import Vitals
from toolkit.lifecycle import State

_WELL = frozenset({State.RUNNING, State.INITIALIZING, State.PAUSED, State.STOPPING})
_WORDS = {State.RUNNING: ("READY=1",), State.STOPPING: ("STOPPING=1",)}
_log = logging.getLogger("bot_runner")


class Announcer:
    """Tells each change of state or reasons.

    Parameters:
        notifier: to the supervisor.
        got_ready: called each time that the bot has got ready.
    """

    def __init__(self, notifier: Notifier, got_ready: Callable[[], object]) -> None:
        self._notifier, self._got_ready = notifier, got_ready
        self._state_log = StateLog(lambda level, line: _log.log(level, "%s", line))
        self._impossible = 0
        self._said = State.INITIALIZING

    def tell(self, vitals: Vitals) -> None:
        """State or reasons have changed to what they are now."""
        state, reason = vitals.state, "; ".join(vitals.reasons)
        text = f"{state}: {reason}" if reason else str(state)
        self._state_log.changed(logging.INFO if state in _WELL else logging.WARNING, text)
        if vitals.impossible > self._impossible:
            self._impossible = vitals.impossible
            last = vitals.transitions[-1]
            _log.error("an impossible change of state, %s to %s: a fault of bot-runner", *last[1:3])
        # By its phase: a bot that gets ready with a trouble is ready too, and nobody waits for it any longer.
        phase, is_new = vitals.phase, vitals.phase is not self._said
        if is_new and phase is State.RUNNING:
            self._got_ready()
        self._said = phase
        status = vitals.said if vitals.said and state is State.RUNNING else text
        self._notifier.send(*_WORDS.get(phase, ()) if is_new else (), f"STATUS={status}")

    def look(self) -> None:
        """To be called every few seconds: the log is told what still lasts."""
        self._state_log.look()
