"""From a fleet to what a deploy needs: its rendered files, and each bot as it is wanted."""

import resource
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from toolkit.deploy import access
from toolkit.deploy.plan import Wanted
from toolkit.errors import InvalidFleetError, Problem
from toolkit.fleet.model import Fleet
from toolkit.paths import FleetPaths
from toolkit.place import PRIVATE_SUPERVISORD, SYSTEM_SUPERVISORD
from toolkit.render import Machine, RenderedFile
from toolkit.render.botfiles import bot_file
from toolkit.render.fleet import RENDERERS, render_fleet
from toolkit.render.folders import Folder, folders


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
    problems = _not_there_yet(fleet, paths) or RENDERERS[paths.place.backend].problems(fleet, paths)
    as_users = paths.place == SYSTEM_SUPERVISORD
    if not problems and as_users and to_run:
        problems = access.problems(fleet, sys.executable)
    if problems:
        raise InvalidFleetError(problems)
    renderer, machine = RENDERERS[paths.place.backend], _this_machine(fleet)
    wanted = {
        bot.name: Wanted(
            bot.type,
            renderer.unit_hash(fleet, bot.name, paths, machine),
            bot_file(fleet, bot.name, paths),
            bot.name in held,
        )
        for bot in fleet.bots.values()
    }
    files = render_fleet(fleet, paths, machine, held)
    return Prepared(fleet, paths, files, wanted, folders(fleet, paths, machine) if as_users else ())


def _this_machine(fleet: Fleet) -> Machine:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    users = (access.account(name) for name in {type_.user for type_ in fleet.types.values()} if name)
    groups = {user.name: user.own_group for user in users if user}
    return Machine(sys.executable, sys.maxsize if hard == resource.RLIM_INFINITY else hard, groups=groups)


def _not_there_yet(fleet: Fleet, paths: FleetPaths) -> list[Problem]:
    if paths.place in (PRIVATE_SUPERVISORD, SYSTEM_SUPERVISORD):
        return []
    where = fleet.position("backend")
    message, hint = "systemd is not there yet", "use supervisord: `backend: supervisord`"
    return [Problem(where.file, where.line, "backend", message, hint)]
