"""The crash-safe queue: whatever cut a power loss or a kill makes, what was stored before it is there."""

import contextlib
import json
import os
import resource
import shutil
import socket
import tempfile
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit import spool as library
from toolkit.errors import OddFileError
from toolkit.spool import Entry, Spool, SpoolError, letters_of, listing
from toolkit.spool import log as log_file
from toolkit.spool.records import MAGIC, Contents, Kind, encode, scan


@pytest.fixture
def folder(short_dir):
    return short_dir / "spool"


def raw(number):
    return b'{"update_id":%d,"message":{"text":"%s"}}' % (number, b"x" * (number % 50))


def batch(*numbers):
    return [(number, raw(number)) for number in numbers]


def ids(spool):
    return [entry.update_id for entry in spool.pending()]


def log(folder):
    return folder / "updates.log"


def killed(spool):
    """What the death of the process leaves: the files as they are."""
    os.close(spool._log._file)


def test_what_is_not_done_is_there_after_a_crash_in_order(folder):
    spool = Spool(folder)
    assert spool.append(batch(5, 6, 7)) == [5, 6, 7]
    spool.done(6)
    killed(spool)
    again = Spool(folder)
    assert ids(again) == [5, 7]
    assert again.pending()[1].raw == raw(7)
    assert again.mark == 7
    assert len(again) == 2


def test_an_update_that_comes_again_is_taken_once(folder):
    spool = Spool(folder)
    spool.append(batch(5))
    assert spool.append(batch(4, 5)) == [4]
    assert ids(spool) == [5, 4]
    assert Spool(folder).mark == spool.mark == 5


def test_an_attempt_without_a_done_counts_as_a_death_and_one_let_go_does_not(folder):
    for _ in range(2):
        spool = Spool(folder)
        spool.append(batch(1, 2, 3))
        spool.attempt(1)
        spool.attempt(2)
        spool.let_go(2)
        killed(spool)
    first, second, third = Spool(folder).pending()
    assert (first.attempts, first.deaths) == (2, 2)
    assert (second.attempts, second.deaths) == (2, 0)
    assert (third.attempts, third.deaths) == (0, 0)
    assert spool.attempt(99) == 0


def test_the_mark_is_kept_when_all_is_done(folder):
    spool = Spool(folder)
    spool.append(batch(41))
    spool.done(41)
    killed(spool)
    assert Spool(folder).mark == 41
    assert ids(Spool(folder)) == []


def test_an_old_mark_says_nothing_as_telegram_may_have_begun_anew(folder, monkeypatch):
    """Neither after a start nor in a bot that has run all the time, whatever else was written since."""
    spool = Spool(folder)
    spool.append(batch(7))
    assert spool.mark == 7
    now = time.time()
    monkeypatch.setattr(library.time, "time", lambda: now + 3 * 24 * 3600)
    assert spool.mark is None
    spool.attempt(7)
    killed(spool)
    again = Spool(folder)
    assert again.mark is None
    assert ids(again) == [7]


def test_a_batch_that_was_cut_before_its_mark_has_come_as_far_as_it_is_there(folder):
    spool = Spool(folder)
    spool.append(batch(1, 2, 3))
    killed(spool)
    whole = log(folder).read_bytes()
    ends = [record.end for record in scan(whole, len(MAGIC))]
    log(folder).write_bytes(whole[: ends[1]])
    again = Spool(folder)
    assert (ids(again), again.mark) == ([1, 2], 2)


def test_a_letter_put_back_by_a_retry_that_was_cut_is_no_letter_any_more(folder):
    spool = Spool(folder)
    spool.append(batch(8))
    spool.set_aside(spool.pending()[0], "why", "2026-01-01T00:00:00.000Z")
    spool.keep(8, raw(8))  # all that a retry does before it removes the letter
    killed(spool)
    again = Spool(folder)
    assert (ids(again), again.dead.ids()) == ([8], [])


def test_a_dead_letter_is_listed_and_can_be_put_back(folder):
    spool = Spool(folder)
    spool.append(batch(8, 9))
    spool.attempt(8)
    spool.set_aside(spool.pending()[0], "it ended the process", "2026-01-01T00:00:00.000Z")
    killed(spool)
    spool = Spool(folder)
    assert ids(spool) == [9]
    assert spool.dead.ids() == [8]
    letter = spool.dead.get(8)
    assert bytes(letter.update) == raw(8)
    (told,) = listing(spool.dead)["dead_letters"]
    assert told == {
        "update_id": 8,
        "reason": "it ended the process",
        "at": "2026-01-01T00:00:00.000Z",
        "attempts": 1,
    }
    assert spool.retry(8) == raw(8)
    assert spool.dead.ids() == []
    killed(spool)
    spool = Spool(folder)
    assert ids(spool) == [9, 8]
    assert (spool.pending()[1].attempts, spool.pending()[1].deaths) == (1, 0)
    assert spool.mark == 9
    assert spool.retry(8) is None


def test_the_names_of_log_and_letters_are_durable_too(folder, monkeypatch):
    synced, fsync = [], os.fsync

    def told(descriptor):
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", told)
    spool = Spool(folder)
    assert synced == [folder, folder.parent]
    spool.append(batch(8))
    spool.set_aside(spool.pending()[0], "why", "2026-01-01T00:00:00.000Z")
    assert synced[-2:] == [folder / "dead", folder]


def test_zeros_stand_behind_the_end_and_are_taken_for_nothing(folder, monkeypatch):
    monkeypatch.setattr(log_file, "AHEAD", 4000)
    spool = Spool(folder)
    for number in range(1, 400):
        spool.append(batch(number))
        spool.commit()
        assert 1000 <= log(folder).stat().st_size - spool._log.size <= 4000
        if number % 50:
            spool.done(number)
    killed(spool)
    again = Spool(folder)
    assert (ids(again), again.torn, again._log.size) == (list(range(50, 400, 50)), 0, spool._log.size)
    again.append(batch(400))
    killed(again)
    with open(log(folder), "r+b") as file:
        file.seek(again._log.size + 100)  # a later page reached the disk, an earlier one did not
        file.write(b"torn")
    last = Spool(folder)
    assert (ids(last)[-1], last.torn, log(folder).stat().st_size) == (400, 104, last._log.size)
    assert last.damaged == folder / "updates.damaged"
    assert last.damaged.read_bytes().rstrip(b"\0") == bytes(100) + b"torn"


def damage(folder, offset, length=1):
    with open(log(folder), "r+b") as file:
        file.seek(offset)
        bad = bytes(byte ^ 0xFF for byte in file.read(length))
        file.seek(offset)
        file.write(bad)


def test_what_stands_behind_a_damaged_place_is_read_on(folder):
    spool = Spool(folder)
    for number in range(1, 10):
        spool.append(batch(number))
        if number in {2, 9}:
            spool.done(number)
        spool.attempt(number)
    spool.commit()
    killed(spool)
    records = scan(log(folder).read_bytes(), len(MAGIC))
    (bad,) = (each for each in records if (each.kind, each.update_id) == (Kind.TAKEN, 4))
    damage(folder, bad.begin + 6)
    again = Spool(folder)
    assert (ids(again), again.saved) == ([1, 3, 5, 6, 7, 8], 4)
    assert again.torn == bad.end - bad.begin
    assert again.damaged.read_bytes()[7:] == log(folder).read_bytes()[bad.begin + 7 : bad.end]
    assert [entry.deaths for entry in again.pending()] == [1] * 6
    # Once it is written anew nothing is amiss any more.
    again.append(batch(10))
    again.commit()
    killed(again)
    last = Spool(folder)
    assert (ids(last), last.torn, last.saved, last.mark) == ([1, 3, 5, 6, 7, 8, 10], 0, 0, 10)


def test_a_mark_behind_a_damaged_place_confirms_nothing_to_telegram(folder):
    """A power cut may take the first page of a batch, and leave the second with the mark."""
    spool = Spool(folder)
    spool.append(batch(3))
    begin = spool._log.size
    spool.append(batch(4, 5, 6))
    killed(spool)
    damage(folder, begin + 20)
    again = Spool(folder)
    assert (ids(again), again.mark) == ([3, 5, 6], 3)
    assert again.append(batch(4, 5, 6)) == [4]
    again.commit()
    killed(again)
    assert (ids(Spool(folder)), Spool(folder).mark) == ([3, 5, 6, 4], 6)


def test_several_damaged_places_and_a_torn_end_cost_what_they_hold(folder):
    spool = Spool(folder)
    for number in range(1, 60):
        spool.append(batch(number))
    killed(spool)
    records = [each for each in scan(log(folder).read_bytes(), len(MAGIC)) if each.kind is Kind.TAKEN]
    for number in (10, 11, 30, 59):
        damage(folder, records[number - 1].end - 1)
    again = Spool(folder)
    assert ids(again) == [number for number in range(1, 60) if number not in {10, 11, 30, 59}]
    assert again.torn == sum(len(raw(number)) + 21 for number in (10, 11, 30, 59))


def test_what_somebody_wrote_to_the_bot_is_no_record(folder):
    """Not even behind damage: a record in a text would have to hold a zero byte."""
    forged = encode(Kind.KEPT, 666, bytes(4) + b"{}")
    text = json.dumps({"update_id": 1, "text": forged.decode("latin-1")}).encode()
    spool = Spool(folder)
    spool.append([(1, text), *batch(2)])
    killed(spool)
    assert b"\0" not in text
    damage(folder, len(MAGIC) + 1)
    assert ids(Spool(folder)) == [2]


@settings(max_examples=200, deadline=None)
@given(data=st.data(), length=st.integers(1, 80))
def test_damage_anywhere_costs_only_the_records_that_it_touches(data, length):
    records = [encode(Kind.KEPT, number, bytes(4) + raw(number)) for number in range(1, 12)]
    whole = b"".join(records)
    begin = data.draw(st.integers(0, len(whole) - 1))
    noise = data.draw(st.binary(min_size=length, max_size=length))
    bad = (whole[:begin] + noise + whole[begin + length :])[: len(whole)]
    ends = [sum(map(len, records[: number + 1])) for number in range(len(records))]
    unharmed = {
        number + 1
        for number, end in enumerate(ends)
        if bad[end - len(records[number]) : end] == records[number]
    }
    assert {record.update_id for record in scan(bad, 0)} == unharmed


def test_a_disk_with_little_room_gets_no_zeros(folder, monkeypatch):
    monkeypatch.setattr(log_file, "_PLENTY", 2**62)
    spool = Spool(folder)
    spool.append(batch(1))
    spool.commit()
    assert log(folder).stat().st_size == spool._log.size


@pytest.fixture
def no_zeros(monkeypatch):
    """The log's file ends where the log does."""
    monkeypatch.setattr(log_file, "AHEAD", 0)


@pytest.mark.usefixtures("no_zeros")
def test_a_log_that_has_grown_is_written_anew_with_what_is_left(folder, monkeypatch):
    monkeypatch.setattr(log_file, "SLACK", 2000)
    spool = Spool(folder)
    spool.append(batch(1))
    spool.attempt(1)
    for number in range(2, 200):
        spool.append(batch(number))
        spool.done(number)
        spool.commit()
        assert log(folder).stat().st_size < 2500
    killed(spool)
    again = Spool(folder)
    assert (ids(again), again.pending()[0].deaths, again.mark) == ([1], 1, 199)


@pytest.mark.usefixtures("no_zeros")
def test_a_log_that_somebody_took_away_is_written_anew_with_what_is_left(folder):
    spool = Spool(folder)
    spool.append(batch(1))
    spool.commit()
    shutil.rmtree(folder)
    spool.append(batch(2))
    spool.commit()
    killed(spool)
    assert ids(Spool(folder)) == [1, 2]


def test_what_comes_while_the_log_is_written_anew_is_not_lost(folder, monkeypatch):
    monkeypatch.setattr(log_file, "SLACK", 3000)
    spool = Spool(folder)
    stop = threading.Event()

    def commits():
        while not stop.is_set():
            spool.commit()

    thread = threading.Thread(target=commits)
    thread.start()
    try:
        for number in range(1, 3000):
            spool.append(batch(number))
            assert spool.attempt(number) == 1
            if number % 100:
                spool.done(number)
    finally:
        stop.set()
        thread.join()
    spool.commit()
    killed(spool)
    again = Spool(folder)
    assert ids(again) == list(range(100, 3000, 100))
    assert all((entry.attempts, entry.deaths) == (1, 1) for entry in again.pending())
    assert len(log(folder).read_bytes().rstrip(b"\0")) < 20_000  # the room ahead is no growth


@pytest.fixture
def file_limit():
    """Limit the size of files, as a full disk would."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, old)


def test_a_full_disk_is_told_harms_nothing_and_is_recovered_from(folder, file_limit):
    spool = Spool(folder)
    spool.append(batch(1, 2))
    file_limit(log(folder).stat().st_size + 30)
    for _ in range(3):
        with pytest.raises(SpoolError, match=r"updates\.log: no room left"):
            spool.append(batch(3, 4))
    assert ids(spool) == [1, 2]
    assert spool.mark == 2
    spool.attempt(1)
    spool.attempt(2)
    spool.done(1)  # there is no room for all three: they are written later
    with pytest.raises(SpoolError, match="no room left"):
        spool.commit()
    assert [entry.update_id for entry in Spool(folder).pending()] == [1, 2]
    file_limit(resource.RLIM_INFINITY)
    spool.append(batch(3))
    killed(spool)
    again = Spool(folder)
    assert [(entry.update_id, entry.deaths) for entry in again.pending()] == [(2, 1), (3, 0)]


@pytest.mark.usefixtures("no_zeros")
def test_a_log_that_cannot_be_written_anew_is_used_on(folder, monkeypatch):
    monkeypatch.setattr(log_file, "SLACK", 1000)
    spool = Spool(folder)
    (folder / "updates.new").mkdir(parents=True)  # stands in the new log's way
    for number in range(1, 40):
        spool.append(batch(number))
        spool.commit()
        spool.done(number)
    spool.append(batch(40))
    spool.commit()
    assert log(folder).stat().st_size > 2000
    (folder / "updates.new").rmdir()
    spool.commit()
    assert log(folder).stat().st_size < 500
    killed(spool)
    assert ids(Spool(folder)) == [40]


def test_a_disk_that_failed_is_not_trusted_until_all_is_written_anew(folder):
    spool = Spool(folder)
    spool.append(batch(1))
    good, spool._log._file = spool._log._file, os.open("/dev/null", os.O_RDWR)
    with pytest.raises(SpoolError):
        spool.commit()
    os.close(spool._log._file)
    spool._log._file = good
    inode = log(folder).stat().st_ino
    spool.commit()
    assert log(folder).stat().st_ino != inode
    killed(spool)
    assert ids(Spool(folder)) == [1]


def test_a_file_that_is_no_log_is_put_out_of_the_way(folder):
    folder.mkdir()
    log(folder).write_bytes(b"something else altogether")
    spool = Spool(folder)
    spool.append(batch(1))
    killed(spool)
    assert (folder / "updates.damaged").read_bytes() == b"something else altogether"
    assert ids(Spool(folder)) == [1]


@pytest.mark.parametrize("kind", ["pipe", "socket", "folder", "device", "huge"])
def test_what_cannot_be_a_log_is_put_out_of_the_way(folder, kind):
    folder.mkdir()
    path = log(folder)
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "socket":
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(str(path))
        case "folder":
            path.mkdir()
        case "device":
            path.symlink_to("/dev/zero")
        case "huge":
            path.write_bytes(MAGIC)
            os.truncate(path, log_file.LARGEST + 1)
    spool = Spool(folder)
    assert spool.damaged == folder / "updates.damaged"
    spool.append(batch(1))
    killed(spool)
    assert ids(Spool(folder)) == [1]


def test_what_is_given_up_waits_for_no_pipe(folder):
    spool = Spool(folder)
    spool.append(batch(1))
    killed(spool)
    with open(log(folder), "ab") as file:
        file.write(b"torn")
    os.mkfifo(folder / "updates.damaged")
    assert Spool(folder).torn


@pytest.mark.parametrize("number", [7, 2**63])
def test_a_letter_of_another_update_than_its_name_says_is_none(folder, number):
    spool = Spool(folder)
    spool.append(batch(1))
    spool.set_aside(spool.pending()[0], "why", "now")
    path = folder / "dead/1.json"
    path.write_bytes(path.read_bytes().replace(b'"update_id":1', b'"update_id":%d' % number, 1))
    path.rename(path.with_name(f"{5 if number == 7 else number}.json"))
    assert listing(spool.dead)["dead_letters"] == []
    assert spool.retry(5) is None
    assert spool.retry(number) is None


def test_a_folder_that_cannot_be_made_is_told(short_dir):
    (short_dir / "spool").write_text("a file")
    with pytest.raises(SpoolError):
        Spool(short_dir / "spool")


NUMBERS = st.integers(min_value=1, max_value=6)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.lists(NUMBERS, min_size=1, max_size=3, unique=True)),
        st.tuples(st.sampled_from(["attempt", "let_go", "done", "keep"]), NUMBERS),
        st.tuples(st.just("commit"), st.just(0)),
    ),
    max_size=12,
)


def state_of(contents):
    return contents.mark, [(e.update_id, e.raw, e.attempts, e.deaths) for e in contents.entries.values()]


def do(spool, step, argument):
    if step == "append":
        spool.append(batch(*argument))
    elif step == "commit":
        spool.commit()
    elif step == "keep":
        spool.keep(argument, raw(argument))
    else:
        getattr(spool, step)(argument)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, data=st.data())
def test_a_cut_at_any_byte_leaves_a_state_that_was_there(steps, data):
    """And what is written after the cut is found again, beside what was left."""
    folder = Path(tempfile.mkdtemp(prefix="bt", dir="/tmp"))
    try:
        spool = Spool(folder)
        sizes = [(len(MAGIC), state_of(Contents()))]
        for step, argument in steps:
            do(spool, step, argument)
            sizes.append((spool._log.size, state_of(spool._contents)))
        killed(spool)
        whole = log(folder).read_bytes()
        cut = data.draw(st.integers(min_value=0, max_value=len(whole)))
        log(folder).write_bytes(whole[:cut])
        again = Spool(folder)
        found = state_of(again._contents)
        before = [state for size, state in sizes if size <= max(cut, len(MAGIC))]
        # Within a step of several records some of them may be whole: a part of a batch is a state, too.
        partial = Contents()
        states = [state_of(partial)]
        for _, _, kind, number, rest in scan(whole, len(MAGIC)):
            partial.apply(kind, number, rest)
            states.append(state_of(partial))
        # A state may come twice, as where an update is done and taken in again.
        assert found in states[states.index(before[-1]) :]
        again.append(batch(100))
        killed(again)
        last = Spool(folder)
        assert ids(last) == [entry[0] for entry in found[1]] + [100]
        assert last.torn == 0
        killed(last)
    finally:
        shutil.rmtree(folder)


@settings(max_examples=100, deadline=None)
@given(garbage=st.binary(max_size=60))
def test_garbage_at_the_end_is_cut(garbage):
    records = encode(Kind.BEGUN, 5)
    found = list(scan(records + garbage, 0))
    assert found[0][2:] == (Kind.BEGUN, 5, b"")


@pytest.mark.parametrize("link", ["spool", "spool/dead"])
def test_a_link_in_the_place_of_a_folder_of_dead_letters_leads_nowhere(tmp_path, link):
    """A bot that does not run may have left one, and root looks."""
    other = tmp_path / "other"
    with contextlib.closing(Spool(other)) as spool:
        spool.set_aside(Entry(8, b"{}"), "why", "now")
    state = tmp_path / "state"
    (state / link).parent.mkdir(parents=True)
    (state / link).symlink_to(other if link == "spool" else other / "dead")
    letters = letters_of(state)
    for look in (letters.ids, lambda: letters.read(8), lambda: letters.ask_back(8), lambda: listing(letters)):
        with pytest.raises(OddFileError, match=f"state/{link} is a symbolic link, not a folder"):
            look()
    assert [path.name for path in (other / "dead").iterdir()] == ["8.json"]


def test_the_folder_of_a_bot_may_itself_be_reached_by_a_link(tmp_path):
    """systemd lays one for each dynamic user, where root alone may."""
    real = tmp_path / "private"
    real.mkdir()
    with contextlib.closing(Spool(real / "spool")) as spool:
        spool.set_aside(Entry(8, b"{}"), "why", "now")
    (tmp_path / "state").symlink_to(real)
    letters = letters_of(tmp_path / "state")
    assert letters.ids() == [8]
    assert letters.read(8).reason == "why"
    assert letters.ask_back(8)
    assert (letters.ids(), letters.asked_back()) == ([], [8])
