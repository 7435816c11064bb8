"""A crash-safe queue of updates in a bot's state folder.

One log, appended to. A write of whole records survives the death of the process; ``commit`` makes what was
written survive a power cut too, a whole batch with one fsync. Only a batch's own ``append`` needs that
before Telegram is told that it has come: an attempt or a done that a power cut takes away leads to a
repeat, never to a loss. So handlers wait for a write into the page cache at most (microseconds), and a
thread waits for the disk.

When the log has grown by ``SLACK`` beyond what is left in it, ``commit`` writes that into a new one.
"""

import errno
import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from toolkit.errors import ToolkitError
from toolkit.files import sync_folder
from toolkit.spool.dead import (
    DEAD,
    LONGEST_LIST,
    MOST_RETRIED,
    DeadLetter,
    DeadLetters,
    folder_in,
    letters_of,
    listing,
)
from toolkit.spool.records import MAGIC, Contents, Entry, Kind, encode, holding, marking, scan

__all__ = [
    "LONGEST_LIST",
    "MOST_RETRIED",
    "DeadLetter",
    "DeadLetters",
    "Entry",
    "Spool",
    "SpoolError",
    "folder_in",
    "letters_of",
    "listing",
]

SLACK = 4 * 1024 * 1024
# Zeros that stand written behind the log's end. On ext4 a sync of what overwrites them takes a tenth of the
# time of a sync of a file that grows, as the file system's journal has no part in it.
AHEAD = 128 * 1024
# A disk with less room than this is not filled with zeros.
_PLENTY = 64 * AHEAD
# After a week without updates Telegram may begin anew with any id
# (https://core.telegram.org/bots/api#update): an older mark would hide what comes then.
MARK_S = 2 * 24 * 3600.0
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class SpoolError(ToolkitError):
    """The spool cannot be written; what is stored already is unharmed."""

    def __init__(self, path: Path, error: OSError) -> None:
        why = "no room left" if error.errno in _FULL else error.strerror or str(error)
        super().__init__(f"{path}: {why}", "make room on the disk; the bot goes on by itself then")


class Spool:
    """The updates that a bot has taken over and has not handled yet.

    May be used from any thread.

    Parameters:
        folder: of the spool's own; made where it is missing.

    Attributes:
        dead: the updates that were set aside.
        torn: bytes that were given up: at the log's end, where a crash had left a record that is not whole,
            or in its midst.
        saved: how many of the updates stood behind what was given up.
        damaged: where a log that is none of a spool, or what was given up, was put for people; None without.

    Raises:
        SpoolError: it cannot be opened.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "updates.log"
        self.dead = DeadLetters(folder / DEAD)
        self._contents = Contents()
        self._lock = threading.Lock()
        self._committing = threading.Lock()
        self._behind = bytearray()  # records that could not be written yet
        self._since: bytearray | None = None  # records that a new log, while it is written, lacks
        self._distrusted = False
        self._file = -1
        self._room = 0
        self.torn = self.saved = 0
        self.damaged: Path | None = None
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            self._size = self._read()
            self._forget_letters_put_back()
        except OSError as error:
            if self._file >= 0:
                os.close(self._file)
            raise SpoolError(self._path, error) from None

    @property
    def mark(self) -> int | None:
        """The id of the update that came last; None where none came, or so long ago that it says nothing."""
        fresh = time.time() - self._contents.marked_at <= MARK_S
        return self._contents.mark if fresh else None

    def pending(self) -> list[Entry]:
        """What is not done, in the order in which it came."""
        with self._lock:
            return list(self._contents.entries.values())

    def __len__(self) -> int:
        return len(self._contents.entries)

    def __contains__(self, update_id: int) -> bool:
        return update_id in self._contents.entries

    def attempts(self, update_id: int) -> int:
        """How often an update's handler was begun; 0 for an update that is not in the spool."""
        entry = self._contents.entries.get(update_id)
        return entry.attempts if entry else 0

    def append(self, batch: Sequence[tuple[int, bytes]]) -> list[int]:
        """Take updates in, ids with their JSON, all of them or none; ``commit`` makes that durable.

        Returns:
            The ids of those that are new.

        Raises:
            SpoolError: they cannot be stored.
        """
        with self._lock:
            known = self._contents.entries
            fresh = {number: Entry(number, raw) for number, raw in batch if number not in known}
            records = b"".join(holding(Kind.TAKEN, entry) for entry in fresh.values())
            if batch:
                mark, at = batch[-1][0], time.time()
                self._put(records + marking(mark, at))
                self._contents.mark, self._contents.marked_at = mark, at
            known.update(fresh)
        return list(fresh)

    def keep(self, update_id: int, raw: bytes, attempts: int = 0) -> None:
        """Put an update into the spool that did not just come from the Bot API.

        Parameters:
            attempts: how often its handler was begun before.

        Raises:
            SpoolError: it cannot be stored.
        """
        with self._lock:
            if update_id not in self._contents.entries:
                entry = Entry(update_id, raw, attempts)
                self._put(holding(Kind.KEPT, entry))
                self._contents.entries[update_id] = entry

    def attempt(self, update_id: int) -> int:
        """An update's handler begins: if nothing more is heard of it, the process died with it.

        Returns:
            The number of the attempt, from 1; 0 for an update that is not in the spool.
        """
        entry = self._note(Kind.BEGUN, update_id)
        return entry.attempts if entry else 0

    def let_go(self, update_id: int) -> None:
        """An update's handler was cancelled by an orderly end, which is not the update's fault."""
        self._note(Kind.LET_GO, update_id)

    def done(self, update_id: int) -> None:
        """An update is handled and leaves."""
        self._note(Kind.DONE, update_id)

    def set_aside(self, entry: Entry, reason: str, at: str) -> None:
        """An update leaves for the dead letters.

        Parameters:
            reason: why, in words.
            at: the present time, RFC 3339 in UTC.

        Raises:
            SpoolError: it cannot be stored there, and stays.
        """
        letter = DeadLetter(
            update_id=entry.update_id,
            reason=reason,
            at=at,
            attempts=entry.attempts,
            update=msgspec.Raw(entry.raw),
        )
        try:
            self.dead.put(letter)
        except OSError as error:
            raise SpoolError(self._path.parent, error) from None
        self.done(entry.update_id)

    def retry(self, update_id: int) -> bytes | None:
        """Take a dead letter back in, durably.

        Returns:
            Its JSON; None where there is no such dead letter.

        Raises:
            SpoolError: it cannot be stored; it stays where it was.
        """
        letter = self.dead.get(update_id)
        if letter is None:
            return None
        self.keep(update_id, bytes(letter.update), letter.attempts)
        self.commit()
        self.dead.remove(update_id)
        return bytes(letter.update)

    def take_back(self) -> list[int]:
        """Take in, durably, the dead letters that were asked back while nobody had this spool.

        Returns:
            The ids of the updates.

        Raises:
            SpoolError: one cannot be stored; the rest stay for the next time.
        """
        try:
            return [number for number in self.dead.asked_back() if self.retry(number) is not None]
        except OSError as error:
            raise SpoolError(self._path.parent, error) from None

    def commit(self) -> None:
        """Make durable what was written before this call. May wait for the disk: call it from a thread.

        Raises:
            SpoolError: the disk failed, or is still full. Nothing may be said to be stored until a later call
                succeeds.
        """
        with self._committing:
            if self._behind:
                with self._lock:
                    self._put(b"")
            try:
                # Somebody took the log away: what is written there would be lost with the process.
                self._distrusted = self._distrusted or not os.fstat(self._file).st_nlink
                if not (self._overgrown() and self._rewritten()):
                    self._make_room()
                    os.fdatasync(self._file)
            except OSError as error:
                # The kernel forgets what it could not write: a further fsync would find nothing amiss.
                self._distrusted = True
                raise SpoolError(self._path, error) from None

    def close(self) -> None:
        """Write what is left to be written, and close the log."""
        with suppress(SpoolError):
            with self._lock:
                self._put(b"")
            self.commit()
        os.close(self._file)
        self._file = -1  # what is still noted must not reach a file that gets this number

    def _read(self) -> int:
        """Take in the log and give up what of it is torn; how long the log is."""
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        data, aside = self._path.read_bytes(), self._path.with_suffix(".damaged")
        size = len(MAGIC)
        if not data.startswith(MAGIC):
            if not MAGIC.startswith(data):  # it is no spool's: put it out of the way, for people
                os.close(self._file)
                self._file = -1
                self._path.rename(aside)
                self.damaged = aside
                return self._read()
            _write_all(self._file, MAGIC, 0)
            for folder in self._path.parents[:2]:  # the log's name, and its folder's
                sync_folder(folder)
        size, torn = self._take_in(data, size)
        self._room = len(data)
        if tail := data[size:].rstrip(b"\0"):
            torn.append(tail)
            self._room = size
        self.torn = sum(map(len, torn))
        if torn:
            self.damaged = aside
            with suppress(OSError):  # a full disk; it is told in any case
                aside.write_bytes(b"".join(torn))
        if tail:
            os.ftruncate(self._file, size)
        return size

    def _take_in(self, data: bytes, size: int) -> tuple[int, list[bytes]]:
        """Take in the records from a place on; where the last one ends, and what stands between them."""
        torn: list[bytes] = []
        last, behind = None, set()
        for record in scan(data, size):
            if record.begin > size:
                torn.append(data[size : record.begin])
                self._contents.miss()
            if torn and record.kind in {Kind.TAKEN, Kind.KEPT}:
                behind.add(record.update_id)
            self._contents.apply(record.kind, record.update_id, record.rest)
            last, size = record.kind, record.end
        if torn:
            self._distrusted = True  # the next commit writes a log without the damage
        elif last is Kind.TAKEN:  # a batch was cut before its mark
            self._contents.marked_at = os.fstat(self._file).st_mtime
        self.saved = sum(number in self._contents.entries for number in behind)
        return size, torn

    def _forget_letters_put_back(self) -> None:
        """End what a crash may have left of a ``retry``: the letter of an update that is in the log again."""
        for number in self.dead.ids():
            entry = self._contents.entries.get(number)
            if entry is not None and not entry.deaths:
                self.dead.remove(number)

    def _note(self, kind: Kind, update_id: int) -> Entry | None:
        """Write what happens to an update; on a full disk that waits until there is room again."""
        with self._lock:
            entry = self._contents.entries.get(update_id)
            if entry is not None:
                record = encode(kind, update_id)
                self._contents.apply(kind, update_id, b"")
                try:
                    self._put(record)
                except SpoolError:
                    self._behind += record
        return entry

    def _put(self, records: bytes) -> None:
        data = bytes(self._behind) + records
        try:
            _write_all(self._file, data, self._size)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._file, self._size)
                self._room = self._size
            raise SpoolError(self._path, error) from None
        self._behind.clear()
        self._size += len(data)
        if self._since is not None:
            self._since += data

    def _make_room(self) -> None:
        """Write zeros behind the log's end, where few are left; a log without them is as good, but slower."""
        if self._room - self._size >= AHEAD // 4:
            return
        disk = os.fstatvfs(self._file)
        if disk.f_bavail * disk.f_frsize < _PLENTY:
            return
        with self._lock, suppress(OSError):
            begin, end = max(self._room, self._size), self._size + AHEAD
            _write_all(self._file, bytes(end - begin), begin)
            self._room = end

    def _overgrown(self) -> bool:
        if self._distrusted:
            return True
        return self._size > SLACK and self._size > SLACK + 2 * sum(len(each.raw) for each in self.pending())

    def _rewritten(self) -> bool:
        """Write what is left into a new log in the old one's place; whether that could be done.

        Writers wait only while what came meanwhile is copied.

        Raises:
            OSError: it could not, and the old log cannot be trusted either.
        """
        with self._lock:
            data, self._since = self._copy(), bytearray()
            behind, self._behind = self._behind, bytearray()
        new = self._path.with_suffix(".new")
        file = -1
        try:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            file = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            _write_all(file, data, 0)
            os.fsync(file)
            with self._lock:
                _write_all(file, bytes(self._since), len(data))
                new.rename(self._path)
                file, self._file = self._file, file
                self._size, self._since = len(data) + len(self._since), None
                self._room = self._size
        except OSError:
            with self._lock:
                self._behind, self._since = behind + self._behind, None
            with suppress(OSError):
                new.unlink()
            if self._distrusted:
                raise
            return False
        finally:
            if file >= 0:
                os.close(file)
        sync_folder(self._path.parent)
        self._distrusted = False
        return True

    def _copy(self) -> bytes:
        contents = self._contents
        mark = b"" if contents.mark is None else marking(contents.mark, contents.marked_at)
        return MAGIC + mark + b"".join(holding(Kind.KEPT, entry) for entry in contents.entries.values())


def _write_all(file: int, data: bytes, offset: int) -> None:
    while data:
        written = os.pwrite(file, data, offset)
        data, offset = data[written:], offset + written
