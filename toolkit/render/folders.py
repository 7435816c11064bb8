"""The folders of a fleet in system mode, each with its owner: as a list, and for each boot."""

from dataclasses import dataclass
from pathlib import Path

from toolkit.fleet.model import Fleet
from toolkit.paths import FleetPaths
from toolkit.render import Machine, RenderedFile
from toolkit.render.systemd_marks import MARKER


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder as it is to be."""

    path: Path
    mode: int
    user: str = "root"
    group: str = "root"

    @property
    def line(self) -> str:
        """What makes it at each boot: tmpfiles.d(5)."""
        path = str(self.path).replace("%", "%%")
        return f"d {path} {self.mode:04o} {self.user} {self.group} -"


def of_systemd(paths: FleetPaths) -> list[Folder]:
    """The folders of a fleet under the machine's systemd, which makes those of each bot; those above first.

    Who is in the fleet's group may look at the fleet and change its records. Bots are in it too, which their
    sandbox makes up for: it hides the records, and leaves only the bot's own folders writable.
    """
    own = (paths.run, paths.home, paths.logs, *_kept(paths))
    return [*_above(paths), *(Folder(path, 0o750, group=paths.group) for path in own), _records(paths)]


def of_supervisord(fleet: Fleet, paths: FleetPaths, machine: Machine) -> list[Folder]:
    """The folders of a fleet under the machine's supervisord; those above first.

    A bot runs as a user that is no member of the fleet's group, so that no bot reads the database, and none
    connects to another's control socket. What a bot puts into its folders of sockets and of logs belongs to
    the group all the same, by the folders' set-group-ID bit: inode(7).
    """
    group = paths.group
    # The bots' users pass through, and see nothing on their way.
    passed = (paths.home, *_kept(paths), paths.run, paths.logs)
    # Root writes here, in whose way nobody else may lay anything.
    strays = Folder(paths.strays, 0o750, group=group)
    own = []
    for bot in fleet.bots.values():
        user = fleet.types[bot.type].user
        own += [
            Folder(paths.state(bot.name), 0o700, user, machine.groups.get(user, user)),
            Folder(paths.control_socket(bot.name).parent, 0o2750, user, group),
            Folder(paths.log(bot.name).parent, 0o2750, user, group),
        ]
    shared = [*(Folder(path, 0o751, group=group) for path in passed), _records(paths), strays]
    return [*_above(paths), *shared, *own]


def _above(paths: FleetPaths) -> list[Folder]:
    """Those of all fleets."""
    above = dict.fromkeys(path.parent for path in (paths.run, paths.home, paths.logs))
    return [Folder(path, 0o755) for path in above]


def _kept(paths: FleetPaths) -> tuple[Path, Path]:
    return paths.home / "bots", paths.home / "botfiles"


def _records(paths: FleetPaths) -> Folder:
    return Folder(paths.records, 0o2770, group=paths.group)


def at_boot(fleet: Fleet, paths: FleetPaths, machine: Machine) -> RenderedFile:
    """What makes them anew where /run begins empty: tmpfiles.d(5)."""
    lines = [f"{MARKER}: folders of fleet {paths.fleet}. The next deploy overwrites what is changed here."]
    lines += [folder.line for folder in of_supervisord(fleet, paths, machine)]
    return RenderedFile(paths.tmpfiles, "\n".join(lines) + "\n", 0o644)
