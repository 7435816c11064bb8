"""Telegram's HTML style: https://core.telegram.org/bots/api#html-style."""

import re
from html import unescape

from toolkit.sandbox.entities import Entity, utf16_length
from toolkit.sandbox.replies import ApiError, bad_request

_TOKEN = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9-]*)([^<>]*)>|&(?:#\d{1,7}|#x[0-9a-fA-F]{1,6}|lt|gt|amp|quot);")
_ATTRIBUTE = re.compile(r"([a-zA-Z-]+)\s*(?:=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+)))?")
_KINDS = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "tg-spoiler": "spoiler",
    "span": "spoiler",
    "code": "code",
    "pre": "pre",
    "a": "text_link",
    "blockquote": "blockquote",
    "tg-emoji": "custom_emoji",
}


def parse_html(source: str) -> tuple[str, list[Entity]]:
    """The plain text of formatted text, and its entities.

    Raises:
        ApiError: 400, a tag is unknown, unclosed or misplaced.
    """
    text: list[str] = []
    length, entities = 0, list[Entity]()
    open_tags: list[tuple[str, dict[str, str], int, int]] = []
    end = 0
    for token in _TOKEN.finditer(source):
        length += _plain(source, end, token.start(), text)
        end = token.end()
        closing, tag, attributes = token[1], (token[2] or "").lower(), token[3]
        if not tag:
            text.append(unescape(token[0]))
            length += utf16_length(text[-1])
        elif tag not in _KINDS:
            raise _cannot(f'Unsupported start tag "{tag}" at byte offset {_at(source, token.start())}')
        elif not closing:
            open_tags.append((tag, _attributes(attributes), length, token.start()))
        else:
            entities += _close(open_tags, tag, length, _at(source, token.start()))
    _plain(source, end, len(source), text)
    if open_tags:
        tag, _, _, start = open_tags[-1]
        raise _cannot(
            f'Can\'t find end tag corresponding to start tag "{tag}" at byte offset {_at(source, start)}'
        )
    return "".join(text), sorted(entities, key=lambda each: (each["offset"], -each["length"]))


def _plain(source: str, start: int, end: int, text: list[str]) -> int:
    stray = source.find("<", start, end)
    if stray >= 0:
        raise _cannot(f'Unsupported start tag "" at byte offset {_at(source, stray)}')
    text.append(source[start:end])
    return utf16_length(text[-1])


def _close(
    open_tags: list[tuple[str, dict[str, str], int, int]], tag: str, end: int, at: int
) -> list[Entity]:
    if not open_tags:
        raise _cannot(f"Unexpected end tag at byte offset {at}")
    name, attributes, start, _ = open_tags.pop()
    if name != tag:
        raise _cannot(f'Unmatched end tag at byte offset {at}, expected "</{name}>", found "</{tag}>"')
    if end == start:
        return []
    made: Entity = {"type": _KINDS[tag], "offset": start, "length": end - start}
    language = attributes.get("class", "").removeprefix("language-")
    if tag == "a":
        if not attributes.get("href"):
            return []
        made["url"] = attributes["href"]
    elif tag == "code" and language and open_tags and open_tags[-1][0] == "pre":
        open_tags[-1][1]["language"] = language
        return []
    elif tag == "pre" and "language" in attributes:
        made["language"] = attributes["language"]
    elif tag == "blockquote" and "expandable" in attributes:
        made["type"] = "expandable_blockquote"
    elif tag == "tg-emoji":
        made["custom_emoji_id"] = attributes.get("emoji-id", "")
    return [made]


def _attributes(source: str) -> dict[str, str]:
    return {
        m[1].lower(): unescape(next((value for value in m.groups()[1:] if value is not None), ""))
        for m in _ATTRIBUTE.finditer(source)
    }


def _at(source: str, position: int) -> int:
    return len(source[:position].encode("utf-8", "surrogatepass"))


def _cannot(why: str) -> ApiError:
    return bad_request(f"can't parse entities: {why}")
