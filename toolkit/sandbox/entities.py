"""Formatted text: what Telegram finds in plain text by itself, and the shape of its entities.

Offsets and lengths count UTF-16 code units: https://core.telegram.org/bots/api#messageentity
"""

import re
from typing import Any

Entity = dict[str, Any]

_PLAIN = re.compile(
    r"(?<![\w/])(?P<bot_command>/[A-Za-z0-9_]{1,64}(?:@[A-Za-z0-9_]{3,32})?)(?![\w/])"
    r"|(?P<url>https?://[^\s<>\"]+)"
    r"|(?P<email>\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+)"
    r"|(?<![\w@])(?P<mention>@[A-Za-z][A-Za-z0-9_]{2,31})\b"
    r"|(?<![\w#])(?P<hashtag>#\w*[^\W\d]\w*)"
)
_SIGNS = frozenset("/@#")


def utf16_length(text: str) -> int:
    """The text's length as Telegram counts it."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def entity(kind: str, text: str, start: int, end: int, **more: Any) -> Entity:
    """The entity over ``text[start:end]``."""
    return {
        "type": kind,
        "offset": utf16_length(text[:start]),
        "length": utf16_length(text[start:end]),
        **more,
    }


def find_entities(text: str) -> list[Entity]:
    """Commands, links, addresses, mentions and hashtags in plain text."""
    if _SIGNS.isdisjoint(text):
        return []
    return [entity(m.lastgroup or "", text, m.start(), m.end()) for m in _PLAIN.finditer(text)]


def trim(text: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    """The text without blank space at its ends, with its entities moved and cut to fit."""
    trimmed = text.strip()
    if len(trimmed) == len(text):
        return text, entities
    lead = utf16_length(text[: len(text) - len(text.lstrip())])
    end = utf16_length(trimmed)
    kept = []
    for each in entities:
        first = max(0, each["offset"] - lead)
        last = min(end, each["offset"] - lead + each["length"])
        if first < last:
            kept.append({**each, "offset": first, "length": last - first})
    return trimmed, kept
