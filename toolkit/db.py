"""The fleet's database: SQLite, opened, migrated, and written in transactions only."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toolkit.errors import NoRoomError, ToolkitError
from toolkit.files import FULL, free_bytes, make_private
from toolkit.regular_files import refuse_odd

BUSY_S = 5.0
# What SQLite keeps beside a database: https://sqlite.org/tempfiles.html
_BESIDE = ("-wal", "-shm", "-journal")
HINT = "check the folder's mode and its disk; the bots run on without the database"

MIGRATIONS = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    CREATE TABLE revision (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        created_at TEXT NOT NULL,
        actor TEXT NOT NULL,
        fleet_file TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('applying', 'applied', 'failed'))
    ) STRICT;
    CREATE TABLE content (sha256 TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT;
    CREATE TABLE revision_file (
        revision INTEGER NOT NULL REFERENCES revision (number),
        path TEXT NOT NULL,
        sha256 TEXT NOT NULL REFERENCES content (sha256),
        mode INTEGER NOT NULL,
        PRIMARY KEY (revision, path)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE applied (
        bot TEXT PRIMARY KEY,
        type TEXT NOT NULL,
        backend TEXT NOT NULL,
        unit_hash TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        revision INTEGER NOT NULL REFERENCES revision (number)
    ) STRICT;
    CREATE TABLE held (bot TEXT PRIMARY KEY, at TEXT NOT NULL, actor TEXT NOT NULL) STRICT;
    """,
)

_DAMAGED = {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}
# Bytes that SQLite needs to open a database at all: its shared memory, and the first of its log.
_LEAST = 64 * 1024
# SQLite cannot make the files of its log, which reading takes too.
_UNWRITABLE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}


def connect(path: Path) -> sqlite3.Connection:
    """Open the database, made and brought to the present version where needed.

    Raises:
        ToolkitError: it is a link, cannot be opened, is damaged, or was written by a newer toolkit.
    """
    with _guarded(path):
        return _open(path)


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Open the database for one who only reads: on a disk that is full or read-only too.

    There SQLite must be told that nobody changes it, and leaves the log out then
    (https://sqlite.org/wal.html, "Read-Only Databases"; https://sqlite.org/uri.html, "immutable").

    Raises:
        ToolkitError: as ``connect`` does, and where such a disk has a log that was not put into the database.
    """
    with _guarded(path):
        try:
            return _open(path)
        except sqlite3.OperationalError as error:
            unwritable = error.sqlite_errorcode & 0xFF in _UNWRITABLE
            if not unwritable or not path.is_file() or _has_log(path):
                raise
        return _open_as_it_is(path)


@contextmanager
def _guarded(path: Path) -> Iterator[None]:
    """Refuse links in its place, and say which database it is that cannot be opened."""
    try:
        # Operators may write in the folder: a link of theirs would have root make or change another file.
        for ending in ("", *_BESIDE):
            refuse_odd(path.with_name(f"{path.name}{ending}"))
        yield
    except (sqlite3.Error, OSError) as error:
        raise complaint(path, error) from None


def complaint(path: Path, error: sqlite3.Error | OSError) -> ToolkitError:
    """What SQLite or the system complains of, with what to do."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if _is_for_lack_of_room(path, error, code):
        return NoRoomError(path)
    # A database that lacks a table was damaged too, but has only the code of any error.
    damaged = code in _DAMAGED or str(error).startswith("no such table")
    return ToolkitError(f"{path}: {error}", way_without(path) if damaged else HINT)


def _is_for_lack_of_room(path: Path, error: sqlite3.Error | OSError, code: int) -> bool:
    """Whether a full disk is the reason; of the files beside a database SQLite has other words."""
    if isinstance(error, OSError):
        return error.errno in FULL
    try:
        full = free_bytes(path.parent) < _LEAST
    except OSError:
        full = False
    return code == sqlite3.SQLITE_FULL or (code in _UNWRITABLE and full)


def way_without(path: Path) -> str:
    """What to do where a database is no use any more."""
    return (
        f"move {path.name}* out of {path.parent} and run `toolkit deploy`: running bots are found and go on, "
        "but which were stopped by hand is forgotten"
    )


def _open(path: Path) -> sqlite3.Connection:
    make_private(path.parent)
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        _migrate(connection, path)
        _refuse_foreign(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _has_log(path: Path) -> bool:
    """Whether the log has something in it: SQLite empties it when the last command closes the database."""
    log = path.with_name(f"{path.name}-wal")
    return log.exists() and log.stat().st_size > 0


def _open_as_it_is(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        _need_present(connection, path)
        _refuse_foreign(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _need_present(connection: sqlite3.Connection, path: Path) -> None:
    if _version(connection) != len(MIGRATIONS):
        raise ToolkitError(f"{path} is of another toolkit's version, and cannot be changed now", HINT)


def _refuse_foreign(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse what would do more than is asked for: all operators may write here, and root reads it."""
    sql = "SELECT type, name FROM sqlite_master WHERE type IN ('trigger', 'view')"
    found = connection.execute(sql).fetchone()
    if found:
        message = f"{path}: it has a {found[0]} named {found[1][:40]!r}, which no toolkit made"
        raise ToolkitError(message, f"see who made it; {way_without(path)}")


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    if _version(connection) == len(MIGRATIONS):
        return
    with transaction(connection):
        version = _version(connection)
        if version > len(MIGRATIONS):
            raise ToolkitError(f"{path} was written by a newer toolkit", "use that one")
        for script in MIGRATIONS[version:]:
            for statement in filter(str.strip, script.split(";")):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing; the write lock is taken at the start, so that it cannot fail half-way."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def reserve(connection: sqlite3.Connection, size: int) -> None:
    """Make room for what is yet to be written, so that a disk that gets full meanwhile keeps none of it away.

    So many bytes are written and deleted: the database then has free pages, and its log, which the next write
    begins anew, a place for each of them (https://sqlite.org/wal.html, "Checkpointing"). A file system that
    puts elsewhere what is overwritten (btrfs, ZFS) needs room even so.

    Parameters:
        size: bytes; twice as many are needed on the disk.
    """
    with transaction(connection):
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('room', ?)", ("-" * size,))
    with transaction(connection):
        connection.execute("DELETE FROM meta WHERE key = 'room'")
    connection.execute("PRAGMA wal_checkpoint(RESTART)")
