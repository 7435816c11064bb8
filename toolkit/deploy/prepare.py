"""From a fleet to what a deploy needs: its rendered files, and each bot as it is wanted."""

import resource
import sys
from collections.abc import Collection
from dataclasses import dataclass

from toolkit.deploy.plan import Wanted
from toolkit.errors import InvalidFleetError, Problem
from toolkit.fleet.model import Fleet
from toolkit.paths import FleetPaths
from toolkit.place import PRIVATE_SUPERVISORD
from toolkit.render import Machine, RenderedFile
from toolkit.render.botfiles import bot_file
from toolkit.render.fleet import RENDERERS, render_fleet


@dataclass(frozen=True, slots=True)
class Prepared:
    """A fleet, rendered and ready to be compared with what is in force."""

    fleet: Fleet
    paths: FleetPaths
    files: list[RenderedFile]
    wanted: dict[str, Wanted]


def prepare(fleet: Fleet, paths: FleetPaths, held: Collection[str] = ()) -> Prepared:
    """Render a fleet, for this machine.

    Parameters:
        held: bots that an operator keeps stopped.

    Raises:
        InvalidFleetError: a value cannot be expressed in a unit.
    """
    problems = _not_there_yet(fleet, paths) or RENDERERS[paths.place.backend].problems(fleet, paths)
    if problems:
        raise InvalidFleetError(problems)
    renderer, machine = RENDERERS[paths.place.backend], _this_machine()
    wanted = {
        bot.name: Wanted(
            bot.type,
            renderer.unit_hash(fleet, bot.name, paths, machine),
            bot_file(fleet, bot.name, paths),
            bot.name in held,
        )
        for bot in fleet.bots.values()
    }
    return Prepared(fleet, paths, render_fleet(fleet, paths, machine, held), wanted)


def _this_machine() -> Machine:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Machine(sys.executable, sys.maxsize if hard == resource.RLIM_INFINITY else hard)


def _not_there_yet(fleet: Fleet, paths: FleetPaths) -> list[Problem]:
    if paths.place == PRIVATE_SUPERVISORD:
        return []
    key, words = ("mode", "system mode") if paths.place.backend == "supervisord" else ("backend", "systemd")
    where = fleet.position(key)
    message, hint = f"{words} is not there yet", "use a private supervisord: `backend: supervisord`"
    return [Problem(where.file, where.line, key, message, hint)]
