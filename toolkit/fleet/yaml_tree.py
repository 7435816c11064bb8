"""YAML text as plain values with the line of each, built from the parser's events.

PyYAML's own constructor knows no positions, takes the last of two equal keys in silence, and expands
aliases without bound. Here everything is counted, and nothing recurses.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

from toolkit.fleet import scalars
from toolkit.secrets import holds_token

MAX_DEPTH = 50
# Values, with aliases expanded. A file of 1,000 bots with 100 values each has a fifth of it.
MAX_WEIGHT = 500_000

Path = tuple[str | int, ...]
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TEXT_TAGS = ("!", "tag:yaml.org,2002:str")
_COLLECTION_TAGS = (None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
_TABS = "YAML is indented by spaces, never by tabs"
# So much text weighs as much as a value of its own.
_TEXT_WEIGHT = 100


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the text itself, without repeating any of it."""

    line: int
    path: Path
    message: str
    hint: str = ""


@dataclass(slots=True)
class Tree:
    """One YAML document.

    Parameters:
        value: dicts with text keys, lists and scalars, as JSON has them.
        lines: the line of each value by its path of keys, counted from 1.
        tokens: the paths where a literal token stands, in a key or a value.
        faults: what is wrong.
        unread: whether the text is no document at all, which one of the faults tells.
    """

    value: Any = None
    lines: dict[Path, int] = field(default_factory=lambda: {(): 1})
    tokens: list[Path] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    unread: bool = False


def parse(text: str) -> Tree:
    """Read one YAML document."""
    tree = Tree()
    builder = _Builder(tree)
    try:
        for event in yaml.parse(text, Loader=_Loader):
            builder.take(event)
    except _RefusedError as refused:
        fault = refused.fault
    except yaml.MarkedYAMLError as error:
        fault = _syntax_fault(text, error)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        fault = Fault(line, (), f"not YAML: {error.reason}")
    else:
        return tree
    return Tree(lines=tree.lines, tokens=tree.tokens, faults=[*tree.faults, fault], unread=True)


def _syntax_fault(text: str, error: yaml.MarkedYAMLError) -> Fault:
    mark = error.problem_mark or error.context_mark
    words = ", ".join(part for part in (error.context, error.problem) if part)
    begun = error.context_mark.line + 1 if error.context_mark else 0
    line = mark.line + 1 if mark else 0
    if begun and begun != line:
        words += f"; it begins in line {begun}"
    hint = _TABS if mark and _tab_at(text, mark) else ""
    return Fault(line, (), f"not YAML: {words}", hint)


def _tab_at(text: str, mark: yaml.Mark) -> bool:
    line = text.split("\n")[mark.line : mark.line + 1]
    return bool(line) and line[0][mark.column : mark.column + 1] == "\t"


class _RefusedError(Exception):
    """The document is no use from here on."""

    def __init__(self, line: int, path: Path, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.fault = Fault(line, path, message, hint)


@dataclass(frozen=True, slots=True)
class _Anchor:
    """A value that aliases may repeat; weight 0 while it is not finished."""

    value: Any
    weight: int
    height: int


@dataclass(slots=True)
class _Frame:
    """A mapping or a list that is still open.

    Parameters:
        key: in a mapping the key whose value comes next, or None.
        fate: what becomes of that value. That of a key that stands twice is built, because its own
            faults count, and dropped.
        height: levels below this one.
    """

    value: dict[str, Any] | list[Any]
    path: Path
    anchor: str | None
    weight_before: int
    key: str | None = None
    fate: Literal["keep", "drop", "merge"] = "keep"
    merges: list[tuple[int, Any]] = field(default_factory=list)
    height: int = 1


class _Builder:
    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._stack: list[_Frame] = []
        self._weight = 0
        self._documents = 0
        self._anchors: dict[str, _Anchor] = {}

    def take(self, event: yaml.Event) -> None:
        """Add one event of the parser."""
        if isinstance(event, yaml.ScalarEvent):
            frame = self._stack[-1] if self._stack else None
            if frame is not None and frame.key is None and isinstance(frame.value, dict):
                self._take_key(frame, frame.value, event)
            else:
                self._take_scalar(event)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._open(event)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self._close()
        elif isinstance(event, yaml.AliasEvent):
            self._take_alias(event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise _RefusedError(_line(event), (), "a second YAML document", "keep one document in a file")

    def _take_key(self, frame: _Frame, mapping: dict[str, Any], event: yaml.ScalarEvent) -> None:
        key = event.value
        line = _line(event)
        if event.anchor or event.tag not in (None, *_TEXT_TAGS):
            raise _RefusedError(line, frame.path, "a key with an anchor or a tag", "write a plain key")
        path = (*frame.path, key)
        if ":" in key and holds_token(key):
            self._tree.tokens.append(path)
        merge = key == "<<" and event.implicit[0]
        frame.key = key
        if bool(frame.merges) if merge else key in mapping:
            frame.fate = "drop"
            first = self._tree.lines[path]
            self._fault(event, path, f"the key stands twice, first in line {first}", "remove one of them")
            return
        frame.fate = "merge" if merge else "keep"
        self._tree.lines.setdefault(path, line)
        if not merge:
            # Holds the key's place: a second one may come, and mappings keep the order of the text.
            mapping[key] = None

    def _take_scalar(self, event: yaml.ScalarEvent) -> None:
        path = self._place(event)
        text = event.value
        weight = 1 + len(text) // _TEXT_WEIGHT
        self._add_weight(weight, event)
        if ":" in text and holds_token(text):
            self._tree.tokens.append(path)
        value: scalars.Scalar = None
        try:
            value = _scalar(event)
        except ValueError as error:
            self._fault(event, path, str(error))
        if event.anchor:
            self._anchors[event.anchor] = _Anchor(value, weight, 0)
        self._attach(value, path, 0)

    def _open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        path = self._place(event)
        if event.tag not in _COLLECTION_TAGS:
            self._fault(event, path, "a YAML tag", "write the value without it")
        self._check_depth(1, event)
        if event.anchor:
            self._anchors[event.anchor] = _Anchor(None, 0, 0)
        value: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._stack.append(_Frame(value, path, event.anchor, self._weight))
        self._add_weight(1, event)

    def _close(self) -> None:
        frame = self._stack.pop()
        for line, value in frame.merges:
            self._merge(frame, line, value)
        if frame.anchor:
            weight = self._weight - frame.weight_before
            self._anchors[frame.anchor] = _Anchor(frame.value, weight, frame.height)
        self._attach(frame.value, frame.path, frame.height)

    def _take_alias(self, event: yaml.AliasEvent) -> None:
        path = self._place(event)
        anchor = self._anchors.get(str(event.anchor))
        if anchor is None:
            raise _RefusedError(_line(event), path, "an alias of an anchor that does not exist")
        if anchor.weight == 0:
            raise _RefusedError(_line(event), path, "an alias that stands inside its own anchor")
        self._add_weight(anchor.weight, event)
        self._check_depth(anchor.height, event)
        self._attach(anchor.value, path, anchor.height)

    def _place(self, event: yaml.Event) -> Path:
        """The path of the value that the event begins."""
        if not self._stack:
            return ()
        frame = self._stack[-1]
        if isinstance(frame.value, list):
            path: Path = (*frame.path, len(frame.value))
            self._tree.lines.setdefault(path, _line(event))
            return path
        if frame.key is None:
            raise _RefusedError(_line(event), frame.path, "a key that is no plain text", "write keys as text")
        return (*frame.path, frame.key)

    def _add_weight(self, weight: int, event: yaml.Event) -> None:
        self._weight += weight
        if self._weight > MAX_WEIGHT:
            raise _RefusedError(_line(event), (), f"more than {MAX_WEIGHT} values, with aliases expanded")

    def _check_depth(self, height: int, event: yaml.Event) -> None:
        if len(self._stack) + height > MAX_DEPTH:
            raise _RefusedError(_line(event), (), f"more than {MAX_DEPTH} levels deep")

    def _attach(self, value: Any, path: Path, height: int) -> None:
        """Hang a finished value under the key, or behind the items, of what is open."""
        if not self._stack:
            self._tree.value = value
            return
        frame = self._stack[-1]
        frame.height = max(frame.height, height + 1)
        if isinstance(frame.value, list):
            frame.value.append(value)
            return
        if frame.fate == "keep":
            frame.value[str(path[-1])] = value
        elif frame.fate == "merge":
            frame.merges.append((self._tree.lines[path], value))
        frame.key = None

    def _merge(self, frame: _Frame, line: int, value: Any) -> None:
        """Add the keys of `<<`; a key that is there already wins."""
        for source in value if isinstance(value, list) else [value]:
            if not isinstance(source, dict) or isinstance(frame.value, list):
                words = "expected a mapping, or a list of mappings, to merge"
                self._tree.faults.append(Fault(line, (*frame.path, "<<"), words))
                continue
            for key, merged in source.items():
                if key not in frame.value:
                    frame.value[key] = merged
                    self._tree.lines.setdefault((*frame.path, key), line)

    def _fault(self, event: yaml.Event, path: Path, message: str, hint: str = "") -> None:
        self._tree.faults.append(Fault(_line(event), path, message, hint))


def _scalar(event: yaml.ScalarEvent) -> scalars.Scalar:
    """The value of a scalar that is no key."""
    if event.tag is None and event.implicit[0]:
        return scalars.plain(event.value)
    if event.tag is None or event.tag in _TEXT_TAGS:
        return str(event.value)
    raise ValueError("a YAML tag: write the value without it")


def _line(event: yaml.Event) -> int:
    mark = event.start_mark
    return mark.line + 1 if mark else 0
