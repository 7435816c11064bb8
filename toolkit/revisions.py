"""The fleet's one history: numbered revisions, what each put in force, and what operators hold stopped."""

import json
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit import db
from toolkit.clock import now
from toolkit.errors import OddFileError, ToolkitError
from toolkit.paths import TYPE_NAME, FleetPaths, is_bot_name
from toolkit.place import PLACES
from toolkit.regular_files import read_regular
from toolkit.render import RenderedFile
from toolkit.render.supervisord_marks import with_enabled

if TYPE_CHECKING:
    from toolkit.fleet.model import Source

# Bytes; the fleet's files are read to the same end.
_LONGEST_SOURCE = 16 * 2**20
# In the place of a unit's hash: of a bot whose process may run with an edited one.
EDITED = "edited"


@dataclass(frozen=True, slots=True)
class Applied:
    """What is in force for one bot.

    Parameters:
        unit_hash: of the unit that the supervisor was given; ``EDITED`` from when an edited one is put back
            until the bot has been restarted.
        fingerprint: of the bot file that was put in place.
    """

    bot: str
    type: str
    backend: str
    unit_hash: str
    fingerprint: str
    revision: int


@dataclass(frozen=True, slots=True)
class Written:
    """What may lie on the disk as the toolkit wrote it.

    Parameters:
        whole: the files of the newest revision that was put in force whole.
        texts: by path, what that one and those that were begun since have there.
    """

    whole: Collection[Path] = ()
    texts: Mapping[Path, Collection[str]] = field(default_factory=dict)


def actor() -> str:
    """Who changes the fleet: the user, and behind sudo the one who called it."""
    import getpass

    try:
        own = getpass.getuser()
    except (KeyError, OSError):  # a user of no name, as containers have them
        own = str(os.getuid())
    user = os.environ.get("SUDO_USER")
    return f"{own} for {user}" if user else own


class Revisions:
    """The history of one fleet, over its database. Use ``opened``."""

    def __init__(self, connection: sqlite3.Connection, paths: FleetPaths) -> None:
        self._db = connection
        self._paths = paths

    def reserve(self, size: int) -> None:
        """Make sure of so many bytes, whatever becomes of the disk: see ``db.reserve``."""
        db.reserve(self._db, size)

    def begin(self, fleet_file: Path, files: Sequence[RenderedFile]) -> int:
        """Keep a new revision whole, before any of it is acted on; give its number."""
        with db.transaction(self._db):
            row = (now(), actor(), str(fleet_file))
            sql = "INSERT INTO revision (created_at, actor, fleet_file, status) VALUES (?, ?, ?, 'applying')"
            number = self._db.execute(sql, row).lastrowid
            digests = [_sha256(file.content.encode()) for file in files]
            self._db.executemany(
                # A text that others changed there is as it was again.
                "INSERT INTO content VALUES (?, ?) ON CONFLICT (sha256) DO UPDATE SET text = excluded.text",
                ((digest, file.content) for digest, file in zip(digests, files, strict=True)),
            )
            self._db.executemany(
                "INSERT INTO revision_file VALUES (?, ?, ?, ?)",
                (
                    (number, os.path.relpath(file.path, self._paths.home), digest, file.mode)
                    for digest, file in zip(digests, files, strict=True)
                ),
            )
        return int(number or 0)

    def finish(self, number: int, *, whole: bool) -> None:
        """Say how a revision went: put in force whole, or not."""
        with db.transaction(self._db):
            status = "applied" if whole else "failed"
            self._db.execute("UPDATE revision SET status = ? WHERE number = ?", (status, number))

    def note_sources(self, sources: "Iterable[Source]") -> None:
        """Remember the files that what is in force was made from."""
        with db.transaction(self._db):
            self._set_meta("sources", json.dumps([asdict(s) | {"path": str(s.path)} for s in sources]))

    def put_in_force(self, rows: Iterable[Applied]) -> None:
        """Remember what the supervisor now has for these bots."""
        with db.transaction(self._db):
            self._db.executemany(
                "INSERT OR REPLACE INTO applied"
                " VALUES (:bot, :type, :backend, :unit_hash, :fingerprint, :revision)",
                [asdict(row) for row in rows],
            )

    def note_edited(self, bots: Iterable[str]) -> None:
        """Remember that these bots may run with edited units, until they are put in force."""
        with db.transaction(self._db):
            sql = "UPDATE applied SET unit_hash = ? WHERE bot = ?"
            self._db.executemany(sql, [(EDITED, bot) for bot in bots])

    def forget(self, bot: str) -> None:
        """Remember that the bot has no unit any more."""
        with db.transaction(self._db):
            self._db.execute("DELETE FROM applied WHERE bot = ?", (bot,))
            self._db.execute("DELETE FROM held WHERE bot = ?", (bot,))

    def applied(self) -> dict[str, Applied]:
        """The applied manifest, by bot, in the order of names.

        Raises:
            ToolkitError: a record names what no fleet can have.
        """
        rows = self._db.execute(
            "SELECT bot, type, backend, unit_hash, fingerprint, revision FROM applied ORDER BY bot"
        )
        applied = {row[0]: Applied(*row) for row in rows}
        for row in applied.values():
            self._expect(is_bot_name(str(row.bot)), _misnamed("applied", "a bot", row.bot))
            self._expect(TYPE_NAME.fullmatch(str(row.type)), _misnamed("applied", "a type", row.type))
            supervisor = _misnamed("applied", "a supervisor", row.backend)
            self._expect(row.backend in {place.backend for place in PLACES}, supervisor)
        return applied

    def last(self) -> tuple[int, str] | None:
        """Number and status of the newest revision."""
        row = self._db.execute("SELECT number, status FROM revision ORDER BY number DESC LIMIT 1").fetchone()
        return (int(row[0]), str(row[1])) if row else None

    def holding(self, files: Sequence[RenderedFile]) -> int | None:
        """The number of the newest revision, if it has just these files; which bots are enabled aside."""
        last = self.last()
        if last is None or _contents(self.files(last[0]).values()) != _contents(files):
            return None
        return last[0]

    def made_at(self, number: int) -> str:
        """When a revision was made, RFC 3339 in UTC."""
        row = self._db.execute("SELECT created_at FROM revision WHERE number = ?", (number,)).fetchone()
        return str(row[0]) if row else ""

    def files(self, number: int) -> dict[Path, RenderedFile]:
        """All files of a revision, by path; none where it is not known."""
        rows = self._db.execute(
            "SELECT path, text, mode FROM revision_file JOIN content USING (sha256) WHERE revision = ?",
            (number,),
        )
        made = {}
        for path, text, mode in rows:
            kinds = (type(path), type(text), type(mode))
            self._expect(kinds == (str, str, int), f"revision {number} is not told as it is written")
            made[self._absolute(path)] = RenderedFile(self._absolute(path), text, mode)
        return made

    def written(self) -> Written:
        """What the toolkit itself wrote: of its last whole revision, and of those begun since."""
        sql = "SELECT coalesce(max(number), 0) FROM revision WHERE status = 'applied'"
        whole = self._db.execute(sql).fetchone()
        paths = self._db.execute("SELECT path FROM revision_file WHERE revision = ?", whole)
        sql = "SELECT DISTINCT path, text FROM revision_file JOIN content USING (sha256) WHERE revision >= ?"
        texts: dict[Path, set[str]] = {}
        for path, text in self._db.execute(sql, whole):
            texts.setdefault(self._absolute(path), set()).add(text)
        return Written({self._absolute(path) for (path,) in paths}, texts)

    def _absolute(self, path: str) -> Path:
        return Path(os.path.normpath(self._paths.home / path))

    def hold(self, bots: Iterable[str]) -> None:
        """Keep bots stopped until an operator starts them."""
        with db.transaction(self._db):
            self._db.executemany(
                "INSERT OR REPLACE INTO held VALUES (?, ?, ?)", [(bot, now(), actor()) for bot in bots]
            )

    def release(self, bots: Iterable[str]) -> None:
        """Let bots run again."""
        with db.transaction(self._db):
            self._db.executemany("DELETE FROM held WHERE bot = ?", [(bot,) for bot in bots])

    def held(self) -> frozenset[str]:
        """The bots that an operator stopped.

        Raises:
            ToolkitError: a record names what no fleet can have.
        """
        held = frozenset(row[0] for row in self._db.execute("SELECT bot FROM held"))
        for bot in held:
            self._expect(is_bot_name(str(bot)), _misnamed("held", "a bot", bot))
        return held

    def owner(self) -> Path | None:
        """The fleet file that this fleet is deployed from."""
        value = self._meta("fleet_file")
        return Path(value) if value else None

    def claim(self, fleet_file: Path) -> None:
        """Make a fleet file the one that this fleet is deployed from."""
        with db.transaction(self._db):
            self._set_meta("fleet_file", str(fleet_file))

    def changed_sources(self, fleet_file: Path) -> list[Path]:
        """The fleet's files that differ from what was last deployed; those that are new or gone count.

        Nothing else is looked at that the records name: all operators may write them, and root looks.
        What was deployed from another fleet file tells nothing of this one.
        """
        known = {_placed(str(source["path"])): source for source in self._sources()}
        here = {_placed(path): path for path in sources(fleet_file)}
        if _placed(fleet_file.absolute()) not in known:
            return []
        changed = [path for place, path in here.items() if _differs(path, known.get(place))]
        bots = fleet_file.absolute().parent / "bots.d"
        gone = sorted(place.name for place in known.keys() - here.keys() if place.parent == bots.resolve())
        return changed + [bots / name for name in gone]

    def _sources(self) -> list[dict[str, str | int]]:
        try:
            sources: list[dict[str, str | int]] = json.loads(self._meta("sources") or "[]")
            kinds = [{key: type(value) for key, value in source.items()} for source in sources]
        except (ValueError, AttributeError, TypeError, RecursionError):
            kinds = [{}]
        shape = {"path": str, "sha256": str, "mtime_ns": int, "size": int}
        self._expect(all(kind == shape for kind in kinds), "its fleet files are not told as they are written")
        return sources

    def _expect(self, fits: object, fault: str) -> None:
        """Refuse what no toolkit wrote: all operators may write here, and root acts upon it."""
        if fits:
            return
        database = self._paths.database
        raise ToolkitError(f"{database}: {fault}", f"see who wrote that; {db.way_without(database)}")

    def _meta(self, key: str) -> str | None:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else None

    def _set_meta(self, key: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def _contents(files: Iterable[RenderedFile]) -> dict[Path, tuple[str, int]]:
    return {file.path: (with_enabled(file.content, enabled=True), file.mode) for file in files}


def _misnamed(table: str, what: str, name: object) -> str:
    return f"its table `{table}` has {what} named {str(name)[:40]!r}, which no fleet file can hold"


def _sha256(data: bytes) -> str:
    import hashlib  # 3 ms that commands which only read are spared

    return hashlib.sha256(data).hexdigest()


def sources(fleet_file: Path) -> list[Path]:
    """The files that a fleet is made from: the fleet file, and those in ``bots.d`` beside it."""
    here = fleet_file.absolute()
    return [here, *sorted((here.parent / "bots.d").glob("[!.]*.yaml"))]


def _placed(path: Path | str) -> Path:
    """A path by which a file is known however its folder was named."""
    folder, name = os.path.split(path)
    try:
        return Path(os.path.realpath(folder), name)
    except ValueError:  # no file can have this path
        return Path()


def _differs(path: Path, source: dict[str, str | int] | None) -> bool:
    if source is None:
        return True
    try:
        status = path.stat()
        if (status.st_mtime_ns, status.st_size) == (source["mtime_ns"], source["size"]):
            return False
        return _sha256(read_regular(path, _LONGEST_SOURCE, follow=True)) != source["sha256"]
    except (OSError, OddFileError):
        return True


@contextmanager
def opened(paths: FleetPaths, *, to_read: bool = False) -> Iterator[Revisions]:
    """The history of a fleet, made where there is none.

    Parameters:
        to_read: nothing is going to be written, so that a full or read-only disk is no hindrance.

    Raises:
        ToolkitError: the database cannot be used.
    """
    connection = (db.connect_to_read if to_read else db.connect)(paths.database)
    try:
        yield Revisions(connection, paths)
    except sqlite3.Error as error:
        raise db.complaint(paths.database, error) from None
    finally:
        connection.close()
