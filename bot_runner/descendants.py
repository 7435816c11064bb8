"""Ends what a bot started, also what hid in a session of its own or outlived its runner."""

import os
import signal
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from bot_runner.process import is_zombie, tree
from toolkit.processes import arguments, ended, opened, send

# In the environment of everything that a bot starts; its value is the bot's control socket.
MARKER = "BOT_TOOLKIT_BOT"
_LOOK_S = 0.02


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _bury() -> None:
    """Wait for whichever of our own children has ended."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def end_descendants(patience_s: float, deadline_s: float) -> int:
    """End every descendant of this process: SIGTERM, and SIGKILL to what is still there.

    Parameters:
        patience_s: seconds between the two.
        deadline_s: seconds after which it gives up.

    Returns:
        How many there were. Nothing else may wait for children any more: their ends are taken.
    """
    own = os.getpid()
    began = time.monotonic()
    met: set[int] = set()
    while True:
        _bury()
        alive = [pid for pid in tree(own)[1:] if not is_zombie(pid)]
        age = time.monotonic() - began
        if not alive or age > deadline_s:
            return len(met)
        for pid in alive:
            if age >= patience_s:
                _signal(pid, signal.SIGKILL)
            elif pid not in met:
                _signal(pid, signal.SIGTERM)
        met.update(alive)
        time.sleep(_LOOK_S)


def _is_leftover(folder: Path, marker: bytes, botfile: bytes) -> bool:
    """Whether a process was started by a run of this bot, or is a fork of its runner."""
    try:
        if marker in (folder / "environ").read_bytes().split(b"\0"):
            return True
    except OSError:
        return False
    words = [word for word in arguments(int(folder.name)) if word]
    return (
        bool(words)
        and words[-1] == botfile
        and any(Path(part.decode("utf-8", "replace")).name == "bot-runner" for part in words[:-1])
    )


def leftovers(socket: Path, botfile: Path, *, living: int | None = None) -> list[int]:
    """Processes that an earlier run of the bot left behind.

    Parameters:
        socket: the bot's control socket, which marks what it started.
        botfile: the bot file, by which forks of its runner are known.
        living: a runner of the bot that still lives and whose processes are its own business.
    """
    marker, path = f"{MARKER}={socket}".encode(), str(botfile).encode()
    spared = {os.getpid(), os.getppid(), *(tree(living) if living else ())}
    return [
        int(folder.name)
        for folder in Path("/proc").iterdir()
        if folder.name.isdigit() and int(folder.name) not in spared and _is_leftover(folder, marker, path)
    ]


def end_leftovers(pids: list[int], patience_s: float, deadline_s: float) -> None:
    """End processes that are not our children: SIGTERM, then SIGKILL; returns when they are gone.

    Parameters:
        patience_s: seconds between the two.
        deadline_s: seconds after which it gives up.
    """
    with ExitStack() as stack:
        left = [process for pid in pids if (process := stack.enter_context(opened(pid))) is not None]
        for number, seconds in ((signal.SIGTERM, patience_s), (signal.SIGKILL, deadline_s - patience_s)):
            for process in left:
                with suppress(PermissionError):
                    send(process, number)
            end = time.monotonic() + seconds
            left = [each for each in left if not ended(each, max(0.0, end - time.monotonic()))]
