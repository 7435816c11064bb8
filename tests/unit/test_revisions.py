import sqlite3
from pathlib import Path

import pytest

from toolkit import db, revisions
from toolkit.errors import NoRoomError, ToolkitError
from toolkit.fleet.model import Source
from toolkit.paths import FleetPaths
from toolkit.render import RenderedFile
from toolkit.revisions import Applied


@pytest.fixture
def paths(tmp_path):
    return FleetPaths("demo", tmp_path / "demo")


def row(bot, revision):
    return Applied(bot, "echo", "supervisord", "u", "f", revision)


def test_revisions_are_numbered_and_kept_whole(paths, tmp_path):
    files = [RenderedFile(paths.unit("alice"), "one"), RenderedFile(paths.botfile("alice"), "two")]
    with revisions.opened(paths) as history:
        assert history.begin(tmp_path / "fleet.yaml", files) == 1
        assert history.last() == (1, "applying")
        history.finish(1, whole=True)
        assert history.begin(tmp_path / "fleet.yaml", files) == 2
        history.finish(2, whole=False)
    with revisions.opened(paths) as history:
        assert history.last() == (2, "failed")
    kept = sqlite3.connect(paths.database).execute(
        "SELECT revision, path, text FROM revision_file JOIN content USING (sha256) ORDER BY revision, path"
    )
    assert list(kept)[:2] == [(1, "bots/alice/bot.json", "two"), (1, "units/demo-alice.conf", "one")]


def test_the_applied_manifest_survives_and_forgets(paths, tmp_path):
    with revisions.opened(paths) as history:
        number = history.begin(tmp_path / "fleet.yaml", [])
        history.put_in_force([row("bob", number), row("alice", number)])
        history.hold(["bob"])
    with revisions.opened(paths) as history:
        assert list(history.applied()) == ["alice", "bob"]
        assert history.held() == {"bob"}
        history.forget("bob")
        assert list(history.applied()) == ["alice"]
        assert history.held() == set()


def test_a_database_that_is_a_link_is_refused(paths, tmp_path):
    paths.home.mkdir()
    paths.database.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ToolkitError, match="symbolic link"), revisions.opened(paths):
        pass
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("end", ["-wal", "-shm", "-journal"])
def test_a_link_beside_the_database_has_nothing_else_overwritten(paths, tmp_path, end):
    with revisions.opened(paths):
        pass
    precious = tmp_path / "precious"
    precious.write_text("precious" * 10_000)
    paths.database.with_name(f"fleet.db{end}").symlink_to(precious)
    with (
        pytest.raises(ToolkitError, match=f"fleet.db{end} is a symbolic link"),
        revisions.opened(paths) as history,
    ):
        history.hold(["alice"])
    assert precious.read_text() == "precious" * 10_000


def test_what_sqlite_complains_of_is_told_with_its_place(paths):
    with revisions.opened(paths):
        pass
    sqlite3.connect(paths.database, isolation_level=None).execute("DROP TABLE held")
    with pytest.raises(ToolkitError) as caught, revisions.opened(paths) as history:
        history.hold(["alice"])
    assert str(paths.database) in caught.value.message
    assert caught.value.hint


def test_a_database_on_a_full_or_read_only_disk_is_read(paths, small_disk, tmp_path):
    disk = small_disk(paths.home, 256)
    with revisions.opened(paths) as history:
        history.put_in_force([row("alice", history.begin(tmp_path / "fleet.yaml", []))])
    disk.fill()
    with revisions.opened(paths, to_read=True) as history:
        assert list(history.applied()) == ["alice"]
    with pytest.raises(NoRoomError, match=r"fleet\.db"), revisions.opened(paths):
        pass
    disk.make_room()
    disk.let_write(False)
    with revisions.opened(paths, to_read=True) as history:
        assert list(history.applied()) == ["alice"]


def test_what_was_reserved_is_there_whatever_becomes_of_the_disk(paths, small_disk, tmp_path):
    disk = small_disk(paths.home, 1024)
    with revisions.opened(paths) as history:
        history.reserve(64 * 1024)
        number = history.begin(tmp_path / "fleet.yaml", [])
        disk.fill()
        for bot in ("alice", "bob", "carol", "dave"):
            history.put_in_force([row(bot, number)])
        history.finish(number, whole=True)
    with revisions.opened(paths, to_read=True) as history:
        assert list(history.applied()) == ["alice", "bob", "carol", "dave"]


def test_a_log_that_cannot_be_read_is_not_left_out(paths, small_disk):
    disk = small_disk(paths.home, 256)
    connection = db.connect(paths.database)
    with db.transaction(connection):
        connection.execute("INSERT INTO held VALUES ('alice', '', '')")
    log = paths.database.with_name("fleet.db-wal")
    kept = log.read_bytes()
    connection.close()
    log.write_bytes(kept)
    disk.let_write(False)
    with pytest.raises(ToolkitError, match=r"fleet\.db"), revisions.opened(paths, to_read=True):
        pass


HOSTILE = ["x/../victim", "-x", "all", "alice\n", "\x1b[2J", "", "a" * 33]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("column", ["bot", "type", "backend"])
def test_a_record_of_what_no_fleet_can_have_is_refused(paths, tmp_path, name, column):
    if column == "type" and name == "all":
        pytest.skip("a type may have this name")
    with revisions.opened(paths) as history:
        number = history.begin(tmp_path / "fleet.yaml", [])
        history.put_in_force([row("bob", number)])
    sqlite3.connect(paths.database, isolation_level=None).execute(f"UPDATE applied SET {column} = ?", (name,))
    with revisions.opened(paths) as history, pytest.raises(ToolkitError) as caught:
        history.applied()
    assert str(paths.database) in caught.value.message
    assert repr(name[:40]) in caught.value.message
    assert "\x1b" not in caught.value.message
    assert "move fleet.db*" in caught.value.hint


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hold_of_what_no_fleet_can_have_is_refused(paths, name):
    with revisions.opened(paths) as history:
        history.hold([name])
    with revisions.opened(paths) as history, pytest.raises(ToolkitError, match="`held` has a bot named"):
        history.held()


@pytest.mark.parametrize("value", ["{", "[[]]", "7", '["x"]', '[{"path": 3}]', "[" * 200_000])
def test_sources_that_no_toolkit_wrote_are_refused(paths, value):
    with revisions.opened(paths):
        pass
    connection = sqlite3.connect(paths.database, isolation_level=None)
    connection.execute("INSERT INTO meta VALUES ('sources', ?)", (value,))
    with revisions.opened(paths) as history, pytest.raises(ToolkitError, match="fleet files"):
        history.changed_sources(Path("fleet.yaml"))


def test_a_bot_that_is_held_is_released(paths):
    with revisions.opened(paths) as history:
        history.hold(["bob", "alice"])
        history.release(["bob"])
        assert history.held() == {"alice"}


def test_changed_and_new_files_are_told(paths, tmp_path):
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text("a")
    (tmp_path / "bots.d").mkdir()
    status = fleet.stat()
    digest = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    with revisions.opened(paths) as history:
        assert history.changed_sources(fleet) == []
        history.note_sources([Source(fleet, digest, status.st_mtime_ns, status.st_size)])
        assert history.changed_sources(fleet) == []
        fleet.touch()
        assert history.changed_sources(fleet) == [], "the same text at another time is no change"
        fleet.write_text("b")
        extra = tmp_path / "bots.d" / "more.yaml"
        extra.write_text("bots: {}")
        assert history.changed_sources(fleet) == [fleet, extra]
        (tmp_path / "link").symlink_to(tmp_path)
        assert len(history.changed_sources(tmp_path / "link" / "fleet.yaml")) == 2


def test_no_file_is_looked_at_that_records_name_and_that_is_none_of_the_fleet(paths, tmp_path):
    fleet, gone = tmp_path / "fleet.yaml", tmp_path / "bots.d" / "gone.yaml"
    fleet.write_text("a")
    foreign = [Source(Path(path), "", 0, 0) for path in ("/etc/passwd", "/\0/x")]
    with revisions.opened(paths) as history:
        history.note_sources([*foreign, Source(fleet, "", 0, 0), Source(gone, "", 0, 0)])
        assert history.changed_sources(fleet) == [fleet, gone]
        history.note_sources(foreign)
        assert history.changed_sources(fleet) == []


def test_a_file_that_no_toolkit_wrote_down_is_refused(paths):
    with revisions.opened(paths) as history:
        number = history.begin(Path("fleet.yaml"), [RenderedFile(paths.unit("alice"), "one")])
    connection = sqlite3.connect(paths.database, isolation_level=None)
    connection.executescript(
        "CREATE TABLE x AS SELECT * FROM revision_file; DROP TABLE revision_file;"
        "ALTER TABLE x RENAME TO revision_file; UPDATE revision_file SET mode = 'any'"
    )
    connection.close()
    with revisions.opened(paths) as history, pytest.raises(ToolkitError, match="revision 1 is not told"):
        history.files(number)


def test_a_fleet_belongs_to_one_file(paths, tmp_path):
    with revisions.opened(paths) as history:
        assert history.owner() is None
        history.claim(tmp_path / "fleet.yaml")
        assert history.owner() == tmp_path / "fleet.yaml"


def test_a_transaction_is_all_or_nothing(paths):
    connection = db.connect(paths.database)

    def twice():
        with db.transaction(connection):
            connection.execute("INSERT INTO meta VALUES ('a', 'b')")
            connection.execute("INSERT INTO meta VALUES ('a', 'c')")

    with pytest.raises(sqlite3.IntegrityError):
        twice()
    assert connection.execute("SELECT count(*) FROM meta").fetchone() == (0,)
    connection.close()


def test_a_damaged_database_is_told_and_a_newer_one_refused(paths):
    db.connect(paths.database).close()
    newer = sqlite3.connect(paths.database)
    newer.execute("PRAGMA user_version = 999")
    newer.close()
    with pytest.raises(ToolkitError, match="newer toolkit"):
        db.connect(paths.database)
    paths.database.write_bytes(b"garbage" * 1000)
    with pytest.raises(ToolkitError, match=r"fleet\.db"):
        db.connect(paths.database)


TRIGGER = "TRIGGER alarm AFTER INSERT ON held BEGIN SELECT 1; END"


@pytest.mark.parametrize("made", [TRIGGER, "VIEW alarm AS SELECT 1"])
@pytest.mark.parametrize("to_read", [True, False])
def test_what_no_toolkit_put_into_the_database_is_refused_by_name(paths, made, to_read):
    with revisions.opened(paths):
        pass
    sqlite3.connect(paths.database, isolation_level=None).execute(f"CREATE {made}")
    words = f"a {made.split()[0].lower()} named 'alarm'"
    with pytest.raises(ToolkitError, match=words) as caught, revisions.opened(paths, to_read=to_read):
        pass
    assert "move fleet.db*" in caught.value.hint
