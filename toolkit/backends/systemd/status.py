"""From systemd's states to a unit's phase. Pure."""

from collections.abc import Mapping
from typing import Any

from toolkit.backends import Phase, UnitStatus
from toolkit.backends.systemd.manager import Listed
from toolkit.lifecycle import NO_RESTART_CODES

# What a closer look takes: org.freedesktop.systemd1(5), the interface of services.
PROPERTIES = ("MainPID", "ExecMainStartTimestamp", "ExecMainCode", "ExecMainStatus", "Result", "NRestarts")
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
    "start-limit-hit": "it was started too often (start-limit-hit)",
    "resources": "systemd could not set up its process",
    "protocol": "it ended before it was ready",
}
# With these a process ends that systemd could not set up: systemd.exec(5), "Process Exit Codes".
UNBORN = {
    200: "CHDIR: it may not enter its folder",
    203: "EXEC: its interpreter is gone, or may not be run",
    208: "STDIN: its token file is gone",
    216: "GROUP: there is no such group",
    217: "USER: there is no such user",
    226: "NAMESPACE: its sandbox could not be made",
    233: "RUNTIME_DIRECTORY: its runtime folder could not be made",
    238: "STATE_DIRECTORY: its own folder could not be made",
    239: "CACHE_DIRECTORY: its cache folder could not be made",
    240: "LOGS_DIRECTORY: its log folder could not be made",
    243: "CREDENTIALS: its credential could not be read",
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
    code = int(told["ExecMainStatus"]) if ended else None
    return UnitStatus(
        status.bot,
        status.phase,
        pid=pid or None,
        since=int(told.get("ExecMainStartTimestamp", 0)) / 1e6 if pid else 0.0,
        exit_code=code,
        detail=_words(status, str(told.get("Result", "success")), code, int(told.get("NRestarts", 0))),
    )


def _words(status: UnitStatus, result: str, code: int | None, restarts: int) -> str:
    """How it ended; and that systemd has given up, which the result itself need not tell: issue #32203."""
    words = RESULTS.get(result, status.detail)
    if result == "exit-code" and code in UNBORN:
        words = f"its process could not be set up: {code}/{UNBORN[code]}"
    if status.phase is Phase.FAILED and restarts and code not in NO_RESTART_CODES:
        words += f"; systemd gave up after {restarts} restarts (start-limit-hit)"
    return words
