"""Start programs, whatever state they are in."""

import time
from collections.abc import Sequence

from toolkit.backends.supervisord.rpc import ALREADY_STARTED, SPAWN_ERROR, FaultError, Rpc
from toolkit.backends.supervisord.states import ProcessState
from toolkit.errors import BackendError

_UP = (ProcessState.STARTING, ProcessState.RUNNING, ProcessState.BACKOFF)
_POLL_S = 0.02


def start(rpc: Rpc, programs: Sequence[str], deadline_s: float) -> None:
    """Start programs that are in force, at once also where the supervisor waits to retry.

    Parameters:
        programs: their names; those that run stay as they are.
        deadline_s: seconds to wait for those that are still stopping.

    Raises:
        BackendError: names every program that could not be spawned; the others are started.
    """
    # A process that has died unnoticed counts as running until the supervisor's loop has turned.
    nudge(rpc)
    waiting = [program for program, state in _states(rpc, programs).items() if state == ProcessState.BACKOFF]
    rpc.many([("supervisor.stopProcess", program, False) for program in waiting])
    faults: list[FaultError] = []
    left, end = list(programs), time.monotonic() + deadline_s
    while left := _ask(rpc, left, faults):
        if time.monotonic() >= end:
            names = ", ".join(left)
            raise BackendError(f"still stopping after {deadline_s:g} s, so not started: {names}")
        time.sleep(_POLL_S)
    if faults:
        raise BackendError("; ".join(fault.message for fault in faults), faults[0].hint)


def nudge(rpc: Rpc) -> None:
    """Turn the supervisor's loop: a child's death does not wake it, and what is due waits up to 1 s."""
    for _ in range(2):
        rpc("supervisor.getState")


def _ask(rpc: Rpc, programs: Sequence[str], faults: list[FaultError]) -> list[str]:
    """Ask each to start; give those that are still stopping, which a start passes by without a word."""
    answers = rpc.many([("supervisor.startProcess", program, False) for program in programs])
    asked = []
    for program, answer in zip(programs, answers, strict=True):
        if isinstance(answer, FaultError) and answer.code != ALREADY_STARTED:
            faults.append(_explained(rpc, answer, program))
        else:
            asked.append(program)
    return [program for program, state in _states(rpc, asked).items() if state not in _UP]


def _explained(rpc: Rpc, fault: FaultError, program: str) -> FaultError:
    """The fault, with the cause that supervisord keeps in the program's status alone."""
    if fault.code != SPAWN_ERROR:
        return fault
    cause = rpc("supervisor.getProcessInfo", program)["spawnerr"] or "it ended at once"
    return FaultError(fault.code, cause, ("supervisor.startProcess", program))


def _states(rpc: Rpc, programs: Sequence[str]) -> dict[str, int]:
    """The state of each program that is in force, by supervisord's own codes."""
    infos = rpc.many([("supervisor.getProcessInfo", program) for program in programs])
    return {
        program: info["state"]
        for program, info in zip(programs, infos, strict=True)
        if isinstance(info, dict)
    }
