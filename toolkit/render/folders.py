"""The folders of a fleet under the machine's supervisord, each with its owner: as a list, and for each boot.

A bot runs as a user that is no member of the fleet's group, so that no bot reads the database, and none
connects to another's control socket. What a bot puts into its folders of sockets and of logs belongs to
the group all the same, by the folders' set-group-ID bit: inode(7).
"""

from dataclasses import dataclass
from pathlib import Path

from toolkit.fleet.model import Fleet
from toolkit.paths import FleetPaths
from toolkit.render import Machine, RenderedFile


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder as it is to be."""

    path: Path
    mode: int
    user: str = "root"
    group: str = "root"


def folders(fleet: Fleet, paths: FleetPaths, machine: Machine) -> list[Folder]:
    """Every folder, those above before those in them."""
    group = paths.group
    shared = [
        # The bots' users pass through, and see nothing on their way.
        *(
            Folder(path, 0o751, group=group)
            for path in (paths.home, paths.home / "bots", paths.home / "botfiles", paths.run, paths.logs)
        ),
        Folder(paths.records, 0o2770, group=group),
        # Root writes here, in whose way nobody else may lay anything.
        Folder(paths.strays, 0o750, group=group),
    ]
    above = dict.fromkeys(path.parent for path in (paths.home, paths.run, paths.logs))
    own = []
    for bot in fleet.bots.values():
        user = fleet.types[bot.type].user
        own += [
            Folder(paths.state(bot.name), 0o700, user, machine.groups.get(user, user)),
            Folder(paths.control_socket(bot.name).parent, 0o2750, user, group),
            Folder(paths.log(bot.name).parent, 0o2750, user, group),
        ]
    return [*(Folder(path, 0o755) for path in above), *shared, *own]


def at_boot(fleet: Fleet, paths: FleetPaths, machine: Machine) -> RenderedFile:
    """What makes them anew where /run begins empty: tmpfiles.d(5)."""
    lines = [f"# Folders of fleet {paths.fleet}. Written by the toolkit: the next deploy overwrites it."]
    lines += [
        f"d {str(folder.path).replace('%', '%%')} {folder.mode:04o} {folder.user} {folder.group} -"
        for folder in folders(fleet, paths, machine)
    ]
    return RenderedFile(paths.tmpfiles, "\n".join(lines) + "\n", 0o644)
