"""Every file of a fleet."""

from collections.abc import Collection
from dataclasses import replace
from typing import Protocol

from toolkit import botfile
from toolkit.errors import Problem
from toolkit.fleet.model import Fleet, Type
from toolkit.paths import FleetPaths
from toolkit.place import BackendName
from toolkit.render import Machine, RenderedFile, supervisord, systemd
from toolkit.render.botfiles import bot_file


class Renderer(Protocol):
    """What a module of this package offers that writes a supervisor's units."""

    def problems(self, fleet: Fleet, paths: FleetPaths, machine: Machine) -> list[Problem]:
        """What of a valid fleet cannot be said to the supervisor."""
        ...

    def shared_files(self, fleet: Fleet, paths: FleetPaths, machine: Machine) -> list[RenderedFile]:
        """What the fleet has besides its bots' files."""
        ...

    def unit(
        self, fleet: Fleet, bot: str, paths: FleetPaths, machine: Machine, enabled: bool = True
    ) -> RenderedFile:
        """A bot's unit, started with the supervisor or not."""
        ...

    def live_properties(self, type_: Type) -> dict[str, int]:
        """A type's limits that can change while its bots run, by the supervisor's names."""
        ...

    def unit_hash(self, fleet: Fleet, bot: str, paths: FleetPaths, machine: Machine) -> str:
        """A digest of what a bot's unit says, but for what may change while the bot runs."""
        ...


RENDERERS: dict[BackendName, Renderer] = {"supervisord": supervisord, "systemd": systemd}


def render_fleet(
    fleet: Fleet, paths: FleetPaths, machine: Machine, stopped: Collection[str] = ()
) -> list[RenderedFile]:
    """What the fleet's bots share, then the unit and the bot file of each bot.

    Parameters:
        stopped: bots that an operator keeps stopped.

    Raises:
        UnfitError: a value cannot be expressed; the renderer's ``problems`` says which.
    """
    renderer = RENDERERS[paths.place.backend]
    files = renderer.shared_files(fleet, paths, machine)
    for bot in fleet.bots:
        files.append(renderer.unit(fleet, bot, paths, machine, bot not in stopped))
        files.append(rendered_bot_file(fleet, bot, paths, machine))
    if not paths.is_system:
        return files
    return [replace(file, user="root", group=file.group or "root") for file in files]


def rendered_bot_file(fleet: Fleet, bot: str, paths: FleetPaths, machine: Machine) -> RenderedFile:
    """A bot's bot file; in system mode the bot may read it, and not write it."""
    text = botfile.encode(bot_file(fleet, bot, paths))
    if not paths.is_system:
        return RenderedFile(paths.botfile(bot), text)
    # systemd puts each bot into the fleet's group; a user of supervisord's is no member of it.
    user = fleet.types[fleet.bots[bot].type].user
    own = machine.groups.get(user, "") if paths.place.backend == "supervisord" else ""
    return RenderedFile(paths.botfile(bot), text, 0o640, group=own or paths.group)
