"""Lines, their redaction, their file, and what the bot prints."""

import json
import logging
import subprocess
import sys
from pathlib import Path
from types import TracebackType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot_runner import logs
from bot_runner.logs import Line, LogWriter, QueueHandler, RotatingFile, render
from bot_runner.redaction import Redactor
from bot_runner.stray import KEPT_BACK, MAX_PIECE, LineCutter
from toolkit.botfile import Log

SECRET = "S3cr3t-t0ken_" * 3
TOKEN = f"123456789:{SECRET}"


@pytest.fixture
def redact() -> Redactor:
    made = Redactor()
    made.learn(TOKEN)
    return made


@pytest.mark.parametrize(
    "text",
    [
        TOKEN,
        f"https://api.telegram.org/bot{TOKEN}/getMe",
        f"123456789%3A{SECRET}",
        f"b'{TOKEN}'",
        SECRET,
        "999999:" + "x" * 35,
    ],
)
def test_tokens_are_taken_out(redact, text):
    clean = redact(f"before {text} after")
    assert SECRET not in clean
    assert "x" * 35 not in clean
    assert clean.startswith("before ")
    assert clean.endswith(" after")


def test_a_reason_is_one_short_line(redact):
    assert redact.line(f"a\n b\t{TOKEN} " + "x" * 999) == f"a b 123456789:*** {'x' * 999}"[:300]


def test_a_line_as_json_and_as_text():
    line = Line(1795420800.1239, "ERROR", "alice", "first\nsecond", "Traceback\n  here")
    assert json.loads(render(line, "json")) == {
        "ts": "2026-11-23T08:00:00.123Z",
        "level": "ERROR",
        "logger": "alice",
        "message": "first\nsecond",
        "exception": "Traceback\n  here",
    }
    assert render(line, "text").decode() == (
        "2026-11-23T08:00:00.123Z ERROR alice: first\n    second\n    Traceback\n      here\n"
    )


def test_a_file_rotates_and_keeps_a_few(tmp_path: Path):
    file = RotatingFile(tmp_path / "log", max_bytes=20, keep=2)
    for number in range(10):
        file.write(b"%09d\n" % number)
    file.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "log.1", "log.2"]
    assert (tmp_path / "log").read_text() == "000000008\n000000009\n"
    assert (tmp_path / "log.2").read_text() == "000000004\n000000005\n"


def test_a_file_that_was_moved_away_begins_anew(tmp_path: Path):
    file = RotatingFile(tmp_path / "log", max_bytes=0, keep=0)
    file.write(b"one\n")
    (tmp_path / "log").rename(tmp_path / "elsewhere")
    file.write(b"two\n")
    file.close()
    assert (tmp_path / "log").read_text() == "two\n"


def test_what_is_lost_is_said(tmp_path: Path):
    (tmp_path / "no").mkdir()
    target = tmp_path / "no" / "log"
    writer = LogWriter(target, Log(format="text"))
    target.parent.rmdir()
    writer.put(Line(0, "INFO", "a", "lost"))
    assert writer.flush(5)
    target.parent.mkdir()
    writer.put(Line(0, "INFO", "a", "kept"))
    assert writer.flush(5)
    text = target.read_text()
    assert "a: kept" in text
    assert "1 log lines were lost" in text


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("odd", [Line(1e20, "INFO", "a", "odd"), Line(0, "INFO", "\udc80", "odd")])
def test_a_line_that_cannot_be_written_is_told_and_ends_no_log(tmp_path: Path, form, odd):
    writer = LogWriter(tmp_path / "log", Log(format=form))
    writer.put(odd)
    writer.put(Line(0, "INFO", "a", "the next"))
    assert writer.flush(5)
    told, following = (tmp_path / "log").read_text().splitlines()
    assert "cannot be written: " in told
    assert "the next" in following


def test_a_flood_is_bounded_and_said(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(logs, "MAX_QUEUED", 5)
    writer = LogWriter(tmp_path / "log", Log(format="text"))
    for number in range(20_000):
        writer.put(Line(0, "INFO", "a", str(number)))
    assert writer.flush(10)
    text = (tmp_path / "log").read_text()
    assert "log lines were lost" in text
    assert text.startswith("1970-01-01T00:00:00.000Z INFO a: 0\n")


def test_the_journal_gets_a_priority_before_every_line():
    line = Line(0, "ERROR", "app", "two\nlines", "Traceback:\n  it")
    assert render(line, logs.JOURNAL) == b"<3>app: two\n<3>    lines\n<3>    Traceback:\n<3>      it\n"
    assert render(Line(0, "odd", "a", "b"), logs.JOURNAL) == b"<6>a: b\n"


def test_without_a_file_the_log_goes_to_standard_error():
    done = subprocess.run(
        [sys.executable, "-c", TO_JOURNAL], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stderr == "<4>app: careful\n"


TO_JOURNAL = """
from bot_runner.logs import Line, LogWriter
from toolkit.botfile import Log
writer = LogWriter(None, Log())
writer.put(Line(0, "WARNING", "app", "careful"))
assert writer.flush(10)
"""


class Collects(LogWriter):
    def __init__(self) -> None:
        self.lines: list[Line] = []

    def put(self, line: Line) -> None:
        self.lines.append(line)


class Unwilling:
    def __str__(self) -> str:
        raise RuntimeError("no")


def emit(redact: Redactor, *args, name: str = "app", **kwargs) -> Line:
    """What becomes of one call of a logger, records made as `install` has them made."""
    writer = Collects()
    factory = logs._redacting_factory(redact)
    record = factory(name, logging.ERROR, "file", 1, *args, **kwargs)
    QueueHandler(writer, redact).emit(record)
    return writer.lines[0]


def raised() -> tuple[type[ValueError], ValueError, TracebackType | None]:
    """What a handler's failure with the token in its text looks like."""
    try:
        int(TOKEN)
    except ValueError as error:
        return ValueError, error, error.__traceback__
    raise AssertionError


def test_messages_arguments_and_tracebacks_are_redacted(redact):
    assert emit(redact, "token %s", (TOKEN,), None).message == "token 123456789:***"
    line = emit(redact, "failed", (), raised())
    assert SECRET not in line.exception
    assert "base 10: '123456789:***'" in line.exception


def test_handlers_that_the_app_adds_write_no_token_either(redact):
    factory = logs._redacting_factory(redact)
    record = factory("app", logging.ERROR, "file", 1, "%s", (TOKEN,), raised())
    assert SECRET not in logging.Formatter().format(record)


def test_what_cannot_be_formatted_is_said(redact):
    assert "cannot be formatted" in emit(redact, "%d", ("x",), None).message
    assert "cannot be formatted: RuntimeError" in emit(redact, "%s", (Unwilling(),), None).message
    assert emit(redact, "lone \ud800", (), None).message == "lone \\ud800"
    assert emit(redact, "x", (), None, name="\udc80").logger == "\\udc80"


@settings(deadline=None)
@given(st.binary(max_size=3000), st.integers(1, 500))
def test_prints_come_as_lines_however_they_are_cut(data, size):
    cutter = LineCutter(Redactor())
    found = [line for at in range(0, len(data), size) for line in cutter.feed(data[at : at + size])]
    found += cutter.rest()
    texts = [line.decode("utf-8", "replace").rstrip("\r") for line in data.split(b"\n")]
    assert found == [text for text in texts if text.strip()]


@settings(deadline=None)
@given(st.integers(0, 3 * MAX_PIECE), st.integers(50, 3000))
def test_no_token_is_cut_in_two_where_a_long_line_is(before, size):
    redact = Redactor()
    redact.learn(TOKEN)
    cutter = LineCutter(redact)
    data = b"x" * before + b" " + TOKEN.encode() + b" " + b"y" * (2 * MAX_PIECE)
    found = [line for at in range(0, len(data), size) for line in cutter.feed(data[at : at + size])]
    assert max(map(len, found)) <= MAX_PIECE + KEPT_BACK
    whole = "".join([*found, *cutter.rest()])
    assert SECRET[:8] not in whole
    assert SECRET[-4:] not in whole
    assert whole.count("x") == before


@pytest.mark.parametrize("missing", range(1, 9))
def test_of_a_token_whose_end_comes_later_no_end_is_printed(missing):
    redact = Redactor()
    redact.learn(TOKEN)
    cutter = LineCutter(redact)
    data = b"x" * (2 * MAX_PIECE) + b" " + TOKEN.encode()
    found = [*cutter.feed(data[:-missing]), *cutter.feed(data[-missing:] + b" " + b"y" * MAX_PIECE)]
    assert "".join([*found, *cutter.rest()]).rstrip("y").endswith("x 123456789:*** ")
