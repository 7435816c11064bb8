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

from toolkit.errors import OddFileError

# What open(2) tells of a link that is not to be followed, of a socket, and of a folder that is to be written.
_ODD = (errno.ELOOP, errno.ENXIO, errno.EISDIR)
_UNFINISHED = re.compile(r"\.(.+)\.\d+\.new", re.DOTALL)
# What the system tells of a full disk, and of a user's full share of it.
FULL = (errno.ENOSPC, errno.EDQUOT)
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}


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


def open_regular(
    path: str | Path,
    flags: int = os.O_RDONLY,
    mode: int = 0o600,
    *,
    follow: bool = False,
    folder: int | None = None,
) -> int:
    """Open a file in a folder where others may write, as root does: what they put there leads nowhere else.

    Nothing is waited for, and only a regular file will do.

    Parameters:
        flags: of open(2), beside those; to read if none is given.
        mode: of a file that is made.
        follow: whether a link will do, of whoever names the file.
        folder: an open folder, in which the path's last part is looked for.

    Returns:
        A file descriptor.

    Raises:
        OddFileError: it is something else.
        OSError: it cannot be opened.
    """
    try:
        descriptor = os.open(
            path if folder is None else os.path.basename(path),
            flags | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW),
            mode,
            dir_fd=folder,
        )
    except OSError as error:
        error.filename = str(path)
        if error.errno in _ODD:
            refuse_odd(path, folder, follow=follow)
        raise
    try:
        _refuse(path, os.fstat(descriptor).st_mode)
    except OddFileError:
        os.close(descriptor)
        raise
    return descriptor


def open_folder(path: Path, trusted: Path) -> int:
    """Open a folder that lies where others may write, as root does: no link on the way leads elsewhere.

    Parameters:
        trusted: a folder above it, reached as it stands; links are refused below it.

    Returns:
        A file descriptor.

    Raises:
        OddFileError: a link is in the place of a folder.
        OSError: it cannot be opened.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    descriptor, place = os.open(trusted, flags), trusted
    for name in path.relative_to(trusted).parts:
        above, place = descriptor, place / name
        try:
            descriptor = os.open(name, flags | os.O_NOFOLLOW, dir_fd=above)
        except OSError as error:
            error.filename = str(place)
            with suppress(FileNotFoundError):
                if stat.S_ISLNK(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode):
                    raise OddFileError(place, "is a symbolic link, not a folder") from None
            raise
        finally:
            os.close(above)
    return descriptor


def refuse_odd(path: str | Path, folder: int | None = None, *, follow: bool = False) -> None:
    """Refuse what is there and is no regular file, for those who can only open it by its name.

    Parameters:
        folder, follow: as of ``open_regular``.

    Raises:
        OddFileError: it is something else.
        OSError: it cannot be looked at.
    """
    with suppress(FileNotFoundError):
        name = path if folder is None else os.path.basename(path)
        _refuse(path, os.stat(name, dir_fd=folder, follow_symlinks=follow).st_mode)


def _refuse(path: str | Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise OddFileError(path, f"is {_KINDS.get(stat.S_IFMT(mode), 'a device')}, not a file")


def read_regular(path: Path, most: int, *, follow: bool = False, folder: int | None = None) -> bytes:
    """What is in a file of a folder where others may write.

    Parameters:
        most: bytes that it may have.
        follow, folder: as of ``open_regular``.

    Raises:
        OddFileError: it is no regular file, or has more.
        OSError: it cannot be read.
    """
    with open(open_regular(path, follow=follow, folder=folder), "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OddFileError(path, f"has more than {most} bytes")
    return content


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
