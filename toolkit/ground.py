"""The ground that a fleet in system mode stands on: its Unix group, its home, its folders' owners."""

import grp
import os
import pwd
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from toolkit import shell
from toolkit.errors import RefusedError, ToolkitError
from toolkit.files import make_private
from toolkit.paths import FleetPaths
from toolkit.regular_files import open_regular
from toolkit.render.folders import Folder

_GROUPADD_S = 30.0
_AS_ROOT = "run it as root"
# Of the database and the lock, which all operators write.
RECORDS_MODE = 0o660


def lay(paths: FleetPaths) -> dict[Path, str]:
    """Make the fleet's group, and the database's and the lock's files for it, where they are not there.

    Nothing is done in user mode.

    Returns:
        What was there and was otherwise than it is to be, in words.

    Raises:
        RefusedError: it takes root.
        ToolkitError: the group cannot be made.
    """
    if not paths.is_system:
        return {}
    with _root_needed():
        group = _group(paths.group)
        make_private(paths.home.parent, 0o755)
        folders = [Folder(paths.home, _home_mode(paths), group=paths.group)]
        folders.append(Folder(paths.records, 0o2770, group=paths.group))
        found = {folder.path: make_folder(folder) for folder in folders}
        found |= {path: _make_file(path, RECORDS_MODE, group) for path in _records(paths)}
    return {path: words for path, words in found.items() if words}


def make(folders: Iterable[Folder]) -> dict[Path, str]:
    """Make folders, or give them back their owners and modes.

    Returns:
        Those that were otherwise, in words.

    Raises:
        RefusedError: it takes root.
        ToolkitError: a user or a group is unknown.
    """
    with _root_needed():
        found = {folder.path: make_folder(folder) for folder in folders}
    return {path: words for path, words in found.items() if words}


@contextmanager
def _root_needed() -> Iterator[None]:
    """In it is done what root alone may do."""
    try:
        yield
    except PermissionError as error:
        raise RefusedError(f"{error.filename}: {error.strerror}", _AS_ROOT) from None


def look(paths: FleetPaths, folders: Iterable[Folder]) -> dict[Path, str]:
    """What ``lay`` and ``make`` would find otherwise, as far as whoever asks may look. Changes nothing."""
    if not paths.is_system:
        return {}
    found = {}
    for folder in folders:
        with suppress(OSError, ToolkitError):
            owner = user_id(folder.user), group_id(folder.group)
            found[folder.path] = otherwise(folder.path.stat(), folder.mode, *owner)
    for path in _records(paths):
        with suppress(OSError, ToolkitError):
            found[path] = otherwise(path.lstat(), RECORDS_MODE, None, group_id(paths.group))
    return {path: words for path, words in found.items() if words}


def otherwise(found: os.stat_result, mode: int, user: int | None, group: int | None) -> str:
    """How a folder or file differs, in words; "" where it does not. None is for whichever owner it has."""
    words = []
    if stat.S_IMODE(found.st_mode) != mode:
        words.append(f"of mode {stat.S_IMODE(found.st_mode):04o}, not {mode:04o}")
    if user is not None and found.st_uid != user:
        words.append(f"of the user {_name(pwd.getpwuid, found.st_uid)}, not {_name(pwd.getpwuid, user)}")
    if group is not None and found.st_gid != group:
        words.append(f"of the group {_name(grp.getgrgid, found.st_gid)}, not {_name(grp.getgrgid, group)}")
    return ", ".join(words)


def _name(known: Callable[[int], tuple[Any, ...]], number: int) -> str:
    try:
        return str(known(number)[0])
    except KeyError:
        return str(number)


def make_folder(folder: Folder) -> str:
    """One of them.

    Returns:
        How it was otherwise than it is to be, in words; "" where it was not, or not there.

    Raises:
        OSError: it cannot be made.
        ToolkitError: its user or group is unknown.
    """
    owner, there = (user_id(folder.user), group_id(folder.group)), False
    try:
        folder.path.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        there = True
    descriptor = os.open(folder.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        words = otherwise(found, folder.mode, *owner) if there else ""
        if (found.st_uid, found.st_gid) != owner:
            os.fchown(descriptor, *owner)
        if stat.S_IMODE(os.fstat(descriptor).st_mode) != folder.mode:
            os.fchmod(descriptor, folder.mode)
    finally:
        os.close(descriptor)
    return words


def group_id(name: str) -> int:
    """A group's number.

    Raises:
        ToolkitError: there is none of this name.
    """
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise ToolkitError(f"this machine has no group {name}", f"make it: `groupadd {name}`") from None


def user_id(name: str) -> int:
    """A user's number.

    Raises:
        ToolkitError: there is none of this name.
    """
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        hint = f"make it: `useradd --system --user-group {name}`"
        raise ToolkitError(f"this machine has no user {name}", hint) from None


def _group(name: str) -> int:
    with suppress(KeyError):
        return grp.getgrnam(name).gr_gid
    if os.geteuid() != 0:
        raise RefusedError(f"there is no group {name} yet", _AS_ROOT)
    done = shell.run(["groupadd", "--system", name], timeout_s=_GROUPADD_S)
    if done.code:
        raise ToolkitError(f"groupadd {name}: {done.stderr.strip()}", "make the group, then try again")
    return group_id(name)


def _home_mode(paths: FleetPaths) -> int:
    # systemd puts each bot into the fleet's group; the users of supervisord's pass through as strangers.
    return 0o751 if paths.place.backend == "supervisord" else 0o750


def _records(paths: FleetPaths) -> tuple[Path, Path]:
    return paths.database, paths.lock


def _make_file(path: Path, mode: int, group: int) -> str:
    there = os.path.lexists(path)
    descriptor = open_regular(path, os.O_CREAT, mode)
    try:
        found = os.fstat(descriptor)
        words = otherwise(found, mode, None, group) if there else ""
        if found.st_gid != group:
            os.fchown(descriptor, -1, group)
        if stat.S_IMODE(found.st_mode) != mode:
            os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)
    return words
