"""Runners that outlived their supervisor: found by their control sockets, drained, and only then replaced."""

import signal
import time
from collections.abc import Mapping
from contextlib import ExitStack

from toolkit.deploy.stopping import stop_s
from toolkit.errors import BackendError
from toolkit.ipc.client import ask_many
from toolkit.paths import FleetPaths
from toolkit.processes import ended, opened, send
from toolkit.run_record import living, read

ANSWER_S = 1.0
_KILL_S = 5.0


def sweep(paths: FleetPaths) -> list[str]:
    """End every runner of this fleet, once it has drained; its supervisor must not be running.

    Returns:
        The names of the bots that were still running.

    Raises:
        BackendError: one could not be ended.
    """
    running = runners(paths)
    if not running:
        return []
    with ExitStack() as stack:
        processes = {bot: stack.enter_context(opened(pid)) for bot, pid in running.items()}
        sockets = {bot: paths.control_socket(bot) for bot in running}
        ask_many(sockets, "stop", timeout_s=ANSWER_S, lapses=False)
        left = _outliving(processes, stop_s(paths, list(running)))
        for process in left.values():
            send(process, signal.SIGKILL)
        left = _outliving(left, _KILL_S)
    if left:
        names = ", ".join(f"{bot} (pid {running[bot]})" for bot in left)
        raise BackendError(f"left-over processes cannot be ended: {names}", "end them, then try again")
    return sorted(running)


def runners(paths: FleetPaths) -> dict[str, int]:
    """The runners that live, by bot: the process that each run record names, if it is one of ours still."""
    folder = paths.home / "bots"
    bots = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    found = {bot: living(read(paths.run_record(bot)), paths.botfile(bot)) for bot in bots}
    return {bot: pid for bot, pid in found.items() if pid}


def _outliving(processes: Mapping[str, int | None], deadline_s: float) -> dict[str, int]:
    """Those that have not ended after so many seconds; None is one that had before."""
    end = time.monotonic() + deadline_s
    return {
        bot: process
        for bot, process in processes.items()
        if process is not None and not ended(process, max(0.0, end - time.monotonic()))
    }
