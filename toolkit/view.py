"""All that is known of one bot, as every command shows it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from toolkit.backends import Supervision
from toolkit.lifecycle import FailureClass, State


@dataclass(frozen=True, slots=True, kw_only=True)
class BotView:
    """All that is known of one bot now.

    Parameters:
        ready: whether it does its work: token accepted and polling, or what its app calls ready.
        reason: why it is in that state, in words; "" where the state says all.
        hint: what to do about it, if anything.
        uptime_s: seconds since its process began.
        restarts: starts since the last orderly stop that nobody asked for.
        memory_bytes: PSS of its process tree.
        cpu_percent: of one core, over the last 10 s.
        fingerprint: digest of the bot file that its process runs with; "" where none runs.
        unit: digest of the unit likewise.
        held: whether it is stopped because an operator wants it so.
        supervisor: whether its supervisor could be asked; where not, the state is what else is known of it.
        details: the rest of what the bot itself tells, by the names of the control protocol.
    """

    name: str
    type: str
    backend: str
    state: State
    ready: bool = False
    reason: str = ""
    hint: str = ""
    pid: int | None = None
    uptime_s: float | None = None
    restarts: int = 0
    memory_bytes: int | None = None
    cpu_percent: float | None = None
    failure: str | None = None
    fingerprint: str = ""
    unit: str = ""
    held: bool = False
    supervisor: Supervision = Supervision.ANSWERS
    details: Mapping[str, Any]

    @property
    def well(self) -> bool:
        """Whether it does its work, or rests because an operator wants it so."""
        return self.state in (State.RUNNING, State.PAUSED) or self.held

    def as_json(self) -> dict[str, Any]:
        """The stable shape of ``--json``."""
        shape = asdict(self)
        details = shape.pop("details")
        shape["well"] = self.well
        return shape | {name: details.get(name) for name in _TOLD}


_TOLD = (
    "started_at",
    "updates_handled",
    "errors",
    "poll_age_s",
    "loop_lag_s",
    "oldest_in_flight_s",
    "processes",
    "username",
    "delivery",
    "paused",
    "spool",
    "unfinished",
    "dead_letters",
    "last_exit",
)


def is_untold(view: BotView) -> bool:
    """Whether nobody recorded why a bot ended, but its runner may have printed that."""
    if view.failure is None:
        return view.state is State.FAILED
    return view.reason == FailureClass[view.failure].words


def with_words(view: BotView, words: str) -> BotView:
    """The same, with more words for its reason; "" for none."""
    return replace(view, reason=": ".join(filter(None, (view.reason, words))))
