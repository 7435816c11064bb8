"""Runners that outlived their supervisor: found by their control sockets, drained, and only then replaced."""

import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from toolkit.deploy.stopping import stop_s
from toolkit.errors import BackendError
from toolkit.ipc.client import ask_many
from toolkit.paths import FleetPaths
from toolkit.run_record import living, read

ANSWER_S = 1.0
POLL_S = 0.05


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
    sockets = {bot: paths.control_socket(bot) for bot in running}
    ask_many(sockets, "stop", timeout_s=ANSWER_S, lapses=False)
    left = _wait_gone(running, stop_s(paths, list(running)))
    for pid in left.values():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    left = _wait_gone(left, 5.0)
    if left:
        names = ", ".join(f"{bot} (pid {pid})" for bot, pid in left.items())
        raise BackendError(f"left-over processes cannot be ended: {names}", "end them, then try again")
    return sorted(running)


def runners(paths: FleetPaths) -> dict[str, int]:
    """The runners that live, by bot: the process that each run record names, if it is one of ours still."""
    folder = paths.home / "bots"
    bots = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    found = {bot: living(read(paths.run_record(bot)), paths.botfile(bot)) for bot in bots}
    return {bot: pid for bot, pid in found.items() if pid}


def _wait_gone(running: Mapping[str, int], deadline_s: float) -> dict[str, int]:
    end = time.monotonic() + deadline_s
    left = dict(running)
    while left and time.monotonic() < end:
        left = {bot: pid for bot, pid in left.items() if _exists(pid)}
        if left:
            time.sleep(POLL_S)
    return left


def _exists(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
