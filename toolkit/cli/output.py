"""What people and programs see: text, tables, colour with meaning, JSON, progress."""

import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Self, TextIO

from toolkit.errors import ToolkitError

_KILO = 1000
_ELSEWHERE = "have the output go elsewhere; `toolkit bot list` tells how the bots are"
_GREEN, _YELLOW, _RED, _DIM = "32", "33", "31", "2"
# What a terminal would obey, all but tabs and line breaks, or what has it show something else than stands
# there: text turned round (UAX #9), line breaks of other kinds, what is not seen at all. Joiners stay:
# scripts and emoji need them.
_DECEIVING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
STATE_COLOURS = {
    "RUNNING": _GREEN,
    "DEGRADED": _YELLOW,
    "INITIALIZING": _YELLOW,
    "STARTING": _YELLOW,
    "BACKOFF": _YELLOW,
    "PAUSED": _YELLOW,
    "FAILED": _RED,
    "QUARANTINED": _RED,
    "STOPPED": _DIM,
    "DEFINED": _DIM,
}


def shown(text: str) -> str:
    """The text with what a terminal would obey as escapes, as journalctl has it; it may come from anybody."""
    return _DECEIVING.sub(lambda found: ascii(found[0])[1:-1].replace("\\r", "\\x0d"), text)


def echo(text: str = "") -> None:
    """A line on standard output, flushed where somebody follows it."""
    _write(shown(text))


def note(text: str) -> None:
    """A line on standard error, which leaves standard output to what was asked for."""
    _remark(f"{shown(text)}\n")


def emit_json(value: dict[str, Any]) -> None:
    """One JSON document, with the version of its shape first."""
    echo(json_text({"version": 1} | value, indent=2))


def json_text(value: object, indent: int | None = None) -> str:
    """JSON, with what ``shown`` escapes as JSON's own escapes: it means the same."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return _DECEIVING.sub(lambda found: json.dumps(found[0])[1:-1].replace("\x7f", "\\u007f"), text)


def error(message: str, hint: str = "") -> None:
    """An error, and what to do about it."""
    _remark(f"{_painted('error:', _RED, _coloured(sys.stderr))} {shown(message)}\n")
    if hint:
        note(f"hint: {hint}")


def _write(line: str) -> None:
    try:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as fault:
        raise ToolkitError(f"standard output cannot be written: {fault.strerror}", _ELSEWHERE) from None


def _remark(text: str) -> None:
    # Whoever reads it may have left, which is no reason to leave a change half done.
    with suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()


def table(
    rows: Iterable[Sequence[str]], headers: Sequence[str], *, sentences: int = 0, spare: str = ""
) -> None:
    """Aligned columns; states are coloured on a terminal.

    Parameters:
        sentences: how many of the last columns stand below their row where a terminal is too narrow, each a
            line, so that what is to be copied is not broken.
        spare: the column that is left out there first.
    """
    lines = [list(headers), *([shown(cell).replace("\n", "\\n") for cell in row] for row in rows)]
    if spare and _too_wide(lines):
        column = lines[0].index(spare)
        lines = [line[:column] + line[column + 1 :] for line in lines]
    beside = len(lines[0]) - (sentences if _too_wide(lines) else 0)
    widths = _widths(lines)[:beside]
    colour = _coloured(sys.stdout)
    for number, line in enumerate(lines):
        cells = [
            _painted(cell, STATE_COLOURS.get(cell, ""), colour) + " " * (width - len(cell))
            for cell, width in zip(line, widths, strict=False)
        ]
        _write("  ".join(cells).rstrip())
        for name, cell in zip(lines[0][beside:], line[beside:], strict=True):
            if number and cell not in ("", "-"):
                _write(f"  {name.lower()}: {cell}")


def _widths(lines: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*lines, strict=True)]


def _too_wide(lines: Sequence[Sequence[str]]) -> bool:
    """Whether a terminal would break the lines; one that does not know its width breaks none."""
    widths = _widths(lines)
    columns = os.get_terminal_size(sys.stdout.fileno()).columns if sys.stdout.isatty() else 0
    return 0 < columns < sum(widths) + 2 * (len(widths) - 1)


def _coloured(stream: TextIO) -> bool:
    """Whether colour is shown and wanted there: on a terminal, unless NO_COLOR is set (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _painted(text: str, code: str, on: bool) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if on and code else text


def size(count: int | None) -> str:
    """Bytes for people, such as ``34.2 MB``; ``-`` where unknown."""
    if count is None:
        return "-"
    value, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= _KILO and len(units) > 1:
        value /= _KILO
        units.pop(0)
    return f"{value:.0f} {units[0]}" if units[0] in ("B", "kB") else f"{value:.1f} {units[0]}"


def duration(seconds: float | None) -> str:
    """Seconds for people, such as ``3d 4h``; ``-`` where unknown."""
    if seconds is None:
        return "-"
    whole = int(seconds)
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "m"), (whole % 60, "s")]
    first = next((i for i, (count, _) in enumerate(parts) if count), 3)
    return " ".join(f"{count}{unit}" for count, unit in parts[first : first + 2])


class Progress:
    """How far long work is: one line that is rewritten on a terminal, nothing where output is piped.

    With the end of its context it is taken away.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def __call__(self, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` bots have settled."""
        if sys.stderr.isatty():
            _remark(f"\r{self._what}: {done}/{total} ")
            self._shown = True

    def clear(self) -> None:
        """Take the line away, so that other text can stand there."""
        if self._shown:
            _remark("\r\x1b[K")
            self._shown = False

    def line(self, text: str) -> None:
        """A line of its own beside the progress."""
        self.clear()
        note(text)
