"""Every file of a fleet."""

from collections.abc import Collection

from toolkit import botfile
from toolkit.fleet.model import Fleet
from toolkit.paths import FleetPaths
from toolkit.render import RenderedFile, supervisord
from toolkit.render.botfiles import bot_file


def render_fleet(
    fleet: Fleet, paths: FleetPaths, python: str, stopped: Collection[str] = (), file_limit: int = 1024
) -> list[RenderedFile]:
    """The private supervisord's configuration, then the unit and the bot file of each bot.

    Parameters:
        python: the toolkit's own interpreter, for types that name none.
        stopped: bots that an operator keeps stopped.
        file_limit: open files that supervisord can surely have.

    Raises:
        UnfitError: a value cannot be expressed; ``supervisord.problems`` says which.
    """
    files = [supervisord.supervisord_conf(paths, len(fleet.bots), file_limit)]
    for bot in fleet.bots:
        files.append(supervisord.unit(fleet, bot, paths, python, bot not in stopped))
        text = botfile.encode(bot_file(fleet, bot, paths, "supervisord"))
        files.append(RenderedFile(paths.botfile(bot), text))
    return files
