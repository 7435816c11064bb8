"""A crash-safe queue of updates in a bot's state folder.

One log, appended to. A write of whole records survives the death of the process; ``commit`` makes what was
written survive a power cut too, a whole batch with one fsync. Only a batch's own ``append`` needs that
before Telegram is told that it has come: an attempt or a done that a power cut takes away leads to a
repeat, never to a loss. So handlers wait for a write into the page cache at most (microseconds), and a
thread waits for the disk.

That is what ``log`` does; ``records`` has its form, ``dead`` what was set aside.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

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
from toolkit.spool.log import Log, SpoolError
from toolkit.spool.records import LARGEST_ID, Contents, Entry, Kind, encode, holding, marking

__all__ = [
    "LARGEST_ID",
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

# After a week without updates Telegram may begin anew with any id
# (https://core.telegram.org/bots/api#update): an older mark would hide what comes then.
MARK_S = 2 * 24 * 3600.0


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
        self._folder = folder
        self.dead = DeadLetters(folder / DEAD)
        self._contents = Contents()
        self._log = Log(folder / "updates.log", self._contents)
        self.torn, self.saved, self.damaged = self._log.torn, self._log.saved, self._log.damaged
        try:
            self._forget_letters_put_back()
        except OSError as error:
            self._log.let_go()
            raise SpoolError(folder, error) from None

    @property
    def mark(self) -> int | None:
        """The id of the update that came last; None where none came, or so long ago that it says nothing."""
        fresh = time.time() - self._contents.marked_at <= MARK_S
        return self._contents.mark if fresh else None

    def pending(self) -> list[Entry]:
        """What is not done, in the order in which it came."""
        with self._log.lock:
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
        with self._log.lock:
            known = self._contents.entries
            fresh = {number: Entry(number, raw) for number, raw in batch if number not in known}
            records = b"".join(holding(Kind.TAKEN, entry) for entry in fresh.values())
            if batch:
                mark, at = batch[-1][0], time.time()
                self._log.put(records + marking(mark, at))
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
        with self._log.lock:
            if update_id not in self._contents.entries:
                entry = Entry(update_id, raw, attempts)
                self._log.put(holding(Kind.KEPT, entry))
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
            raise SpoolError(self._folder, error) from None
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
            raise SpoolError(self._folder, error) from None

    def commit(self) -> None:
        """Make durable what was written before this call. May wait for the disk: call it from a thread.

        Raises:
            SpoolError: the disk failed, or is still full. Nothing may be said to be stored until a later call
                succeeds.
        """
        self._log.commit()

    def close(self) -> None:
        """Write what is left to be written, and close the log."""
        self._log.close()

    def _forget_letters_put_back(self) -> None:
        """End what a crash may have left of a ``retry``: the letter of an update that is in the log again."""
        for number in self.dead.ids():
            entry = self._contents.entries.get(number)
            if entry is not None and not entry.deaths:
                self.dead.remove(number)

    def _note(self, kind: Kind, update_id: int) -> Entry | None:
        """Write what happens to an update; on a full disk that waits until there is room again."""
        with self._log.lock:
            entry = self._contents.entries.get(update_id)
            if entry is not None:
                self._contents.apply(kind, update_id, b"")
                self._log.put_sometime(encode(kind, update_id))
        return entry
