"""The limits of a bot's control group; apart from the rest, so that who only looks loads little."""

from collections.abc import Mapping

NO_LIMIT = 2**64 - 1
# By the names of org.freedesktop.systemd1(5), the settings of a unit.
SETTINGS = {
    "MemoryHigh": "MemoryHigh",
    "MemoryMax": "MemoryMax",
    "CPUWeight": "CPUWeight",
    "CPUQuotaPerSecUSec": "CPUQuota",
    "TasksMax": "TasksMax",
    "IOWeight": "IOWeight",
}


def without_default(found: Mapping[str, int], default_tasks: int | None) -> dict[str, int]:
    """Limits as systemd tells them, with none where a unit names none.

    Parameters:
        default_tasks: ``DefaultTasksMax`` of the manager: unlike the others this one has a value then.
    """
    default = found.get("TasksMax") == default_tasks
    return {**found, **({"TasksMax": NO_LIMIT} if default else {})}


def differing(wanted: Mapping[str, int], found: Mapping[str, int]) -> list[str]:
    """The names of limits that are not as they are to be: of those that were found and that are asked for."""
    return [name for name, value in found.items() if wanted.get(name, value) != value]
