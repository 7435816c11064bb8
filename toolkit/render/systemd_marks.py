"""What tells the fleet's units from others; apart from the rest, so that who only looks loads little."""

from toolkit.paths import FleetPaths

# Begins the first line of every file of ours. What has another first line is somebody else's.
MARKER = "# Written by Bot Toolkit"


def is_ours(text: str) -> bool:
    """Whether the text is a file that the toolkit wrote."""
    return text.startswith(MARKER)


def description(bot: str, paths: FleetPaths) -> str:
    """What a bot's unit says of itself, by which it is known while it is loaded."""
    return f"Bot {bot} of fleet {paths.fleet}"
