"""What a runner said that ended before it had a log: its supervisor kept that beside the log."""

import os
from pathlib import Path

from toolkit.errors import OddFileError, printable
from toolkit.regular_files import open_regular
from toolkit.secrets import redact

# Bytes that are looked through from the end.
_TAIL = 8192
_ERROR = "error: "


def of(path: Path, since: float) -> str:
    """Its own error, else the last line that it printed, without secrets; "" where there is nothing.

    Parameters:
        since: what was printed before, in seconds since the epoch, is another run's.
    """
    try:
        with open(open_regular(path), "rb") as file:
            if os.fstat(file.fileno()).st_mtime < since:
                return ""
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL))
            text = file.read().decode(errors="replace")
    except (OSError, OddFileError):
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # An error is followed by its hint alone.
    own = [line.removeprefix(_ERROR) for line in lines[-2:] if line.startswith(_ERROR)]
    return redact(printable((own or lines or [""])[-1]))
