"""Tables fit the terminal that they are shown on."""

import contextlib
import fcntl
import os
import pty
import struct
import sys
import termios

import pytest

from toolkit.cli.output import table

HEADERS = ("NAME", "BACKEND", "STATE", "REASON", "HINT")
ROWS = [
    ("alice", "supervisord", "FAILED", "it ended", "`toolkit bot logs alice`"),
    ("bob", "x", "y", "-", ""),
]
WHOLE = [
    "NAME   BACKEND      STATE   REASON    HINT",
    "alice  supervisord  FAILED  it ended  `toolkit bot logs alice`",
    "bob    x            y       -",
]


def _all_of(terminal):
    """A terminal that nobody writes to any more ends with EIO."""
    with contextlib.suppress(OSError):
        while chunk := os.read(terminal, 10_000):
            yield chunk


@pytest.fixture
def shown_at(monkeypatch):
    """What a table of ROWS is on a terminal of so many columns."""
    monkeypatch.setenv("NO_COLOR", "1")

    def show(columns, **options):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        with os.fdopen(theirs, "w") as terminal, monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", terminal)
            table(ROWS, HEADERS, **options)
        shown = b"".join(_all_of(ours)).decode().splitlines()
        os.close(ours)
        return shown

    return show


@pytest.mark.parametrize("columns", [0, len(WHOLE[1]), 200])
def test_a_table_that_fits_is_shown_as_it_is(shown_at, columns):
    assert shown_at(columns, sentences=2, spare="BACKEND") == WHOLE


def test_a_narrow_terminal_gets_the_sentences_below_and_no_spare_column(shown_at):
    assert shown_at(len(WHOLE[1]) - 1, spare="BACKEND", sentences=2) == [
        "NAME   STATE   REASON    HINT",
        "alice  FAILED  it ended  `toolkit bot logs alice`",
        "bob    y       -",
    ]
    assert shown_at(40, spare="BACKEND", sentences=2) == [
        "NAME   STATE",
        "alice  FAILED",
        "  reason: it ended",
        "  hint: `toolkit bot logs alice`",
        "bob    y",
    ]
    assert shown_at(40) == WHOLE


def test_what_is_piped_is_one_line_a_row(capsys):
    table(ROWS, HEADERS, sentences=2, spare="BACKEND")
    assert capsys.readouterr().out.splitlines() == WHOLE
