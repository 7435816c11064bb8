"""How values are written into supervisord's configuration so that it reads the very same.

Its reader is ``RawConfigParser``, which cuts a value off at white space before ``;`` or ``#``, also inside
quotes; then ``%`` formatting, twice for log files; then ``shlex`` in POSIX mode for a command, and not in
POSIX mode for the environment (supervisor 4.3: options.py, datatypes.py).
"""

import re
import shlex
import unicodedata

# An expansion to nothing: it parts white space from what would otherwise begin a comment.
_NOTHING = "%(here).0s"
_COMMENT = re.compile(r"(?<=\s)(?=[;#])")
_GLOB = re.compile(r"[*?\[\]]")


def plain(text: str) -> str:
    """A value as it is, with what the reader would take for its own guarded."""
    return _COMMENT.sub(_NOTHING, text.replace("%", "%%"))


def twice(text: str) -> str:
    """A value that supervisord expands two times: a log file's path."""
    return _COMMENT.sub(_NOTHING, text.replace("%", "%%%%"))


def argument(text: str) -> str:
    """One argument of a command."""
    return plain(shlex.quote(text))


def quoted(text: str) -> str:
    """A value of the environment; what ``unfit_for_environment`` has found fit."""
    quote = "'" if '"' in text else '"'
    return f"{quote}{plain(text)}{quote}"


def unfit(text: str) -> str:
    """Why a text cannot stand in the configuration at all; "" where it can."""
    if any(unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"} for letter in text):
        return "supervisord cannot be given line breaks or control characters"
    return ""


def unfit_as_value(text: str) -> str:
    """Why a text cannot be an unquoted value, such as a folder; "" where it can."""
    if text != text.strip():
        return "supervisord drops white space at the ends of a path"
    return unfit(text)


def unfit_for_environment(text: str) -> str:
    """Why a text cannot be an environment variable's value; "" where it can."""
    if text.strip("'\"") != text:
        return "supervisord drops quotes at the ends of a variable"
    if "'" in text and '"' in text:
        return "supervisord cannot be given both kinds of quotes in one variable"
    return unfit(text)


def unfit_as_home(text: str) -> str:
    """Why a folder cannot be the fleet's own; "" where it can."""
    if _GLOB.search(text):
        return "supervisord takes *, ?, [ and ] in its folder for a pattern"
    return unfit_as_value(text)
