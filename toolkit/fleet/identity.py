"""A fleet's name and root at a glance, for commands that need no more and should not wait for YAML."""

import os
import re
from pathlib import Path

from toolkit.fleet.scalars import plain
from toolkit.paths import FLEET_NAME

_KEYS = "version|fleet|backend|root|endpoint|config|types|bots|placement|environments"
_KEY = re.compile(rf"({_KEYS}):(?:\s+(.*))?")
_SIMPLE = re.compile(r"[A-Za-z0-9./_][A-Za-z0-9./_-]*|https?://[A-Za-z0-9.:/-]+")
_COMMENT = re.compile(r"(?:^|\s)#.*")


def quick_identity(path: Path) -> tuple[str, Path | None] | None:
    """The fleet's name and root as the fleet file gives them, or None where only YAML could tell for sure.

    Both are looked for in the file's head, the plain `key: value` lines before the first line that is
    indented, quoted or otherwise more than that. Behind it a line at the margin must begin with another
    known key; so no text that goes on over several lines can pass for one of the two.

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
    if root is None:
        return name, None
    return name, Path(os.path.normpath(path.absolute().parent / root))


def _head(lines: list[str]) -> tuple[dict[str, str], int | None]:
    """The `fleet` and `root` of the head, and the number of its lines; None where they are not sure."""
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
        if key in ("fleet", "root"):
            found[key] = value
    return found, len(lines)


def _harmless(line: str) -> bool:
    """Whether a line behind the head surely says nothing of the name and the root."""
    if not line or line[0] in " #":
        return True
    match = _KEY.match(line)
    return match is not None and match[1] not in ("fleet", "root")


def _is_text(value: str) -> bool:
    try:
        return isinstance(plain(value), str)
    except ValueError:
        return False
