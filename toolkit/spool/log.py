"""A spool's log as a file: appended to, made durable, given room ahead, and written anew.

A write of whole records survives the death of the process; ``commit`` makes what was written survive a
power cut too, a whole batch with one fsync. When the log has grown by ``SLACK`` beyond what is left in it,
``commit`` writes that into a new one.
"""

import errno
import os
import threading
from contextlib import suppress
from pathlib import Path

from toolkit.errors import OddFileError, ToolkitError
from toolkit.files import sync_folder
from toolkit.regular_files import open_regular
from toolkit.spool.records import MAGIC, Contents, Kind, holding, marking, scan

SLACK = 4 * 1024 * 1024
# Zeros that stand written behind the log's end. On ext4 a sync of what overwrites them takes a tenth of the
# time of a sync of a file that grows, as the file system's journal has no part in it.
AHEAD = 128 * 1024
# A disk with less room than this is not filled with zeros.
_PLENTY = 64 * AHEAD
# Bytes; a log never gets so large, as a bot takes in a hundred updates at most before they are handled.
LARGEST = 1 << 30
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class SpoolError(ToolkitError):
    """The spool cannot be written; what is stored already is unharmed."""

    def __init__(self, path: Path, error: OSError) -> None:
        why = "no room left" if error.errno in _FULL else error.strerror or str(error)
        super().__init__(f"{path}: {why}", "make room on the disk; the bot goes on by itself then")


class Log:
    """The log of one spool.

    May be used from any thread.

    Parameters:
        path: the file; made where it is missing, with its folder.
        contents: what its records amount to; it is filled, and what is appended later is to be put in too.

    Attributes:
        lock: held by whoever changes the contents and appends what says so.
        size: where the last record ends, in bytes.
        torn, saved, damaged: as of the spool.

    Raises:
        SpoolError: it cannot be opened.
    """

    def __init__(self, path: Path, contents: Contents) -> None:
        self._path, self._contents = path, contents
        self.lock = threading.Lock()
        self._committing = threading.Lock()
        self._behind = bytearray()  # records that could not be written yet
        self._since: bytearray | None = None  # records that a new log, while it is written, lacks
        self._distrusted = False
        self._file = -1
        self._room = 0
        self.torn = self.saved = 0
        self.damaged: Path | None = None
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            self.size = self._read()
        except OSError as error:
            if self._file >= 0:
                os.close(self._file)
            raise SpoolError(path, error) from None

    def put(self, records: bytes) -> None:
        """Append whole records, after those that had to wait; hold the lock.

        Raises:
            SpoolError: they cannot be written.
        """
        data = bytes(self._behind) + records
        try:
            _write_all(self._file, data, self.size)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._file, self.size)
                self._room = self.size
            raise SpoolError(self._path, error) from None
        self._behind.clear()
        self.size += len(data)
        if self._since is not None:
            self._since += data

    def put_sometime(self, record: bytes) -> None:
        """Append a record; on a full disk it waits until there is room again. Hold the lock."""
        try:
            self.put(record)
        except SpoolError:
            self._behind += record

    def commit(self) -> None:
        """Make durable what was written before this call. May wait for the disk: call it from a thread.

        Raises:
            SpoolError: the disk failed, or is still full. Nothing may be said to be stored until a later call
                succeeds.
        """
        with self._committing:
            if self._behind:
                with self.lock:
                    self.put(b"")
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
            with self.lock:
                self.put(b"")
            self.commit()
        self.let_go()

    def let_go(self) -> None:
        """Close the log as it is."""
        # First, as what is still noted must not reach a file that gets this number.
        file, self._file = self._file, -1
        os.close(file)

    def _read(self) -> int:
        """Take in the log and give up what of it is torn; how long the log is."""
        aside = self._path.with_suffix(".damaged")
        data = self._opened()
        size = len(MAGIC)
        if data is None or not data.startswith(MAGIC):
            if data is None or not MAGIC.startswith(data):  # no spool's: put it out of the way, for people
                if self._file >= 0:
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
            with suppress(OSError, OddFileError):  # a full disk; it is told in any case
                _keep(aside, b"".join(torn))
        if tail:
            os.ftruncate(self._file, size)
        return size

    def _opened(self) -> bytes | None:
        """What is in the log, which is open from then on; None where that cannot be one, as in a pipe."""
        try:
            self._file = open_regular(self._path, os.O_RDWR | os.O_CREAT, follow=True)
        except OddFileError:
            return None
        if os.fstat(self._file).st_size > LARGEST:
            return None
        with open(self._file, "rb", closefd=False) as file:
            return file.read()

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

    def _make_room(self) -> None:
        """Write zeros behind the log's end, where few are left; a log without them is as good, but slower."""
        if self._room - self.size >= AHEAD // 4:
            return
        disk = os.fstatvfs(self._file)
        if disk.f_bavail * disk.f_frsize < _PLENTY:
            return
        with self.lock, suppress(OSError):
            begin, end = max(self._room, self.size), self.size + AHEAD
            _write_all(self._file, bytes(end - begin), begin)
            self._room = end

    def _overgrown(self) -> bool:
        if self._distrusted:
            return True
        if self.size <= SLACK:
            return False
        with self.lock:
            entries = list(self._contents.entries.values())
        return self.size > SLACK + 2 * sum(len(each.raw) for each in entries)

    def _rewritten(self) -> bool:
        """Write what is left into a new log in the old one's place; whether that could be done.

        Writers wait only while what came meanwhile is copied.

        Raises:
            OSError: it could not, and the old log cannot be trusted either.
        """
        with self.lock:
            data, self._since = self._copy(), bytearray()
            behind, self._behind = self._behind, bytearray()
        new = self._path.with_suffix(".new")
        file = -1
        try:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            file = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            _write_all(file, data, 0)
            os.fsync(file)
            with self.lock:
                _write_all(file, bytes(self._since), len(data))
                new.rename(self._path)
                file, self._file = self._file, file
                self.size, self._since = len(data) + len(self._since), None
                self._room = self.size
        except OSError:
            with self.lock:
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


def _keep(path: Path, data: bytes) -> None:
    with open(open_regular(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as file:
        file.write(data)


def _write_all(file: int, data: bytes, offset: int) -> None:
    while data:
        written = os.pwrite(file, data, offset)
        data, offset = data[written:], offset + written
