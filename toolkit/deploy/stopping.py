"""How long a stop is waited for: as long as the bots have to drain, and a little to kill them."""

from collections.abc import Iterable, Sequence

from toolkit import botfile
from toolkit.backends import STOP_S
from toolkit.botfile import BotFile
from toolkit.errors import ToolkitError
from toolkit.paths import FleetPaths

# Beyond its time to drain, for the supervisor to kill it.
_MARGIN_S = 5.0


def longest(files: Iterable[BotFile | None]) -> float:
    """Seconds in which bots of these bot files must have stopped, those that are known."""
    return max((file.stop_s + _MARGIN_S for file in files if file), default=STOP_S)


def stop_s(paths: FleetPaths, bots: Sequence[str]) -> float:
    """Seconds in which bots must have stopped, by the files in place; the most where one is unknown."""
    files = [bot_file_in_place(paths, bot) for bot in bots]
    return longest(files) if all(files) else STOP_S


def bot_file_in_place(paths: FleetPaths, bot: str) -> BotFile | None:
    """The bot file that a bot has now, if it can be read."""
    try:
        return botfile.load(paths.botfile(bot))
    except ToolkitError:
        return None
