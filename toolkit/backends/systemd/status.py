"""From systemd's states to a unit's phase. Pure."""

from collections.abc import Mapping
from typing import Any

from toolkit.backends import Phase, UnitStatus
from toolkit.backends.systemd.manager import Listed

# What a closer look takes: org.freedesktop.systemd1(5), the interface of services.
PROPERTIES = ("MainPID", "ExecMainStartTimestamp", "ExecMainCode", "ExecMainStatus", "Result", "StatusText")
_EXITED = 1  # CLD_EXITED of waitid(2)

_PHASES = {
    "active": Phase.RUNNING,
    "reloading": Phase.RUNNING,
    "refreshing": Phase.RUNNING,
    "inactive": Phase.STOPPED,
    "failed": Phase.FAILED,
    "activating": Phase.STARTING,
    "deactivating": Phase.STOPPING,
    "maintenance": Phase.STOPPING,
}
# Phases that say all.
_PLAIN = (Phase.RUNNING, Phase.STOPPED)
_WAITING = ("auto-restart", "auto-restart-queued")
RESULTS = {
    "exit-code": "its process ended with an error",
    "signal": "its process was killed",
    "core-dump": "its process crashed",
    "timeout": "it did not start or stop in time",
    "watchdog": "its event loop hung: the watchdog killed it",
    "oom-kill": "it ran out of memory",
    "start-limit-hit": "it was started too often",
    "resources": "systemd could not set up its process",
    "protocol": "it ended before it was ready",
}


def phase_of(row: Listed) -> Phase:
    """The phase of a loaded unit."""
    if row.load == "not-found" and row.active in ("inactive", "failed"):
        return Phase.ABSENT
    if row.active == "activating" and row.sub in _WAITING:
        return Phase.BACKOFF
    return _PHASES.get(row.active, Phase.FAILED)


def status_of(bot: str, row: Listed) -> UnitStatus:
    """What the list tells of a unit."""
    phase = phase_of(row)
    return UnitStatus(bot, phase, detail="" if phase in _PLAIN else f"{row.active} ({row.sub})")


def closer(status: UnitStatus, told: Mapping[str, Any]) -> UnitStatus:
    """The same, with what the unit's own properties tell."""
    pid = int(told.get("MainPID", 0))
    ended = told.get("ExecMainCode") == _EXITED and not pid
    result = str(told.get("Result", "success"))
    return UnitStatus(
        status.bot,
        status.phase,
        pid=pid or None,
        since=int(told.get("ExecMainStartTimestamp", 0)) / 1e6 if pid else 0.0,
        exit_code=int(told["ExecMainStatus"]) if ended else None,
        detail=RESULTS.get(result, status.detail),
    )
