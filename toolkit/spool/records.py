"""The form of a spool's log: records one after another, each with its checksum. No I/O.

A record is the CRC-32 of what follows it, the body's length, and the body: a letter for its kind, the
update's id, and what the kind needs. What a crash left torn at the end does not fit its checksum.

Behind a place that is damaged the records are found again: before its letter each has a zero byte, the
length's highest, and an update's JSON, whatever somebody wrote to the bot, can hold none (RFC 8259, 7).
"""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

MAGIC = b"bot-spool 1\n"
LONGEST = 16 * 1024 * 1024 - 1
LARGEST_ID = 2**63 - 1
_CRC = struct.Struct("<I")
_LENGTH = struct.Struct("<I")
_BODY = struct.Struct("<Bq")
_COUNTS = struct.Struct("<HH")
_TIME = struct.Struct("<d")
_MOST = 0xFFFF


class Kind(IntEnum):
    """What a record says of an update."""

    TAKEN = ord("U")  # it came from the Bot API; all up to it have come
    KEPT = ord("K")  # it is in the spool: carried over from an older log, or put back by an operator
    MARK = ord("W")  # all up to it have come, at this time; it itself is not kept
    BEGUN = ord("A")  # its handler begins
    LET_GO = ord("C")  # its handler was cancelled by an orderly end
    DONE = ord("D")  # it leaves the spool


@dataclass(slots=True)
class Entry:
    """One update in the spool.

    Parameters:
        update_id: Telegram's.
        raw: its JSON.
        attempts: how often its handler was begun.
        deaths: how often that was the last that was heard of the process.
    """

    update_id: int
    raw: bytes
    attempts: int = 0
    deaths: int = 0


def encode(kind: Kind, update_id: int, rest: bytes = b"") -> bytes:
    """One record."""
    body = _BODY.pack(kind, update_id) + rest
    checked = _LENGTH.pack(len(body)) + body
    return _CRC.pack(zlib.crc32(checked)) + checked


def holding(kind: Kind, entry: Entry) -> bytes:
    """The record, TAKEN or KEPT, that holds an update."""
    counts = _COUNTS.pack(min(entry.attempts, _MOST), min(entry.deaths, _MOST))
    return encode(kind, entry.update_id, counts + entry.raw)


def marking(update_id: int, at: float) -> bytes:
    """The record, MARK, that all updates up to this one have come.

    Parameters:
        at: when, in seconds since the epoch.
    """
    return encode(Kind.MARK, update_id, _TIME.pack(at))


class Record(NamedTuple):
    """A whole record: where it stands, its kind, the update's id, and the rest of its body."""

    begin: int
    end: int
    kind: Kind
    update_id: int
    rest: bytes


_HEAD = _CRC.size + _LENGTH.size
_LETTERS = bytes(Kind)
_MAY_BEGIN = re.compile(b"\0[" + _LETTERS + b"]")
_REST = {Kind.TAKEN: _COUNTS.size, Kind.KEPT: _COUNTS.size, Kind.MARK: _TIME.size}


def scan(data: bytes, begin: int) -> Iterator[Record]:
    """The records of a log, those behind a place that is damaged too.

    Parameters:
        data: the log.
        begin: where its first record stands.
    """
    place: int | None = begin
    while place is not None:
        record = _whole(data, place)
        if record:
            yield record
            place = record.end
        else:
            place = _next_place(data, place)


def _whole(data: bytes, begin: int) -> Record | None:
    """The record that stands here; None where none does, or one that is not whole."""
    if begin + _HEAD + _BODY.size > len(data):
        return None
    (length,) = _LENGTH.unpack_from(data, begin + _CRC.size)
    end = begin + _HEAD + length
    letter, update_id = _BODY.unpack_from(data, begin + _HEAD)
    if letter not in _LETTERS or length > LONGEST or end > len(data):
        return None
    if length < _BODY.size + _REST.get(Kind(letter), 0):
        return None
    (crc,) = _CRC.unpack_from(data, begin)
    if zlib.crc32(data[begin + _CRC.size : end]) != crc:
        return None
    return Record(begin, end, Kind(letter), update_id, data[begin + _HEAD + _BODY.size : end])


def _next_place(data: bytes, place: int) -> int | None:
    """The next place behind this one where a record may begin."""
    found = _MAY_BEGIN.search(data, place + _HEAD)
    return None if found is None else found.end() - 1 - _HEAD


class Contents:
    """What a log's records, one after another, amount to.

    Attributes:
        entries: the updates that are not done, in the order in which they came.
        mark: the update that came last from the Bot API; None before the first.
        marked_at: when it came, in seconds since the epoch.
    """

    def __init__(self) -> None:
        self._damaged = False
        self.entries: dict[int, Entry] = {}
        self.mark: int | None = None
        self.marked_at = 0.0

    def miss(self) -> None:
        """Records are lost here.

        A mark behind this place may be of a batch that is lost in part, which Telegram is not told of
        yet: it says nothing. With an older one Telegram only gives what it was not told of either.
        """
        self._damaged = True

    def apply(self, kind: Kind, update_id: int, rest: bytes) -> None:
        """Take in one record."""
        if kind in {Kind.TAKEN, Kind.MARK} and not self._damaged:
            self.mark = update_id
            if kind is Kind.MARK:
                (self.marked_at,) = _TIME.unpack_from(rest)
        if kind in {Kind.TAKEN, Kind.KEPT}:
            attempts, deaths = _COUNTS.unpack_from(rest)
            self.entries.setdefault(update_id, Entry(update_id, rest[_COUNTS.size :], attempts, deaths))
        elif kind is Kind.DONE:
            self.entries.pop(update_id, None)
        elif entry := self.entries.get(update_id):
            entry.attempts += kind is Kind.BEGUN
            entry.deaths = max(0, entry.deaths + {Kind.BEGUN: 1, Kind.LET_GO: -1}.get(kind, 0))
