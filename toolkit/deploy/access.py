"""What the bots' users may not reach: found before a bot fails on it."""

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import Problem
from toolkit.fleet.model import Fleet, Type
from toolkit.paths import runner_of


@dataclass(frozen=True, slots=True)
class Account:
    """A user, as the kernel judges what it may do.

    Parameters:
        gids: of its own group, then of the others that it is a member of.
    """

    name: str
    uid: int
    gids: tuple[int, ...]

    @property
    def own_group(self) -> str:
        """The name of its own group."""
        return grp.getgrgid(self.gids[0]).gr_name


def account(name: str) -> Account | None:
    """The user of a name, if there is one; with the groups that supervisord would give it."""
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(name, found.pw_uid, tuple(os.getgrouplist(name, found.pw_gid)))


def obstacle(path: Path, user: Account, wanted: int) -> str:
    """What keeps a user from a file or folder, in words; "" where nothing does.

    Parameters:
        path: absolute.
        wanted: permissions as of access(2): os.R_OK, os.X_OK, or both.
    """
    try:
        closed = closed_part(path, user, wanted)
    except PermissionError:
        return ""  # whoever asks may not look: the bot will tell
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    if closed is None:
        return ""
    part, mode = closed
    words = "may not be entered by" if part != path or stat.S_ISDIR(mode) else "is closed to"
    return f"{part} {words} {user.name}"


def closed_part(path: Path, user: Account, wanted: int) -> tuple[Path, int] | None:
    """The first part of a path that a user may not enter or use, with its mode; None where there is none.

    Parameters:
        path: absolute.
        wanted: permissions as of access(2).

    Raises:
        OSError: a part is not there, or whoever asks may not look at it.
    """
    for part in reversed([path, *path.parents]):
        found = part.stat()
        if not _allows(found, user, wanted if part == path else os.X_OK):
            return part, found.st_mode
    return None


def _allows(found: os.stat_result, user: Account, wanted: int) -> bool:
    """As inode(7) has it: the first class that fits decides."""
    if user.uid == found.st_uid:
        bits = found.st_mode >> 6
    elif found.st_gid in user.gids:
        bits = found.st_mode >> 3
    else:
        bits = found.st_mode
    return bits & wanted == wanted


def problems(fleet: Fleet, python: str) -> list[Problem]:
    """Where a bot's user lacks something that its bot needs.

    Parameters:
        python: the toolkit's own interpreter, for types that name none.
    """
    users = {name: account(type_.user) for name, type_ in fleet.types.items() if type_.user}
    found = [
        fleet.problem(
            ("types", name, "user"),
            f"this machine has no user {fleet.types[name].user}",
            f"make it: `useradd --system --user-group {fleet.types[name].user}`",
        )
        for name, user in users.items()
        if user is None
    ]
    for name, user in users.items():
        if user:
            found += _of_type(fleet, fleet.types[name], user, python)
    for bot in fleet.bots.values():
        user = users.get(bot.type)
        if user and bot.token and bot.token.kind == "file":
            path = bot.token.value[0]
            reason = obstacle(Path(path), user, os.R_OK)
            if reason:
                hint = f"`chown {user.name} {path}`, and let that user enter its folder"
                found.append(fleet.problem(("bots", bot.name, "token", "file"), reason, hint))
    return found


def unread_tokens(fleet: Fleet) -> list[Problem]:
    """Token files that whoever asks may not read, and so no bot that runs as the same user."""
    return [
        fleet.problem(
            ("bots", bot.name, "token", "file"),
            "you may not read the file, and the bot runs as you",
            "run it as the file's owner, or make the file yours",
        )
        for bot in fleet.bots.values()
        if bot.token and bot.token.kind == "file" and not os.access(bot.token.value[0], os.R_OK)
    ]


def _of_type(fleet: Fleet, type_: Type, user: Account, python: str) -> Iterator[Problem]:
    interpreter = type_.python or python
    # A virtual environment's interpreter is a link to another, and that one is what is executed.
    programs = (Path(runner_of(interpreter)), Path(interpreter).resolve())
    needs = [("python", program, os.R_OK | os.X_OK) for program in programs]
    needs.append(("directory", Path(type_.directory), os.X_OK))
    needs += [("search", Path(folder), os.R_OK | os.X_OK) for folder in type_.app.search]
    for key, path, wanted in needs:
        reason = obstacle(path, user, wanted)
        if reason:
            hint = "put it where that user may go, such as under /opt or /srv"
            yield fleet.problem(("types", type_.name, key), reason, hint)
