"""The ground that a fleet in system mode stands on: its Unix group, its home, its folders' owners."""

import grp
import os
import pwd
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from toolkit import shell
from toolkit.errors import RefusedError, ToolkitError
from toolkit.files import make_private, open_regular
from toolkit.paths import FleetPaths
from toolkit.render.folders import Folder

_GROUPADD_S = 30.0
_AS_ROOT = "run it as root"


def lay(paths: FleetPaths) -> None:
    """Make the fleet's group, and the database's and the lock's files for it, where they are not there.

    Nothing is done in user mode.

    Raises:
        RefusedError: it takes root.
        ToolkitError: the group cannot be made.
    """
    if not paths.is_system:
        return
    try:
        group = _group(paths.group)
        make_private(paths.home.parent, 0o755)
        make_folder(Folder(paths.home, _home_mode(paths), group=paths.group))
        make_folder(Folder(paths.records, 0o2770, group=paths.group))
        for path in (paths.database, paths.lock):
            _make_file(path, 0o660, group)
    except PermissionError as error:
        raise RefusedError(f"{error.filename}: {error.strerror}", _AS_ROOT) from None


def make(folders: Iterable[Folder]) -> None:
    """Make folders, or give them back their owners and modes.

    Raises:
        RefusedError: it takes root.
        ToolkitError: a user or a group is unknown.
    """
    try:
        for folder in folders:
            make_folder(folder)
    except PermissionError as error:
        raise RefusedError(f"{error.filename}: {error.strerror}", _AS_ROOT) from None


def make_folder(folder: Folder) -> None:
    """One of them.

    Raises:
        OSError: it cannot be made.
        ToolkitError: its user or group is unknown.
    """
    owner = _uid(folder.user), group_id(folder.group)
    with suppress(FileExistsError):
        folder.path.mkdir(mode=0o700, parents=True)
    descriptor = os.open(folder.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if (found.st_uid, found.st_gid) != owner:
            os.fchown(descriptor, *owner)
        if stat.S_IMODE(os.fstat(descriptor).st_mode) != folder.mode:
            os.fchmod(descriptor, folder.mode)
    finally:
        os.close(descriptor)


def group_id(name: str) -> int:
    """A group's number.

    Raises:
        ToolkitError: there is none of this name.
    """
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise ToolkitError(f"this machine has no group {name}", f"make it: `groupadd {name}`") from None


def _uid(name: str) -> int:
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


def _make_file(path: Path, mode: int, group: int) -> None:
    descriptor = open_regular(path, os.O_CREAT, mode)
    try:
        found = os.fstat(descriptor)
        if found.st_gid != group:
            os.fchown(descriptor, -1, group)
        if stat.S_IMODE(found.st_mode) != mode:
            os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)
