"""Read bots' logs: the last lines, since a time, by a pattern, and on as they grow."""

import heapq
import json
import os
import re
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol, TextIO

from toolkit.clock import rfc3339
from toolkit.errors import OddFileError, UsageError
from toolkit.regular_files import open_regular

POLL_S = 0.2
# Characters of a line, and of all that belongs to one record: what is beyond is left out.
_LONGEST = 1_000_000
_TEXT = re.compile(r"(\d{4}-\d\d-\d\dT[\d:.]+Z) ([A-Z]+) ([^:]*): (.*)")
# Of each line that continues a record.
INDENT = "    "
_AGO = re.compile(r"(\d+)([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """One record of a log; continued lines and exceptions are part of it."""

    ts: str
    bot: str
    level: str
    logger: str
    message: str
    exception: str = ""

    def as_text(self, *, with_bot: bool) -> str:
        """The record as a person reads it: what continues it is indented, so that it looks like no other."""
        first, *more = self.message.split("\n")
        head = f"{self.ts} {self.bot + ' ' if with_bot else ''}{self.level:<7} {self.logger}: {first}"
        lines = [*_indented(more), *(_indented(self.exception.split("\n")) if self.exception else [])]
        return "\n".join([head.replace("\n", "\\n"), *lines])

    def as_json(self) -> dict[str, str]:
        """The stable shape of ``--json``, one object a line."""
        shape = {"bot": self.bot, "ts": self.ts, "level": self.level, "logger": self.logger}
        return shape | {"message": self.message} | ({"exception": self.exception} if self.exception else {})


def _indented(lines: list[str]) -> list[str]:
    """Lines as runners continue a record in a log of text, where they are not so yet."""
    if all(line.startswith(INDENT) for line in lines):
        return lines
    return [INDENT + line for line in lines]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records are wanted.

    Parameters:
        since: RFC 3339 in UTC, the earliest; "" for all.
        pattern: searched in the record's text.
    """

    since: str = ""
    pattern: re.Pattern[str] | None = None

    def admits(self, line: Line) -> bool:
        """Whether a record is wanted."""
        if self.since and line.ts < self.since:
            return False
        return self.pattern is None or bool(self.pattern.search(line.as_text(with_bot=False)))


def parse_since(text: str, now: datetime) -> str:
    """A time or an age (``90s``, ``10m``, ``2h``, ``3d``) as logs write it.

    Raises:
        UsageError: it is neither.
    """
    age = _AGO.fullmatch(text)
    try:
        at = now - timedelta(**{_UNITS[age[2]]: int(age[1])}) if age else datetime.fromisoformat(text)
        return rfc3339(at.timestamp())
    except (ValueError, OverflowError):
        hint = "give an age such as 10m, or a time such as 2026-01-31T08:00:00Z"
        raise UsageError(f"--since {text}: neither an age nor a time", hint) from None


def parse_line(bot: str, text: str) -> Line:
    """One line of a log file, JSON or readable text; anything else is kept as it is, without a time."""
    if text.startswith("{"):
        try:
            record = json.loads(text)
            keys = ("level", "logger", "message", "exception")
            return Line(str(record["ts"]), bot, *(str(record.get(key, "")) for key in keys))
        except (ValueError, KeyError, TypeError):
            pass
    match = _TEXT.match(text)
    return Line(match[1], bot, match[2], match[3], match[4]) if match else Line("", bot, "", "", text)


def _joined(bot: str, lines: Iterator[str]) -> Iterator[Line]:
    """Records: lines without a time belong to the record before them."""
    pending: Line | None = None
    rest: list[str] = []
    length = 0
    for text in lines:
        line = parse_line(bot, text.rstrip("\n"))
        if line.ts or pending is None:
            if pending:
                yield _with(pending, rest)
            pending, rest, length = line, [], 0
        else:
            length += len(line.message)
            if length <= _LONGEST:
                rest.append(line.message)
    if pending:
        yield _with(pending, rest)


def _with(line: Line, rest: list[str]) -> Line:
    if not rest:
        return line
    exception = "\n".join(filter(None, (line.exception, *rest)))
    return Line(line.ts, line.bot, line.level, line.logger, line.message, exception)


def _rotated(path: Path) -> list[Path]:
    """The log and its rotated files, the oldest first."""
    numbered = [
        (int(p.suffix[1:]), p) for p in path.parent.glob(f"{path.name}.*") if p.suffix[1:].isdecimal()
    ]
    return [p for _, p in sorted(numbered, reverse=True)] + ([path] if os.path.lexists(path) else [])


def _open(path: Path) -> TextIO:
    """A log file; a bot may put whatever it likes into its place."""
    return open(open_regular(path), encoding="utf-8", errors="replace")


def _pieces(file: TextIO) -> Iterator[str]:
    """Its lines; of one that is endless, pieces."""
    return iter(lambda: file.readline(_LONGEST), "")


def _records(bot: str, path: Path, wanted: Filter, count: int | None) -> list[Line]:
    """The newest records of one bot; older files are read only where the newer ones are not enough."""
    records: deque[Line] = deque(maxlen=count)
    for file in reversed(_rotated(path)):
        room = None if count is None else count - len(records)
        if room == 0:
            break
        with suppress(FileNotFoundError), _open(file) as opened:
            joined = _joined(bot, _pieces(opened))
            records.extendleft(reversed(deque(filter(wanted.admits, joined), maxlen=room)))
    return list(records)


class LogSource(Protocol):
    """Where the logs of some bots are read.

    Parameters:
        faults: what ``last`` could not read.
    """

    faults: list[OddFileError]

    def last(self, wanted: Filter, count: int | None) -> list[Line]:
        """The newest records, in the order of time, so many at most."""
        ...

    def follow(self, wanted: Filter) -> Iterator[Line]:
        """Records written since then, for ever; the caller ends it."""
        ...


class LogFiles:
    """Log files, as runners under supervisord write them.

    Parameters:
        logs: the log file of each bot, by name.
        follow: whether they are to be followed: their ends are marked now, so that no line falls between.
    """

    def __init__(self, logs: Mapping[str, Path], *, follow: bool = False) -> None:
        self._logs = logs
        self.faults: list[OddFileError] = []
        self._tails = [_Tail(bot, path) for bot, path in logs.items()] if follow else []

    def last(self, wanted: Filter, count: int | None) -> list[Line]:
        """The newest records, in the order of time.

        Parameters:
            count: how many at most; None for all.
        """
        each = []
        for bot, path in self._logs.items():
            try:
                each.append(_records(bot, path, wanted, count))
            except OddFileError as error:
                self.faults.append(error)
        merged = heapq.merge(*each, key=lambda line: line.ts)
        return list(deque(merged, maxlen=count))

    def follow(self, wanted: Filter) -> Iterator[Line]:
        """Records written since the files were marked, for ever; the caller ends it."""
        return _grow(self._tails, wanted)


class _Tail:
    """The end of one growing file, followed through rotations."""

    def __init__(self, bot: str, path: Path) -> None:
        self._bot, self._path = bot, path
        self._file = self._open()
        if self._file:
            self._file.seek(0, os.SEEK_END)

    def _open(self) -> TextIO | None:
        with suppress(FileNotFoundError, OddFileError):
            return _open(self._path)
        return None

    def grown(self) -> list[Line]:
        lines = self._whole_lines()
        if self._moved():
            self.close()
            self._file = self._open()
            lines += self._whole_lines()
        return list(_joined(self._bot, iter(lines)))

    def close(self) -> None:
        if self._file:
            self._file.close()

    def _moved(self) -> bool:
        try:
            return self._file is None or os.fstat(self._file.fileno()).st_ino != self._path.lstat().st_ino
        except FileNotFoundError:
            return False

    def _whole_lines(self) -> list[str]:
        lines: list[str] = []
        while self._file:
            place = self._file.tell()
            line = self._file.readline(_LONGEST)
            if not line.endswith("\n") and len(line) < _LONGEST:
                self._file.seek(place)
                break
            lines.append(line)
        return lines


def _grow(tails: list[_Tail], wanted: Filter) -> Iterator[Line]:
    try:
        while True:
            fresh = [line for tail in tails for line in tail.grown() if wanted.admits(line)]
            yield from sorted(fresh, key=lambda line: line.ts)
            if not fresh:
                time.sleep(POLL_S)
    finally:
        for tail in tails:
            tail.close()
