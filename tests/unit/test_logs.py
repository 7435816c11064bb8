import json
import os
import re
import resource
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest

from toolkit import logs
from toolkit.cli import output
from toolkit.errors import UsageError
from toolkit.logs import Filter, Line, LogFiles

JSON = '{"ts": "2026-01-01T00:00:0%d.000Z", "level": "INFO", "logger": "bot", "message": "m%d"}\n'
TEXT = "2026-01-01T00:00:0%d.500Z ERROR bot: t%d\n"


@pytest.fixture
def two(tmp_path):
    alice, bob = tmp_path / "alice.log", tmp_path / "bob.log"
    alice.write_text("".join(JSON % (n, n) for n in (3, 4)))
    (tmp_path / "alice.log.1").write_text("".join(JSON % (n, n) for n in (1, 2)))
    bob.write_text("".join(TEXT % (n, n) for n in (1, 3)) + "Traceback:\n  deep\n")
    return {"alice": alice, "bob": bob}


def messages(lines):
    return [line.message for line in lines]


def test_logs_are_merged_by_time_over_rotations(two):
    assert messages(LogFiles(two).last(Filter(), None)) == ["m1", "t1", "m2", "m3", "t3", "m4"]
    assert messages(LogFiles(two).last(Filter(), 2)) == ["t3", "m4"]


def test_lines_without_a_time_belong_to_the_record_before(two):
    last = LogFiles({"bob": two["bob"]}).last(Filter(), 1)[0]
    assert last.exception == "Traceback:\n  deep"
    assert last.as_text(with_bot=True).startswith("2026-01-01T00:00:03.500Z bob ERROR")


def test_since_and_grep(two):
    assert messages(LogFiles(two).last(Filter(since="2026-01-01T00:00:03.000Z"), None)) == ["m3", "t3", "m4"]
    assert messages(LogFiles(two).last(Filter(pattern=re.compile("deep|m2")), None)) == ["m2", "t3"]


def test_a_log_that_is_not_there_is_empty(tmp_path):
    assert LogFiles({"alice": tmp_path / "no.log"}).last(Filter(), 10) == []


@pytest.mark.parametrize("text", ['{"ts": 1', "{}", "[1]", '{"message": "no time"}', "plain", "\x00\x1b[31m"])
def test_any_line_is_shown(text):
    assert logs.parse_line("a", text).message == text


def test_since_takes_ages_and_times():
    now = datetime(2026, 1, 2, tzinfo=UTC)
    assert logs.parse_since("90m", now) == "2026-01-01T22:30:00.000Z"
    assert logs.parse_since("2026-01-01T10:00:00+02:00", now) == "2026-01-01T08:00:00.000Z"
    for wrong in ("soon", "10", "-5m", "99999999999d"):
        with pytest.raises(UsageError, match="neither an age nor a time"):
            logs.parse_since(wrong, now)


def test_follow_tells_what_comes_and_goes_on_through_a_rotation(two, tmp_path):
    alice = two["alice"]
    lines = LogFiles({"alice": alice}, follow=True).follow(Filter())
    with alice.open("a") as file:
        file.write(JSON % (5, 5))
    alice.rename(tmp_path / "alice.log.2")
    alice.write_text(JSON % (6, 6) + '{"half')
    assert messages(islice(lines, 2)) == ["m5", "m6"]
    lines.close()


def test_the_shape_of_json():
    line = Line("t", "alice", "INFO", "bot", "hi")
    assert line.as_json() == {"bot": "alice", "ts": "t", "level": "INFO", "logger": "bot", "message": "hi"}


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/etc/passwd"), Path.mkdir])
def test_what_is_no_file_in_the_place_of_a_log_is_told_and_hides_no_other(two, tmp_path, make):
    make(tmp_path / "carol.log")
    logs = LogFiles(two | {"carol": tmp_path / "carol.log"}, follow=True)
    assert messages(logs.last(Filter(), 2)) == ["t3", "m4"]
    assert [fault.hint for fault in logs.faults] == ["remove it, and see who made it"]
    lines = logs.follow(Filter())
    with two["alice"].open("a") as log:
        log.write(json.dumps({"ts": "2026-01-01T00:00:09.000Z", "level": "INFO", "message": "m9"}) + "\n")
    assert next(lines).message == "m9"
    lines.close()


def test_a_terminal_is_told_nothing_that_it_would_obey(capsys):
    hostile = "a\x1b]0;x\x07\x9b31m\r\x7f\tb é ☕"
    output.echo(hostile)
    output.note(hostile)
    output.error(hostile, hostile)
    output.table([(hostile, "two\nlines")], ("A", "B"))
    output.emit_json({"text": hostile})
    told = capsys.readouterr()
    safe = r"a\x1b]0;x\x07\x9b31m\x0d\x7f" + "\tb é ☕"
    assert told.err == f"{safe}\nerror: {safe}\nhint: {safe}\n"
    assert told.out.splitlines()[0] == safe
    assert r"two\nlines" in told.out
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", told.out)
    assert json.loads(told.out[told.out.index("{") :])["text"] == hostile


def test_a_line_without_end_does_not_fill_the_memory(tmp_path):
    path = tmp_path / "alice.log"
    path.write_text("2026-01-01T00:00:01.000Z INFO a: b\n")
    os.truncate(path, 300_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (line,) = LogFiles({"alice": path}).last(Filter(), 5)
    assert line.message == "b"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_text_that_is_turned_round_or_not_seen_is_shown_as_escapes_and_unchanged_in_json(capsys):
    output.echo("a\u202eb\u2066c\u200bd\u2028e\ufefff\U000e0041 \u05d0 \u0644 e\u0301 \u200d")
    output.emit_json({"text": "a\u202eb\U000e0041\x7f\x9b"})
    told = capsys.readouterr().out
    assert told.startswith(
        r"a\u202eb\u2066c\u200bd\u2028e\ufefff\U000e0041" + " \u05d0 \u0644 e\u0301 \u200d\n"
    )
    assert told[told.index("{") :].isascii()
    assert json.loads(told[told.index("{") :])["text"] == "a\u202eb\U000e0041\x7f\x9b"


@pytest.mark.parametrize("place", ["message", "exception", "logger", "level", "ts"])
def test_a_line_break_forges_no_record(place):
    forged = "2026-01-01T00:00:09.000Z INFO    bot: forged"
    record = {"ts": "2026-01-01T00:00:01.000Z", "level": "INFO", "logger": "bot", "message": "m"}
    line = logs.parse_line("alice", json.dumps(record | {place: f"x\n{forged}"}))
    shown = line.as_text(with_bot=False)
    assert "forged" in shown
    assert not any(each.startswith("2026-01-01T00:00:09") for each in shown.split("\n"))
    if place == "exception":
        assert shown.endswith(f"bot: m\n    x\n    {forged}")


def test_what_a_log_of_text_has_indented_is_not_indented_again(tmp_path):
    path = tmp_path / "a.log"
    path.write_text("2026-01-01T00:00:01.000Z ERROR bot: m\n    Traceback:\n      deep\n")
    (line,) = LogFiles({"a": path}).last(Filter(), None)
    assert line.as_text(with_bot=False).endswith("bot: m\n    Traceback:\n      deep")
