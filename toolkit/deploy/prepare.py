"""From a fleet to what a deploy needs: its rendered files, and each bot as it is wanted."""

import re
import resource
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from toolkit import shell
from toolkit.deploy import access, reach
from toolkit.deploy.plan import Wanted
from toolkit.errors import InvalidFleetError, ToolkitError
from toolkit.fleet.model import Fleet
from toolkit.paths import FleetPaths
from toolkit.place import SYSTEM_SUPERVISORD, SYSTEM_SYSTEMD, Place
from toolkit.render import Machine, RenderedFile
from toolkit.render.botfiles import bot_file
from toolkit.render.fleet import RENDERERS, render_fleet
from toolkit.render.folders import Folder, of_supervisord, of_systemd

VERSION_S = 5.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A fleet, rendered and ready to be compared with what is in force.

    Parameters:
        folders: what has to be there before its files are, with owners.
    """

    fleet: Fleet
    paths: FleetPaths
    files: list[RenderedFile]
    wanted: dict[str, Wanted]
    folders: Sequence[Folder] = ()


def prepare(fleet: Fleet, paths: FleetPaths, held: Collection[str] = (), *, to_run: bool = True) -> Prepared:
    """Render a fleet, for this machine.

    Parameters:
        held: bots that an operator keeps stopped.
        to_run: whether it is to run on this machine, which must then have all that its bots need.

    Raises:
        InvalidFleetError: a value cannot be expressed in a unit, or a bot's user lacks what the bot needs.
    """
    renderer, machine = RENDERERS[paths.place.backend], this_machine(fleet, paths.place)
    as_users = paths.place == SYSTEM_SUPERVISORD
    problems = renderer.problems(fleet, paths, machine)
    if not problems and as_users and to_run:
        problems = access.problems(fleet, sys.executable)
    if not problems and not paths.is_system and to_run:
        problems = access.unread_tokens(fleet)
    if not problems and paths.place == SYSTEM_SYSTEMD and to_run:
        problems = reach.problems(fleet, paths, machine)
    if problems:
        raise InvalidFleetError(problems)
    wanted = {
        bot.name: Wanted(
            bot.type,
            renderer.unit_hash(fleet, bot.name, paths, machine),
            bot_file(fleet, bot.name, paths),
            bot.name in held,
            renderer.live_properties(fleet.types[bot.type]),
        )
        for bot in fleet.bots.values()
    }
    files = render_fleet(fleet, paths, machine, held)
    return Prepared(fleet, paths, files, wanted, _folders(fleet, paths, machine))


def _folders(fleet: Fleet, paths: FleetPaths, machine: Machine) -> Sequence[Folder]:
    if not paths.is_system:
        return ()
    if paths.place == SYSTEM_SUPERVISORD:
        return of_supervisord(fleet, paths, machine)
    return of_systemd(paths)


def this_machine(fleet: Fleet, place: Place) -> Machine:
    """What of this machine decides how files are rendered for a place."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    users = (access.account(name) for name in {type_.user for type_ in fleet.types.values()} if name)
    return Machine(
        sys.executable,
        sys.maxsize if hard == resource.RLIM_INFINITY else hard,
        _systemd_version() if place.backend == "systemd" else 0,
        groups={user.name: user.own_group for user in users if user},
    )


def _systemd_version() -> int:
    """The version of systemd, such as 252; 0 where there is none."""
    try:
        done = shell.run(["systemctl", "--version"], timeout_s=VERSION_S)
    except ToolkitError:
        return 0
    match = re.match(r"systemd (\d+)", done.stdout)
    return int(match[1]) if match else 0
