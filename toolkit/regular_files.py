"""Open and read regular files where others may write: a link, a pipe or far too much of theirs is refused."""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from toolkit.errors import OddFileError

# What open(2) tells of a link that is not to be followed, of a socket, and of a folder that is to be written.
_ODD = (errno.ELOOP, errno.ENXIO, errno.EISDIR)
_KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}


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


def kind_of(mode: int) -> str:
    """What a file is, with its article, such as ``a file`` or ``a socket``.

    Parameters:
        mode: as stat(2) gives it.
    """
    return _KINDS.get(stat.S_IFMT(mode), "a device")


def _refuse(path: str | Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise OddFileError(path, f"is {kind_of(mode)}, not a file")


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
