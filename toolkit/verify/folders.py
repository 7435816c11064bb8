"""The folders that a host's checks look at: the toolkit's own, and those that others may not write to."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from toolkit.paths import FleetPaths

if TYPE_CHECKING:
    from toolkit.verify.expected import Bot, File

_LINE = re.compile(r"d (\S+) ([0-7]{4}) (\S+) (\S+) -")


class Own(msgspec.Struct, frozen=True):
    """A folder of the toolkit's, as a deploy makes it."""

    path: str
    mode: int
    user: str
    group: str


class Kept(msgspec.Struct, frozen=True):
    """A folder of the administrator's, or a file, to which others are not to write.

    Parameters:
        groups: those that may, beside root's and the owner's.
    """

    path: str
    groups: tuple[str, ...] = ()


def own(paths: FleetPaths, shared: "Iterable[File]") -> tuple[Own, ...]:
    """The folders that are made at boot: tmpfiles.d(5). None in user mode, where all lies in one."""
    tmpfiles = [file.text for file in shared if file.path == str(paths.tmpfiles)]
    lines = [_LINE.fullmatch(line) for text in tmpfiles for line in text.splitlines()]
    found = [Own(line[1].replace("%%", "%"), int(line[2], 8), line[3], line[4]) for line in lines if line]
    # All operators may write what a revision has.
    tops = {path.parent for path in (paths.home, paths.run, paths.logs)}
    return tuple(one for one in found if tops & {Path(one.path), *Path(one.path).parents})


def kept(sources: Iterable[Path], bots: "Sequence[Bot]", shared: "Iterable[File]") -> tuple[Kept, ...]:
    """The folders of secrets, of bots' code, interpreters and units, and of the fleet's files, with these.

    Parameters:
        sources: the fleet's files, first the fleet file.
    """
    found: dict[str, set[str]] = {}
    for bot in bots:
        for folder in (*bot.code, *([os.path.dirname(bot.secret)] if bot.secret else [])):
            found.setdefault(os.path.realpath(folder), set()).add(bot.user)
    files = [*map(str, sources)]
    placed = [*files, os.path.join(os.path.dirname(files[0]), "bots.d", "-")]
    placed += [bot.python for bot in bots if bot.python] + [bot.unit.path for bot in bots]
    others = [*files, *map(os.path.dirname, [*placed, *(file.path for file in shared)])]
    found |= {path: found.get(path, set()) for path in map(os.path.realpath, others)}
    return tuple(Kept(path, tuple(sorted(groups))) for path, groups in sorted(found.items()))
