"""Which units and programs of a supervisord are a fleet's, and which of them come up with it."""

import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from toolkit.files import first_line, write_atomically
from toolkit.paths import BOT_NAME, FleetPaths
from toolkit.render.supervisord_marks import is_ours, with_enabled


def bot_of(info: Mapping[str, Any], paths: FleetPaths) -> str | None:
    """The bot that a program is, or None where the program is another's.

    A name alone does not tell: another's program may be called as a bot of ours would be. The file that
    its output goes to does.

    Parameters:
        info: of supervisord's getAllProcessInfo, which tells of the program in force.
    """
    bot = str(info["group"]).removeprefix(paths.program(""))
    if bot == info["group"] or not BOT_NAME.fullmatch(bot):
        return None
    return bot if info["stdout_logfile"] == str(paths.stray_log(bot)) else None


def installed(paths: FleetPaths) -> list[Path]:
    """The units of this fleet in the folder that the supervisord includes, where others' may lie too."""
    found = sorted(paths.units.glob(paths.unit("*").name))
    return [path for path in found if is_ours(first_line(path), paths.fleet)]


def enable(units: Iterable[Path], enabled: bool) -> None:
    """Have units come up with the supervisord, or not: it reads that when it starts."""
    for path in units:
        text = path.read_text(encoding="utf-8")
        wanted = with_enabled(text, enabled)
        if wanted != text:
            write_atomically(path, wanted, stat.S_IMODE(path.stat().st_mode))
