"""What start jobs that have ended did not bring: `done` alone says only that systemd has done its part."""

from toolkit.backends.systemd.bus import FaultError
from toolkit.backends.systemd.jobs import Jobs
from toolkit.backends.systemd.manager import Manager
from toolkit.errors import BackendError

# How a start job ends where the unit was not even tried; other ends show in the unit itself.
_UNTRIED = {
    "dependency": "a unit that it needs did not start",
    "canceled": "another command cancelled it",
    "skipped": "systemd skipped it",
    "collected": "systemd dropped it",
    "assert": "an assertion of its unit failed",
    "unsupported": "systemd does not support it here",
}
_DOWN = ("inactive", "failed")
# Why no job was made, by the end of the error's name: systemd's src/libsystemd/sd-bus/bus-common-errors.h.
_REFUSED = {
    "OnlyByDependency": "its unit lets nobody do that by hand (RefuseManualStart= or RefuseManualStop=)",
    "UnitMasked": "its unit is masked",
    "NoSuchUnit": "systemd has no such unit",
    "LoadFailed": "systemd cannot load its unit",
    "BadUnitSetting": "its unit has a setting that systemd refuses",
}


def complain(jobs: Jobs, manager: Manager) -> None:
    """Tell of every unit that was not even tried.

    Raises:
        BackendError: there is one.
    """
    faults = {unit: refusal(unit, fault) for unit, fault in jobs.faults.items()}
    faults |= {unit: f"{unit}: {_UNTRIED[how]}" for unit, how in jobs.results.items() if how in _UNTRIED}
    unmet, files = _unmet(manager, [unit for unit, how in jobs.results.items() if how in ("done", "")])
    if faults or unmet:
        shown = [f"`{manager.bus.systemctl} status {' '.join(faults)}`"] if faults else []
        raise BackendError("; ".join((*faults.values(), *unmet)), f"see {', '.join((*shown, *files))}")


def refusal(unit: str, fault: FaultError) -> str:
    """Why systemd made no job for a unit."""
    return f"{unit}: {_REFUSED.get(fault.name.rpartition('.')[2], fault.message)}"


def refuse(jobs: Jobs) -> None:
    """Tell of every unit for which systemd made no job.

    Raises:
        BackendError: there is one.
    """
    if jobs.faults:
        words = "; ".join(refusal(unit, fault) for unit, fault in jobs.faults.items())
        raise BackendError(words, f"see `{jobs.bus.systemctl} cat {' '.join(jobs.faults)}`")


def _unmet(manager: Manager, units: list[str]) -> tuple[list[str], list[str]]:
    """The conditions that kept units down, in words, and the files that may name them.

    A start whose condition is not met ends as `done`: systemd.unit(5).
    """
    down = [row.name for row in manager.loaded(units) if row.active in _DOWN] if units else []
    names = ("Conditions", "FragmentPath", "DropInPaths")
    words: list[str] = []
    files: list[str] = []
    for unit, told in zip(down, manager.properties([(unit, "Unit") for unit in down], names), strict=True):
        failed = [_condition(*condition) for condition in told.get("Conditions", ()) if condition[-1] < 0]
        if failed:
            words.append(f"{unit}: a condition of its unit was not met: {', '.join(failed)}")
            files += told.get("DropInPaths") or [told.get("FragmentPath", "")]
    return words, list(dict.fromkeys(files))


def _condition(name: str, is_trigger: bool, is_negated: bool, value: str, _state: int) -> str:
    """A condition as its unit file has it; the parameters are D-Bus's."""
    return f"{name}={'|' if is_trigger else ''}{'!' if is_negated else ''}{value}"
