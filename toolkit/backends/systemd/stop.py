"""Stop units in parallel, and make stopped of those that systemd calls failed for how they ended."""

import signal
from collections.abc import Sequence

from toolkit.backends import UP, Phase
from toolkit.backends.systemd.complaints import refuse
from toolkit.backends.systemd.jobs import Jobs
from toolkit.backends.systemd.manager import Manager
from toolkit.backends.systemd.status import phase_of
from toolkit.errors import BackendError

_KILL_S = 10.0


def stop(manager: Manager, units: Sequence[str], deadline_s: float) -> None:
    """Stop units and wait until their processes have ended.

    Parameters:
        units: those that are not loaded count as stopped.
        deadline_s: seconds after which what is left is killed.

    Raises:
        BackendError: one lives even so.
    """
    if not units:
        return
    up = [row.name for row in manager.loaded(units) if phase_of(row) in UP]
    jobs = Jobs(manager.bus, dict.fromkeys(units, "StopUnit"))
    if not jobs.wait(deadline_s):
        manager.kill(jobs.open, signal.SIGKILL)
        if not jobs.wait(_KILL_S):
            names = ", ".join(jobs.open)
            raise BackendError(f"not ended, even when killed: {names}", "is a disk or network mount stuck?")
    refuse(jobs)
    _settle(manager, up)


def _settle(manager: Manager, up: Sequence[str]) -> None:
    """What failed only as it was stopped is stopped; a failure from before stays to be seen."""
    rows = manager.loaded(up) if up else []
    manager.reset_failed([row.name for row in rows if phase_of(row) is Phase.FAILED])
