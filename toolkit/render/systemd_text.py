"""Write values so that systemd reads them back unchanged.

The rules are those of systemd.syntax(7), systemd.unit(5) and systemd.service(5): lines are stripped, one
that ends in a backslash goes on in the next, and `%` begins a specifier in nearly every setting. `ExecStart=`
and `Environment=` take words in quotes with C's escapes; a path such as that of `StandardInput=file:` is
taken as it stands. Variables are not expanded in `ExecStart=` where the program has a `:` before it.
"""

import re

from toolkit.render import UnfitError

# Unicode's noncharacters and surrogates, which systemd does not take for UTF-8 text.
_NOT_TEXT = re.compile(
    "[\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"
    + "".join(chr(plane << 16 | last) for plane in range(1, 17) for last in (0xFFFE, 0xFFFF))
    + "]"
)
_ESCAPES = {"\\": "\\\\", '"': '\\"', "%": "%%", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_ESCAPED = re.compile('[\\\\"%\x01-\x1f\x7f]')
_EXEC = re.compile(r'^ExecStart=":([^"]*)"', re.MULTILINE)
_ENDS_LINE = re.compile("[\n\r]")
# What `string_is_safe` of its source refuses in a program's path.
_NOT_IN_PROGRAM = re.compile("[\x01-\x1f\x7f'\"\\\\]")


def unfit(text: str) -> str:
    """Why systemd cannot be told a text, even in quotes, or ""."""
    if "\0" in text:
        return "it has a NUL"
    return "it has a character that is none in Unicode" if _NOT_TEXT.search(text) else ""


def unfit_program(path: str) -> str:
    """Why systemd cannot be told the path of a program, or ""."""
    if _NOT_IN_PROGRAM.search(path):
        return "it has a quote, a backslash or a control character"
    return unfit(path)


def unfit_path(text: str) -> str:
    """Why systemd cannot be told a path, or ""."""
    return "it has a line break" if _ENDS_LINE.search(text) else unfit(text)


def quoted(text: str) -> str:
    """A word of ``ExecStart=`` or an assignment of ``Environment=``.

    Raises:
        UnfitError: it has a character that cannot be expressed.
    """
    _refuse(unfit(text))
    return f'"{_ESCAPED.sub(_escape, text)}"'


def path(text: str) -> str:
    """A path that is taken as it stands, with what stands before it in the same setting.

    Raises:
        UnfitError: it has a character that cannot be expressed.
    """
    _refuse(unfit_path(text))
    escaped = text.replace("%", "%%")
    # A slash at the end is dropped; behind white space or a backslash it keeps them from being taken away.
    return escaped + "/" if escaped[-1:].isspace() or escaped.endswith("\\") else escaped


def program_of(unit: str) -> str:
    """The program that a rendered unit starts, whose path needs no escapes but `%%`; "" without one."""
    found = _EXEC.search(unit)
    return found[1].replace("%%", "%") if found else ""


def _escape(found: re.Match[str]) -> str:
    return _ESCAPES.get(found[0]) or f"\\x{ord(found[0]):02x}"


def _refuse(reason: str) -> None:
    if reason:
        raise UnfitError(reason)
