"""The room that a deploy needs on disks, made sure of before the first bot is touched."""

from collections.abc import Sequence

from toolkit.deploy.plan import Action, Step
from toolkit.deploy.work import Work
from toolkit.errors import NoRoomError
from toolkit.files import free_bytes

_KB = 1024
# What the records of a deploy take: itself, each bot, and each change, which is written by itself. SQLite
# begins its log anew after 4 MB (https://sqlite.org/pragma.html#pragma_wal_autocheckpoint): no more is due.
_RECORDS, _OF_BOT, _OF_CHANGE, _CHANGES_MAX = 64 * _KB, _KB, 20 * _KB, 5000 * _KB
# What a bot that starts writes of its own: run record, spool, log.
_OF_START = 64 * _KB
_STARTS = (Action.START, Action.RESTART)


def make_sure(work: Work, steps: Sequence[Step]) -> None:
    """Have all files on disk, and room for the records and for the bots that start.

    Raises:
        NoRoomError: the disk of the fleet's records, and of its bots', has too little.
        OSError: a file could not be written, such as where its disk is full.
    """
    work.stage()
    records = _records(work, steps)
    starts = sum(step.action in _STARTS for step in steps)
    needed, left = 2 * records + starts * _OF_START, free_bytes(work.paths.home)
    if left < needed:
        words = f"{left // _KB} KB are left on its disk, and this deploy needs {needed // _KB} KB"
        raise NoRoomError(work.paths.home, words)
    work.history.reserve(records)


def _records(work: Work, steps: Sequence[Step]) -> int:
    """Bytes, at most."""
    contents = sum(len(file.content.encode()) for file in work.prepared.files)
    changes = sum(step.action is not Action.NOTHING for step in steps)
    each = len(steps) + len(work.prepared.fleet.sources)
    return _RECORDS + contents + each * _OF_BOT + min(changes * _OF_CHANGE, _CHANGES_MAX)
