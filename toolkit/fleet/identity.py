"""A fleet's identity at a glance, for commands that need no more and should not wait for YAML."""

import os
import re
from pathlib import Path
from typing import Literal, NamedTuple, cast, get_args

from toolkit.fleet.scalars import plain
from toolkit.paths import FLEET_NAME

_KEYS = "version|fleet|backend|mode|root|endpoint|config|types|bots|placement|environments"
_KEY = re.compile(rf"({_KEYS}):(?:\s+(.*))?")
_SIMPLE = re.compile(r"[A-Za-z0-9./_][A-Za-z0-9./_-]*|https?://[A-Za-z0-9.:/-]+")
_COMMENT = re.compile(r"(?:^|\s)#.*")
_Backend = Literal["auto", "supervisord", "systemd"]
_Mode = Literal["auto", "user", "system"]
# What is looked for, which must not stand behind the head.
_WANTED = ("fleet", "root", "backend", "mode")


class Identity(NamedTuple):
    """What tells where a fleet lies.

    Parameters:
        fleet: its name.
        root: the folder that its file names, absolute, or None.
        backend: the supervisor that its file names.
        mode: likewise.
    """

    fleet: str
    root: Path | None = None
    backend: _Backend = "auto"
    mode: _Mode = "auto"


def quick_identity(path: Path) -> Identity | None:
    """The fleet's identity as the fleet file gives it, or None where only YAML could tell for sure.

    It is looked for in the file's head, the plain `key: value` lines before the first line that is
    indented, quoted or otherwise more than that. Behind it a line at the margin must begin with another
    known key; so no text that goes on over several lines can pass for a part of it.

    Parameters:
        path: the fleet file.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    head, length = _head(lines)
    if length is None or not all(map(_harmless, lines[length:])):
        return None
    name, root = head.get("fleet", ""), head.get("root")
    if not FLEET_NAME.fullmatch(name) or not all(map(_is_text, head.values())):
        return None
    backend, mode = head.get("backend", "auto"), head.get("mode", "auto")
    if backend not in get_args(_Backend) or mode not in get_args(_Mode):
        return None
    folder = None if root is None else Path(os.path.normpath(path.absolute().parent / root))
    return Identity(name, folder, cast("_Backend", backend), cast("_Mode", mode))


def _head(lines: list[str]) -> tuple[dict[str, str], int | None]:
    """What the head says of the identity, and the number of its lines; None where that is not sure."""
    found: dict[str, str] = {}
    known: set[str] = set()
    value = ""
    for number, line in enumerate(lines):
        text = _COMMENT.sub("", line).rstrip()
        if not text:
            continue
        match = _KEY.fullmatch(text)
        if match is None or (match[2] and not _SIMPLE.fullmatch(match[2])):
            # An indented line goes on with the value of the line before it, if that has one.
            return found, None if line[0] == " " and value else number
        key, value = match[1], match[2] or ""
        if key in known:
            return found, None
        known.add(key)
        if key in _WANTED:
            found[key] = value
    return found, len(lines)


def _harmless(line: str) -> bool:
    """Whether a line behind the head surely says nothing of the identity."""
    if not line or line[0] in " #":
        return True
    match = _KEY.match(line)
    return match is not None and match[1] not in _WANTED


def _is_text(value: str) -> bool:
    try:
        return isinstance(plain(value), str)
    except ValueError:
        return False
