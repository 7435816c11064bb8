"""Whether a bot runs with the token that stands in its file now. Times tell: no token is read for it."""

from toolkit.clock import seconds

WORDS = "its token file was written after it started"


def is_late(written_s: float, started_at: object) -> bool:
    """Whether a token file was written after its bot had read it.

    Parameters:
        written_s: when the file was last written, in seconds since the epoch.
        started_at: when the bot's run began, as the bot tells it: RFC 3339; what is none tells nothing.
    """
    started_s = seconds(str(started_at))
    return bool(started_s) and written_s > started_s


def how(bot: str) -> str:
    """What has the bot read its token anew."""
    return f"`toolkit admin restart-bot {bot}`"
