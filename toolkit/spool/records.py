"""The form of a spool's log: records one after another, each with its checksum. No I/O.

A record is the CRC-32 of what follows it, the body's length, and the body: a letter for its kind, the
update's id, and what the kind needs. What a crash left torn at the end does not fit its checksum.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

MAGIC = b"bot-spool 1\n"
LONGEST = 16 * 1024 * 1024
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


def scan(data: bytes, begin: int) -> Iterator[tuple[int, Kind, int, bytes]]:
    """The records of a log up to its end, or to the first that is not whole.

    Parameters:
        data: the log.
        begin: where its first record stands.

    Returns:
        For each where it ends, its kind, the update's id, and the rest of its body.
    """
    head = _CRC.size + _LENGTH.size
    while begin + head <= len(data):
        (length,) = _LENGTH.unpack_from(data, begin + _CRC.size)
        end = begin + head + length
        if not _BODY.size <= length <= LONGEST or end > len(data):
            return
        (crc,) = _CRC.unpack_from(data, begin)
        if zlib.crc32(data[begin + _CRC.size : end]) != crc:
            return
        kind, update_id = _BODY.unpack_from(data, begin + head)
        yield end, Kind(kind), update_id, data[begin + head + _BODY.size : end]
        begin = end


class Contents:
    """What a log's records, one after another, amount to.

    Attributes:
        entries: the updates that are not done, in the order in which they came.
        mark: the update that came last from the Bot API; None before the first.
        marked_at: when it came, in seconds since the epoch.
    """

    def __init__(self) -> None:
        self.entries: dict[int, Entry] = {}
        self.mark: int | None = None
        self.marked_at = 0.0

    def apply(self, kind: Kind, update_id: int, rest: bytes) -> None:
        """Take in one record."""
        if kind in {Kind.TAKEN, Kind.MARK}:
            self.mark = update_id
        if kind is Kind.MARK:
            (self.marked_at,) = _TIME.unpack(rest)
        if kind in {Kind.TAKEN, Kind.KEPT}:
            attempts, deaths = _COUNTS.unpack_from(rest)
            self.entries.setdefault(update_id, Entry(update_id, rest[_COUNTS.size :], attempts, deaths))
        elif kind is Kind.DONE:
            self.entries.pop(update_id, None)
        elif entry := self.entries.get(update_id):
            entry.attempts += kind is Kind.BEGUN
            entry.deaths += {Kind.BEGUN: 1, Kind.LET_GO: -1}.get(kind, 0)
