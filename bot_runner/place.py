"""The bot's place on the machine: limits, folders, and the lock that keeps a second runner out."""

import fcntl
import os
import time
from pathlib import Path

from bot_runner import kernel, limits
from bot_runner.descendants import MARKER, end_leftovers, leftovers
from bot_runner.failure import BotFailedError, unusable
from toolkit import run_record
from toolkit.botfile import BotFile, Files
from toolkit.files import make_private
from toolkit.lifecycle import FailureClass
from toolkit.run_record import RunRecord

# Beyond a bot's own time to stop: for a predecessor to be really gone.
MARGIN_S = 3.0
_LOOK_S = 0.05
_PATIENCE_S = 1.0


def make_folders(files: Files) -> None:
    """Make the folders that are not there yet, for the bot's user alone.

    Raises:
        BotFailedError: BAD_CONFIG or TEMPORARY, one cannot be made.
    """
    for folder in (Path(files.state), Path(files.socket).parent, Path(files.run_record).parent):
        try:
            make_private(folder)
        except OSError as error:
            raise unusable(folder, error) from None


class PlaceLock:
    """Held by the one runner of a bot for as long as it lives.

    Parameters:
        socket: the bot's control socket; the lock is a file beside it.

    Raises:
        BotFailedError: BAD_CONFIG or TEMPORARY, the file cannot be opened.
    """

    def __init__(self, socket: Path) -> None:
        path = socket.with_name("runner.lock")
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise unusable(path, error) from None

    def try_take(self) -> bool:
        """Take it; whether it was free."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def take(self, wait_s: float) -> bool:
        """Take it as soon as it is free; whether that was within so many seconds."""
        until = time.monotonic() + wait_s
        while not self.try_take():
            if time.monotonic() >= until:
                return False
            time.sleep(_LOOK_S)
        return True


def _living_runner(bot: BotFile, path: Path) -> int | None:
    """The runner that the run record names, if that process lives and is another one of this bot."""
    pid = run_record.living(run_record.read(Path(bot.files.run_record)), path)
    return pid if pid != os.getpid() else None


def _may_have_left(record: RunRecord) -> bool:
    """Whether the last run may have left processes: an orderly end takes all with it, ``os._exit`` none."""
    return record.pid is not None or (record.last_exit is not None and record.last_exit.kind != "stopped")


def enter(bot: BotFile, path: Path) -> list[str]:
    """Take the bot's place: no runner of it runs beside this one, and nothing of an earlier one is left.

    Parameters:
        bot: the bot file.
        path: where it lies.

    Returns:
        What could not be done, a line each.

    Raises:
        BotFailedError: BAD_CONFIG or TEMPORARY, a folder or the lock cannot be made; CONFLICT, another runner
            of the bot lives on.
    """
    complaints = limits.apply(bot.limits)
    kernel.adopt_orphans()
    make_folders(bot.files)
    socket = Path(bot.files.socket)
    os.environ[MARKER] = str(socket)
    lock = PlaceLock(socket)
    if _may_have_left(run_record.read(Path(bot.files.run_record))):
        left = leftovers(socket, path, living=_living_runner(bot, path))
        if left:
            complaints.append(f"ended {len(left)} processes that an earlier run had left")
            end_leftovers(left, _PATIENCE_S, 2 * _PATIENCE_S)
    if not lock.take(bot.stop_s + MARGIN_S):
        raise BotFailedError(FailureClass.CONFLICT, f"another runner of {bot.name} lives on this machine")
    return complaints
