"""From a fleet to what a deploy needs: its rendered files, and each bot as it is wanted."""

import resource
import sys
from collections.abc import Collection
from dataclasses import dataclass

from toolkit.deploy.plan import Wanted
from toolkit.errors import InvalidFleetError, Problem
from toolkit.fleet.model import Fleet
from toolkit.paths import FleetPaths
from toolkit.render import RenderedFile, supervisord
from toolkit.render.botfiles import bot_file
from toolkit.render.fleet import render_fleet


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
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    file_limit = sys.maxsize if hard == resource.RLIM_INFINITY else hard
    problems = supervisord.problems(fleet, paths)
    if fleet.backend == "systemd":
        place = fleet.position("backend")
        message = "the systemd backend is not there yet"
        problems.append(Problem(place.file, place.line, "backend", message, "use supervisord or auto"))
    if problems:
        raise InvalidFleetError(problems)
    wanted = {
        bot.name: Wanted(
            bot.type,
            supervisord.unit_hash(fleet, bot.name, paths, sys.executable),
            bot_file(fleet, bot.name, paths, "supervisord"),
            bot.name in held,
        )
        for bot in fleet.bots.values()
    }
    return Prepared(fleet, paths, render_fleet(fleet, paths, sys.executable, held, file_limit), wanted)
