"""What the bot answers on its control socket; what is only asked is known already."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from bot_runner.keeper import Keeper
from bot_runner.levers import Interventions
from bot_runner.process import Usage
from bot_runner.vitals import Vitals
from toolkit import __version__
from toolkit.botfile import BotFile
from toolkit.ipc.protocol import PROTOCOL_VERSION
from toolkit.ipc.server import Method

UNIT_VARIABLE = "BOT_TOOLKIT_UNIT"


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


@dataclass(kw_only=True)
class Control:
    """The methods of one bot's control socket.

    Parameters:
        bot: the bot file that this runner read.
        vitals: the bot's state and figures.
        usage: samples of its process tree.
        keeper: has the run record.
        stop: asks the bot to end, with a reason.
        interventions: what an operator may do to a bot that runs.
    """

    bot: BotFile
    vitals: Vitals
    usage: Usage
    keeper: Keeper
    stop: Callable[[str], None]
    interventions: Interventions

    def __post_init__(self) -> None:
        self._fingerprint = self.bot.fingerprint()
        self._unit = os.environ.get(UNIT_VARIABLE, "")

    def methods(self) -> dict[str, Method]:
        """Each method's name and what answers it."""
        own: dict[str, Method] = {
            "hello": self._hello,
            "health": self._health,
            "status": self._status,
            "stop": self._stop,
        }
        return own | self.interventions.methods()

    def _hello(self, _: dict[str, Any]) -> dict[str, object]:
        return {
            "protocol": PROTOCOL_VERSION,
            "runner": __version__,
            "fleet": self.bot.fleet,
            "bot": self.bot.name,
            "pid": os.getpid(),
            "fingerprint": self._fingerprint,
            "unit": self._unit,
        }

    def _heartbeats(self) -> dict[str, object]:
        return {
            "poll_age_s": _rounded(self.vitals.poll_age_s),
            "loop_lag_s": _rounded(self.vitals.loop_lag_s),
            "oldest_in_flight_s": _rounded(self.vitals.oldest_in_flight_s),
        }

    def _health(self, _: dict[str, Any]) -> dict[str, object]:
        vitals = self.vitals
        return {
            "state": vitals.state,
            "ready": vitals.ready,
            "reasons": vitals.reasons,
            "level": vitals.verdict.level.name,
            "transitions": [change._asdict() for change in list(vitals.transitions)],
            "impossible_transitions": vitals.impossible,
            **self._heartbeats(),
        }

    def _status(self, _: dict[str, Any]) -> dict[str, object]:
        vitals, record = self.vitals, self.keeper.record
        return {
            "name": self.bot.name,
            "type": self.bot.type,
            "pid": os.getpid(),
            "state": vitals.state,
            "ready": vitals.ready,
            "reason": "; ".join(vitals.reasons),
            "started_at": record.started_at,
            "uptime_s": _rounded(vitals.uptime_s),
            "starts": record.starts,
            "restarts": record.restarts,
            "updates_handled": vitals.updates_handled,
            "errors": vitals.errors,
            **self.interventions.facts(),
            **self._heartbeats(),
            "memory_bytes": self.usage.memory_bytes,
            "cpu_percent": self.usage.cpu_percent,
            "processes": self.usage.processes,
            "fingerprint": self._fingerprint,
            "unit": self._unit,
            "username": vitals.username,
            "last_exit": None if record.last_exit is None else msgspec.to_builtins(record.last_exit),
        }

    def _stop(self, _: dict[str, Any]) -> dict[str, object]:
        self.stop("asked over the control socket")
        return {"stopping": True}
