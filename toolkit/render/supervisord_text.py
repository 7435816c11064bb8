"""Write values so that supervisord reads them back unchanged.

The rules are those of supervisor 4.3's own parser (`options.py`, `datatypes.py`), which reads a file in
steps: lines are stripped and cut at a `;` or `#` behind white space, also inside quotes; indented lines go
on with the value before them; `%(here)s` is replaced even behind a doubled `%`; `%` expressions are
expanded; then `environment` is split by a shlex without escapes, and `command` by a POSIX one.
"""

import re
import shlex
from collections.abc import Sequence

from toolkit.render import UnfitError

# Expands to nothing, in every section. Where it stands there is no white space and no line's end to strip,
# and no comment to begin.
_NOTHING = "%(here).0s"
_COMMENT = re.compile(r"(?<=\s)(?=[;#])")
# A value goes on in lines that are indented.
_COMMAND = re.compile(r"^command=(.*(?:\n    .*)*)$", re.MULTILINE)
_NOT_EXPRESSIBLE = {"\r": "a carriage return", "\0": "a NUL"}
# What XML 1.0 (2.2) has no place for, and so none of supervisord's answers, which repeat paths.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def unfit_variable(name: str, value: str) -> str:
    """Why supervisord cannot be told a variable of the environment, or ""."""
    try:
        ini(variable(name, value))
    except UnfitError as error:
        return error.message
    return ""


def unfit_path(path: str) -> str:
    """Why supervisord cannot be told a path, or ""."""
    try:
        ini(path)
    except UnfitError as error:
        return error.message
    return "it has a control character" if _NOT_XML.search(path) else ""


def ini(text: str) -> str:
    """A value of an ini option that is expanded once.

    Raises:
        UnfitError: it has a character that cannot be expressed.
    """
    for character, words in _NOT_EXPRESSIBLE.items():
        if character in text:
            raise UnfitError(f"it has {words}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UnfitError("it is not UTF-8 text") from None
    escaped = text.replace("%", "%%").replace("%(", f"%{_NOTHING}(")
    return "\n    ".join(_line(line) for line in escaped.split("\n"))


def ini_twice(text: str) -> str:
    """A value of `stdout_logfile`, which supervisord expands twice.

    Raises:
        UnfitError: it has a character that cannot be expressed.
    """
    return ini(text.replace("%", "%%"))


def shell_words(words: Sequence[str]) -> str:
    """A command as one line, for `ini`."""
    return shlex.join(words)


def command_of(unit: str) -> list[str]:
    """The words of a rendered unit's command; none where it has no such line."""
    found = _COMMAND.search(unit)
    if found is None:
        return []
    text = found[1].replace("\n    ", "\n").replace(_NOTHING, "").replace("%%", "%")
    return shlex.split(text)


def variable(name: str, value: str) -> str:
    """One assignment of `environment`, for `ini`.

    It is quoted so that the POSIX rules, which supervisor's changes announce for 4.4, read the same.

    Raises:
        UnfitError: there are no quotes that can hold it.
    """
    if value.strip("'\"") != value:
        raise UnfitError("it begins or ends with a quote")
    if "'" not in value:
        return f"{name}='{value}'"
    if '"' in value:
        raise UnfitError("it has both kinds of quotes")
    if "\\\\" in value or value.endswith("\\"):
        raise UnfitError(
            "it has a single quote, and a backslash that versions of supervisor read differently"
        )
    return f'{name}="{value}"'


def _line(line: str) -> str:
    line = _COMMENT.sub(_NOTHING, line)
    if not line or line[0].isspace() or line[0] in ";#":
        line = _NOTHING + line
    return line + _NOTHING if line[-1].isspace() else line
