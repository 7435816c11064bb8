"""Put files in place so that a reader, or a crash, finds the old one or the new one whole."""

import errno
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_UNFINISHED = re.compile(r"\.(.+)\.\d+\.new", re.DOTALL)
# What the system tells of a full disk, and of a user's full share of it.
FULL = (errno.ENOSPC, errno.EDQUOT)
# Of a first line, which tells whose a file is, so many characters are enough.
_LINE_LENGTH = 200


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file to be put in place.

    Parameters:
        group: the number of the group it is to belong to; None leaves that to the system.
    """

    path: Path
    content: str | bytes
    mode: int = 0o600
    group: int | None = None


def write_atomically(path: Path, content: str | bytes, mode: int = 0o600, group: int | None = None) -> None:
    """Put one file in place, as ``write_together`` does; the parameters are those of a NewFile.

    Raises:
        OSError: it could not be written; the old file, if any, is as it was.
    """
    write_together([NewFile(path, content, mode, group)])


def write_together(new: Sequence[NewFile]) -> None:
    """Put files in place, the slow part of it once for all of them: see ``Staged``.

    Raises:
        OSError: one could not be written; each is the old one or the new one, whole.
    """
    with Staged() as staged:
        staged.add(new)
        staged.put(file.path for file in new)


class Staged:
    """Files that are on disk under temporary names, so that no lack of room keeps them from their own.

    A context: at its end those that were not put in place are removed.
    """

    def __init__(self) -> None:
        self._waiting: dict[Path, Path] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for temporary in self._waiting.values():
            with suppress(OSError):  # on a disk that may not be written none was made
                temporary.unlink()
        self._waiting.clear()

    def __contains__(self, path: Path) -> bool:
        return path in self._waiting

    def add(self, new: Sequence[NewFile]) -> None:
        """Write files and have them on disk; their places stay as they are.

        Raises:
            OSError: one could not be written.
        """
        for file in new:
            temporary = file.path.with_name(f".{file.path.name}.{os.getpid()}.new")  # as in _UNFINISHED
            self._waiting[file.path] = temporary
            with _told_as(file.path):
                _write(temporary, file)
        # Only now: the first one has the file system write the others too, and the disk takes longest.
        for file in new:
            with _told_as(file.path):
                _sync(self._waiting[file.path])

    def put(self, paths: Iterable[Path]) -> list[Path]:
        """Give those of these files that were written their names; tell which.

        Raises:
            OSError: one could not be put in place; each is the old one or the new one, whole.
        """
        due = [path for path in paths if path in self._waiting]
        for path in due:
            with _told_as(path):
                self._waiting[path].rename(path)
            del self._waiting[path]
        for folder in {path.parent for path in due}:
            sync_folder(folder)
        return due


def remove_unfinished(paths: Iterable[Path]) -> None:
    """Remove what processes that were killed left of these files, of which nobody else writes one now.

    Where that is not permitted, it stays.
    """
    names: dict[Path, set[str]] = {}
    for path in paths:
        names.setdefault(path.parent, set()).add(path.name)
    for folder, known in names.items():
        with suppress(PermissionError, FileNotFoundError):
            for name in os.listdir(folder):
                unfinished = _UNFINISHED.fullmatch(name)
                if unfinished and unfinished[1] in known:
                    (folder / name).unlink()


@contextmanager
def _told_as(path: Path) -> Iterator[None]:
    """Have an error name the file that is meant, where the system names a temporary one, or none."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


def _write(path: Path, file: NewFile) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, file.mode)
    with os.fdopen(descriptor, "wb") as opened:
        if file.group is not None:
            os.fchown(descriptor, -1, file.group)
        os.fchmod(descriptor, file.mode)
        opened.write(file.content.encode() if isinstance(file.content, str) else file.content)


def remove(path: Path) -> None:
    """Remove a file for good; one that is not there is no error."""
    path.unlink(missing_ok=True)
    if path.parent.is_dir():
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make what was renamed or removed in a folder survive a power cut."""
    _sync(folder, os.O_DIRECTORY)


def _sync(path: Path, flags: int = 0) -> None:
    descriptor = os.open(path, os.O_RDONLY | flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def first_line(path: Path) -> str:
    """How a file begins; "" where it is gone or may not be read. Where it is long, it is cut."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.readline(_LINE_LENGTH)
    except OSError:
        return ""


def in_the_way(folder: Path) -> Path | None:
    """What keeps a folder from being made: the nearest of it and those above that exists, if no folder."""
    nearest = next((place for place in (folder, *folder.parents) if os.path.lexists(place)), None)
    return None if nearest is None or nearest.is_dir() else nearest


def free_bytes(folder: Path) -> int:
    """What is left on the disk of a folder; none where it can have no more files."""
    disk = os.statvfs(folder)
    # Some file systems have no fixed number of files.
    return disk.f_bavail * disk.f_frsize if disk.f_favail or not disk.f_files else 0


def make_private(folder: Path, mode: int = 0o700) -> None:
    """Make a folder, and those above it that are missing, for its owner alone, or with another mode.

    The mode is what they get whatever the umask is.
    """
    for parent in reversed([folder, *folder.parents]):
        if not parent.exists():
            parent.mkdir(mode=mode, exist_ok=True)
            made = parent.stat().st_mode
            if made & mode != mode:
                parent.chmod(stat.S_IMODE(made) | mode)
