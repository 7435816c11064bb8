"""What tells the fleet's units from others; apart from the rest, so that who only looks loads little."""

import os
import re
import shlex
from collections.abc import Collection, Iterable

from toolkit.paths import FleetPaths
from toolkit.render.systemd_limits import SETTINGS

# Begins the first line of every file of ours. What has another first line is somebody else's.
MARKER = "# Written by Bot Toolkit"

_SHIPPED = ("/usr/lib/systemd/", "/lib/systemd/")
# What SetUnitProperties of org.freedesktop.systemd1(5) writes.
_LIVE_LIMIT = re.compile(rf"/(?:system|user)\.control/[^/]+/50-(?:{'|'.join(SETTINGS.values())})\.conf$")


def is_ours(text: str) -> bool:
    """Whether the text is a file that the toolkit wrote."""
    return text.startswith(MARKER)


def description(bot: str, paths: FleetPaths) -> str:
    """What a bot's unit says of itself, by which it is known while it is loaded."""
    return f"Bot {bot} of fleet {paths.fleet}"


def drop_ins_of_others(paths: Iterable[str]) -> list[str]:
    """Those drop-ins of a unit that somebody has made for it: systemd.unit(5).

    Limits that were changed live are files too, and are compared by their values; what the distribution ships
    is for all services.
    """
    return [path for path in paths if not path.startswith(_SHIPPED) and not is_live_limit(path)]


def unread_drop_ins(found: Iterable[str], read: Collection[str]) -> list[str]:
    """Those drop-ins beside a unit's file that systemd does not know.

    It does not notice a unit's first one by itself: it knows the folders of its last reload alone.
    """
    return [path for path in found if path not in read]


def systemctl(*, is_system: bool) -> str:
    """The command for the machine's manager, or for the user's own."""
    return "systemctl" if is_system else "systemctl --user"


def unmask(command: str, unit: str) -> str:
    """What brings a masked unit back: the hint."""
    return f"`{command} unmask {unit}`, then `toolkit deploy`"


def take_away(command: str, unit: str, drop_ins: Collection[str]) -> str:
    """What takes drop-ins of others away: the hint.

    `systemctl revert` knows those of the one unit alone, not those of all units of its kind: systemd.unit(5).
    """
    shared = [path for path in drop_ins if not os.path.dirname(path).endswith(f"/{unit}.d")]
    words = []
    if shared:
        removed = " ".join(map(shlex.quote, shared))
        words.append(f"`rm {removed}`, which other units may have too, and `{command} daemon-reload`")
    if len(shared) < len(drop_ins):
        words.append(f"`{command} revert {unit}`")
    return ", then ".join(words)


def is_live_limit(path: str) -> bool:
    """Whether a drop-in is what a limit that was changed live left behind: `systemctl set-property`."""
    return bool(_LIVE_LIMIT.search(path))
