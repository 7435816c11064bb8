"""Times as the toolkit writes them."""

import time


def rfc3339(at: float) -> str:
    """A time as RFC 3339 in UTC with milliseconds.

    Parameters:
        at: seconds since the epoch.
    """
    whole, millis = divmod(int(at * 1000), 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{millis:03d}Z"


def now() -> str:
    """The present time as RFC 3339."""
    return rfc3339(time.time())
