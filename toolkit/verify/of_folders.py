"""The check of folders: whoever may write to one can replace what lies in it, whatever the modes of that."""

import os
import shlex
from collections.abc import Iterable

from toolkit.verify.check import Check, Verdict, mended
from toolkit.verify.expected import Expected
from toolkit.verify.facts import Facts, FileFact
from toolkit.verify.folders import Own

_EVERYONE, _GROUP = 0o002, 0o020
DEPLOY = "`toolkit deploy` as root puts the toolkit's folders back"
_TAKE = "`chmod go-w {folders}` lets their owners alone write there"


def check(wanted: Expected) -> Check:
    """That none is open to others."""
    return Check(
        "folders",
        "",
        "whoever may write to a folder can replace what lies in it: secrets, units' files, code",
        f"{DEPLOY}; {_TAKE.format(folders='FOLDER')}",
        lambda facts: _judge(wanted, facts),
    )


def _judge(wanted: Expected, facts: Facts) -> Verdict:
    # Of a socket's own folder the check of the socket tells.
    sockets = {os.path.dirname(bot.bot.files.socket) for bot in wanted.bots}
    ours = [
        fault
        for folder in wanted.folders
        if folder.path not in sockets and (found := facts.files.get(folder.path))
        for fault in faults(folder, found)
    ]
    open_ = {
        folder.path: f"{folder.path} has mode {found.mode:04o}: {who} may write there"
        for folder in wanted.kept
        if (found := facts.files.get(folder.path)) and (who := _who(found, folder.groups))
    }
    take = _TAKE.format(folders=" ".join(map(shlex.quote, open_)))
    return mended(*((fault, DEPLOY) for fault in ours), *((fault, take) for fault in open_.values()))


def faults(folder: Own, found: FileFact) -> list[str]:
    """How one of the toolkit's folders differs."""
    told = []
    if found.mode != folder.mode:
        who = _who(found, (folder.group,) if folder.mode & _GROUP else ())
        words = f": {who} may write there" if who else ""
        told.append(f"{folder.path} has mode {found.mode:04o}, not {folder.mode:04o}{words}")
    if (found.user, found.group) != (folder.user, folder.group):
        owners = f"{found.user}:{found.group}, not to {folder.user}:{folder.group}"
        told.append(f"{folder.path} belongs to {owners}")
    return told


def _who(found: FileFact, groups: Iterable[str]) -> str:
    """Who else may write in a folder, in words."""
    if found.mode & _EVERYONE:
        return "everyone"
    if found.mode & _GROUP and found.group not in ("root", found.user, *groups):
        return f"the group {found.group}"
    return ""
