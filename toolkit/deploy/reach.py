"""What a bot under the machine's systemd could not reach of its interpreter and its app."""

import grp
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from toolkit.deploy.access import Account, account, closed_part
from toolkit.errors import Problem
from toolkit.fleet.model import Fleet, Type
from toolkit.paths import FleetPaths
from toolkit.render import Machine

# Whatever their modes: ProtectHome= and PrivateTmp= of systemd.exec(5) hide them from the bot.
_HIDDEN = ("/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108  nothing is written there
# No user has this number: (uid_t) -1 of setuid(2).
_NOBODY = 2**32 - 1
_HINT = "put it where every user can read it, such as /opt"


def problems(fleet: Fleet, paths: FleetPaths, machine: Machine) -> list[Problem]:
    """Interpreters and apps of a fleet in system mode that its bots could not read.

    Types that no bot is of do not count.
    """
    found = []
    for name in dict.fromkeys(bot.type for bot in fleet.bots.values()):
        type_ = fleet.types[name]
        for key, path, title in _needed(type_, machine):
            reason = _obstacle(path, type_, paths.group)
            if reason:
                keys = ("types", name, key) if ("types", name, key) in fleet.positions else ("types", name)
                message = f"{title} {path} cannot be reached by a bot of a system unit: {reason}"
                found.append(fleet.problem(keys, message, _HINT))
    return found


def _needed(type_: Type, machine: Machine) -> Iterator[tuple[str, str, str]]:
    """Key, path and title of each thing that the type's bots must reach."""
    yield "python", type_.python or machine.python, "the interpreter"
    yield "directory", type_.directory, "the folder"
    for folder in type_.app.search:
        yield "search", folder, "the folder"
    if type_.app.argv and "/" in type_.app.argv[0]:
        yield "app", type_.app.argv[0], "the program"


def _obstacle(path: str, type_: Type, group: str) -> str:
    """Why a bot cannot reach it; "" where it can, as far as that is known."""
    real = os.path.realpath(path)
    hidden = _HIDDEN if "home" in type_.needs else (*_HIDDEN, "/home")
    for place in dict.fromkeys((os.path.normpath(path), real)):
        for folder in hidden:
            if place == folder or place.startswith(f"{folder}/"):
                shown = (
                    f"it lies under {folder}"
                    if place != real or real == path
                    else f"it is {real}, under {folder}"
                )
                return f"{shown}, which the sandbox hides" + _way_out(folder)
    bot = _account(type_.user or "", group)
    return _closed(Path(real), bot) if bot else ""


def _way_out(folder: str) -> str:
    return " unless the type has `needs: [home]`" if folder == "/home" else ""


def _closed(path: Path, bot: Account) -> str:
    """Which part of a path a bot may not enter or read."""
    try:
        closed = closed_part(path, bot, os.R_OK)
    except OSError:
        return ""  # what is missing was told before, and what may not be looked at the bot will tell
    if closed is None:
        return ""
    part, mode = closed
    words = "may not be entered" if part != path else "may not be read"
    return f"{part} {words} by {bot.name} (mode {stat.S_IMODE(mode):04o})"


def _account(user: str, group: str) -> Account | None:
    """Who a bot is, in the fleet's group: a user of its own, or the type's; None where there is none yet."""
    try:
        gids: tuple[int, ...] = (grp.getgrnam(group).gr_gid,)
    except KeyError:  # the first deploy makes it
        gids = ()
    if not user:
        return Account("other users", _NOBODY, gids)
    named = account(user)
    # The unit's Group= takes the place of the user's own, which is the first.
    return named and Account(named.name, named.uid, (*gids, *named.gids[1:]))
