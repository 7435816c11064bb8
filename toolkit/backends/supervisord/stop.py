"""Stop programs in parallel, and what they left in their process groups."""

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from toolkit.backends.supervisord.rpc import BAD_NAME, NOT_RUNNING, FaultError, Rpc
from toolkit.backends.supervisord.states import ProcessState
from toolkit.errors import BackendError
from toolkit.processes import arguments

_ENDED = (ProcessState.STOPPED, ProcessState.FATAL, ProcessState.UNKNOWN)
_POLL_S, _POLL_MAX_S = 0.01, 0.1
_KILL_S = 5.0


def stop(rpc: Rpc, programs: Iterable[str], deadline_s: float) -> None:
    """Stop programs in parallel and wait until they and their process groups have ended.

    Parameters:
        programs: their names; those that are not in force count as stopped.
        deadline_s: seconds after which what is left is killed.

    Raises:
        BackendError: one lives even so.
    """
    stopping = _Stopping(rpc, programs)
    if stopping.wait(deadline_s):
        return
    stopping.kill()
    if not stopping.wait(_KILL_S):
        names = ", ".join(stopping.left)
        raise BackendError(f"not ended, even when killed: {names}", "is a disk or network mount stuck?")


class _Stopping:
    """Programs on their way down.

    Parameters:
        left: those that have not ended, with the process group of each, 0 if none ran.
    """

    def __init__(self, rpc: Rpc, programs: Iterable[str]) -> None:
        self._rpc = rpc
        supervisor = int(rpc("supervisor.getPID"))
        self._session = os.getsid(supervisor)
        self._fork = arguments(supervisor)
        self._exited: set[str] = set()
        self.left = dict.fromkeys(programs, 0)
        for program, info in zip(self.left, self._infos(), strict=True):
            self._note_group(program, info)

    def wait(self, deadline_s: float) -> bool:
        """Ask and look until all have ended or time is up."""
        end, pause = time.monotonic() + deadline_s, _POLL_S
        while self.left:
            begun = time.monotonic()
            self._look()
            if not self.left or time.monotonic() >= end:
                break
            # A large supervisord takes long to answer: it is not kept busy with this alone.
            time.sleep(max(0.0, min(max(pause, time.monotonic() - begun), end - time.monotonic())))
            pause = min(pause * 1.5, _POLL_MAX_S)
        return not self.left

    def kill(self) -> None:
        for group in filter(None, self.left.values()):
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)

    def _look(self) -> None:
        """Ask each to stop that runs, again too: one that died just now is started anew otherwise.

        One whose fork still is supervisord's own program has to wait: it would take the signal as
        supervisord does, note it, and forget it as it becomes the bot.
        """
        asked = [program for program, pid in self.left.items() if not pid or arguments(pid) != self._fork]
        for answer in self._rpc.many([("supervisor.stopProcess", program, False) for program in asked]):
            if isinstance(answer, FaultError) and answer.code not in (BAD_NAME, NOT_RUNNING):
                raise answer
        for program, info in zip(list(self.left), self._infos(), strict=True):
            self._note_group(program, info)
            if self._has_ended(program, info) and not self._group_lives(self.left[program]):
                del self.left[program]

    def _infos(self) -> list[Any]:
        return self._rpc.many([("supervisor.getProcessInfo", program) for program in self.left])

    def _note_group(self, program: str, info: Any) -> None:
        if isinstance(info, dict) and info["pid"]:
            # supervisord makes each program the leader of its group.
            self.left[program] = int(info["pid"])

    def _has_ended(self, program: str, info: Any) -> bool:
        if isinstance(info, FaultError):
            if info.code == BAD_NAME:
                return True
            raise info
        if info["state"] == ProcessState.EXITED:
            # Its code may call for a restart, which the next turn of the supervisor's loop begins.
            seen = program in self._exited
            self._exited.add(program)
            return seen
        self._exited.discard(program)
        return info["state"] in _ENDED

    def _group_lives(self, group: int) -> bool:
        if not group:
            return False
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return any(_members(group, self._session))


def _members(group: int, session: int) -> Iterable[int]:
    """The living processes of a process group: proc_pid_stat(5)."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
                state, _, pgrp, sid = stat.rpartition(")")[2].split()[:4]
                if state not in "ZX" and int(pgrp) == group and int(sid) == session:
                    yield int(entry.name)
