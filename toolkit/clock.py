"""Times as the toolkit tells them: RFC 3339 in UTC, with milliseconds."""

import time
from datetime import UTC, datetime


def rfc3339(at: float) -> str:
    """A time such as ``2026-01-31T08:00:00.000Z``.

    Parameters:
        at: seconds since the epoch.

    Raises:
        ValueError, OverflowError: its year has not four digits.
    """
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds(at: str) -> float:
    """Such a time in seconds since the epoch; 0 where it is none."""
    try:
        return datetime.fromisoformat(at).timestamp()
    except ValueError:
        return 0.0


def now() -> str:
    """The present time."""
    return rfc3339(time.time())
