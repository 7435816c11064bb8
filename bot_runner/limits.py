"""What the process may use."""

import os
import resource

from toolkit.botfile import Limits


def _limit(kind: int, wanted: int, name: str) -> str:
    """Set soft and hard limit; a complaint where the system does not allow it, else ""."""
    try:
        resource.setrlimit(kind, (wanted, wanted))
    except (OSError, ValueError):
        hard = resource.getrlimit(kind)[1]
        if hard == resource.RLIM_INFINITY or wanted < hard:
            return f"limit {name}: cannot be set to {wanted}"
        resource.setrlimit(kind, (hard, hard))
        return f"limit {name}: {wanted} is more than the {hard} that the system allows"
    return ""


def apply(limits: Limits) -> list[str]:
    """Set the limits for this process and its children; to be called before any thread is started.

    Returns:
        What could not be done, a line each.
    """
    complaints = [_limit(resource.RLIMIT_NOFILE, limits.open_files, "open_files")]
    complaints.append(_limit(resource.RLIMIT_CORE, limits.core_bytes, "core_bytes"))
    if limits.processes is not None:
        complaints.append(_limit(resource.RLIMIT_NPROC, limits.processes, "processes"))
    try:
        # In a sandbox the call is denied, and the supervisor has set it already.
        if os.getpriority(os.PRIO_PROCESS, 0) != limits.nice:
            os.setpriority(os.PRIO_PROCESS, 0, limits.nice)
    except OSError as error:
        complaints.append(f"limit nice: cannot be set to {limits.nice}: {error.strerror}")
    return [complaint for complaint in complaints if complaint]
