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


def stop(manager: Manager, units: Sequence[str], deadline_s: float) -> list[str]:
    """Stop units and wait until their processes have ended.

    Parameters:
        units: those that are not loaded count as stopped.
        deadline_s: seconds after which what is left is killed.

    Returns:
        The services that had to be killed, by us or by systemd at the limit of their unit.

    Raises:
        BackendError: one lives even so.
    """
    if not units:
        return []
    up = [row.name for row in manager.loaded(units) if phase_of(row) in UP]
    jobs = Jobs(manager.bus, dict.fromkeys(units, "StopUnit"))
    killed = set()
    if not jobs.wait(deadline_s):
        killed.update(jobs.open)
        manager.kill(jobs.open, signal.SIGKILL)
        if not jobs.wait(_KILL_S):
            names = ", ".join(jobs.open)
            raise BackendError(f"not ended, even when killed: {names}", "is a disk or network mount stuck?")
    refuse(jobs)
    return _settle(manager, up, killed)


def _settle(manager: Manager, up: Sequence[str], killed: set[str]) -> list[str]:
    """What failed only as it was stopped is stopped; a failure from before stays to be seen."""
    rows = manager.loaded(up) if up else []
    failed = [row.name for row in rows if phase_of(row) is Phase.FAILED]
    told = manager.properties([(unit, "Service") for unit in failed], ("Result",))
    killed |= {unit for unit, facts in zip(failed, told, strict=True) if facts.get("Result") == "timeout"}
    manager.reset_failed(failed)
    return [unit for unit in up if unit in killed]
