"""What a unit of supervisord's is known by; apart from the rest, so that who only looks loads little."""

import re

_AUTOSTART = re.compile(r"^autostart=(?:true|false)$", re.MULTILINE)


def is_ours(text: str, fleet: str) -> bool:
    """Whether a unit's text was written by the toolkit for a bot of this fleet."""
    return re.match(rf"; Bot \S+ of fleet {re.escape(fleet)}\. Written by the toolkit", text) is not None


def with_enabled(text: str, enabled: bool) -> str:
    """A unit's text, started with supervisord or not."""
    return _AUTOSTART.sub(f"autostart={'true' if enabled else 'false'}", text, count=1)
