"""Telegram's two Markdown styles: https://core.telegram.org/bots/api#markdownv2-style."""

import re
from typing import NamedTuple

from toolkit.sandbox.entities import Entity, utf16_length
from toolkit.sandbox.replies import ApiError, bad_request


class _Style(NamedTuple):
    marks: dict[str, str]
    token: re.Pattern[str]
    strict: bool


_NEW = _Style(
    {"*": "bold", "_": "italic", "__": "underline", "~": "strikethrough", "||": "spoiler"},
    re.compile(
        r"\\(?P<escaped>[\x01-\x7e])|(?P<code>```|`)|(?P<mark>__|\|\||[*_~])|!?(?P<opening>\[)|(?P<closing>\])"
        r"|(?P<quote>^>)|(?P<newline>\n)|(?P<reserved>[>#+\-=|{}.!()])",
        re.MULTILINE,
    ),
    strict=True,
)
_OLD = _Style(
    {"*": "bold", "_": "italic"},
    re.compile(
        r"\\(?P<escaped>[_*`\[])|(?P<code>```|`)|(?P<mark>[*_])|(?P<opening>\[)|(?P<closing>\])"
        r"|(?P<quote>(?!))|(?P<newline>(?!))|(?P<reserved>(?!))"
    ),
    strict=False,
)
_TARGET = re.compile(r"\(((?:\\.|[^()\\])*)\)")
_LANGUAGE = re.compile(r"([a-zA-Z0-9_+-]+)\n|\n")
_CODE = {mark: re.compile(rf"((?:\\.|(?!{mark})[^\\])*){mark}", re.DOTALL) for mark in ("`", "```")}
_OLD_CODE = {mark: re.compile(rf"(.*?){mark}", re.DOTALL) for mark in ("`", "```")}
_ESCAPE = re.compile(r"\\([\x01-\x7e])")


class _Open(NamedTuple):
    mark: str
    kind: str
    offset: int
    at: int


class _Parser:
    def __init__(self, source: str, style: _Style) -> None:
        self.source, self.style = source, style
        self.text: list[str] = []
        self.length = 0
        self.entities: list[Entity] = []
        self.open: list[_Open] = []

    def parse(self) -> tuple[str, list[Entity]]:
        end = 0
        while token := self.style.token.search(self.source, end):
            self.add(self.source[end : token.start()])
            end = self.token(token)
        self.add(self.source[end:])
        self.end_quote()
        if self.open:
            raise self.cannot(f"Can't find end of {self.open[-1].kind} entity", self.open[-1].at)
        return "".join(self.text), sorted(self.entities, key=lambda each: (each["offset"], -each["length"]))

    def add(self, plain: str) -> None:
        self.text.append(plain)
        self.length += utf16_length(plain)

    def begin(self, mark: str, kind: str, at: int) -> None:
        self.open.append(_Open(mark, kind, self.length, at))

    def close(self, **more: str) -> None:
        opened = self.open.pop()
        if length := self.length - opened.offset:
            self.entities.append({"type": opened.kind, "offset": opened.offset, "length": length, **more})

    def token(self, token: re.Match[str]) -> int:
        kind, found, at = token.lastgroup, token[token.lastgroup or 0], token.start()
        if kind == "escaped":
            self.add(found)
        elif kind == "code":
            return self.verbatim(found, at, token.end())
        elif kind == "mark":
            self.toggle(found, at)
        elif kind == "opening":
            self.begin("[", "text_link", at)
        elif kind == "closing" and self.open and self.open[-1].mark == "[":
            return self.link(token.end())
        elif kind == "quote":
            self.quote(at)
        elif kind == "newline":
            self.newline(token.end())
        elif self.style.strict:
            why = f"Character '{found}' is reserved and must be escaped with the preceding '\\'"
            raise self.cannot(why, None)
        else:
            self.add(found)
        return token.end()

    def toggle(self, mark: str, at: int) -> None:
        if self.open and self.open[-1].mark == mark:
            self.close()
        elif self.open and not self.style.strict:
            self.add(mark)
        else:
            self.begin(mark, self.style.marks[mark], at)

    def quote(self, at: int) -> None:
        if not any(each.mark == ">" for each in self.open):
            self.begin(">", "blockquote", at)

    def newline(self, end: int) -> None:
        if not self.source.startswith(">", end):
            self.end_quote()
        self.add("\n")

    def end_quote(self) -> None:
        if self.open and self.open[-1].mark == ">":
            self.close()

    def verbatim(self, mark: str, at: int, start: int) -> int:
        kind = "code" if mark == "`" else "pre"
        found = (_CODE if self.style.strict else _OLD_CODE)[mark].match(self.source, start)
        if found is None:
            raise self.cannot(f"Can't find end of {kind} entity", at)
        inside, more = found[1], {}
        if kind == "pre" and (head := _LANGUAGE.match(inside)):
            more = {"language": head[1]} if head[1] else {}
            inside = inside[head.end() :]
        self.begin(mark, kind, at)
        self.add(_ESCAPE.sub(r"\1", inside) if self.style.strict else inside)
        self.close(**more)
        return found.end()

    def link(self, end: int) -> int:
        if not self.source.startswith("(", end):
            # Telegram takes the text for the URL, and it is seldom one.
            self.open.pop()
            return end
        target = _TARGET.match(self.source, end)
        if target is None:
            raise self.cannot("Can't find end of a URL", end)
        self.close(url=_ESCAPE.sub(r"\1", target[1]))
        return target.end()

    def cannot(self, why: str, at: int | None) -> ApiError:
        where = (
            "" if at is None else f" at byte offset {len(self.source[:at].encode('utf-8', 'surrogatepass'))}"
        )
        return bad_request(f"can't parse entities: {why}{where}")


def parse_markdown(source: str, *, second: bool) -> tuple[str, list[Entity]]:
    """The plain text of formatted text, and its entities.

    Parameters:
        source: the text as the bot sent it.
        second: ``MarkdownV2``, else the older ``Markdown``.

    Raises:
        ApiError: 400, an entity has no end or a reserved character is not escaped.
    """
    return _Parser(source, _NEW if second else _OLD).parse()
