"""Reading the fleet's files: the fleet file and `bots.d/*.yaml` beside it."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from toolkit.errors import OddFileError, UsageError, printable
from toolkit.fleet import yaml_tree
from toolkit.fleet.model import Source
from toolkit.regular_files import open_regular
from toolkit.secrets import holds_token

MAX_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Document:
    """One file of a fleet.

    Parameters:
        shown: the file as problems name it.
        path: the file, absolute.
        tree: what it says; empty where it could not be read.
        source: what the file was when it was read, or None if it could not be.
    """

    shown: str
    path: Path
    tree: yaml_tree.Tree = field(default_factory=yaml_tree.Tree)
    source: Source | None = None

    @property
    def folder(self) -> str:
        """What relative paths in the file are relative to."""
        return str(self.path.parent)

    def absolute(self, value: str) -> str:
        """A path of the file as an absolute one."""
        return os.path.normpath(os.path.join(self.folder, value))


def fleet_document(path: Path) -> Document:
    """The fleet file.

    Raises:
        UsageError: there is none, or its path cannot be written down.
    """
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        raise UsageError("the fleet file's path is not UTF-8 text", "rename its folder") from None
    if not path.exists():
        raise UsageError(
            f"no fleet file {path}", "name one with -f or TOOLKIT_FLEET, or make one with `toolkit init`"
        )
    return _read(path.absolute(), printable(str(path)))


def bots_documents(path: Path) -> Iterator[Document]:
    """The files in `bots.d` beside the fleet file, in the order of their names.

    Parameters:
        path: the fleet file.
    """
    folder = path.absolute().parent / "bots.d"
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.name[0] != "." and entry.is_file())
    except FileNotFoundError:
        return
    except OSError as error:
        yield _faulty(folder, "bots.d", f"cannot be read: {error.strerror}")
        return
    for name in names:
        shown = printable(f"bots.d/{name}")
        if name.endswith(".yaml"):
            yield _read(folder / name, shown)
        elif name.endswith(".yml"):
            yield _faulty(folder / name, shown, "only *.yaml is read here", "rename it to end in .yaml")


def _faulty(path: Path, shown: str, message: str, hint: str = "", line: int = 0) -> Document:
    fault = yaml_tree.Fault(line, (), message, hint)
    return Document(shown, path, yaml_tree.Tree(faults=[fault], unread=True))


def _read(path: Path, shown: str) -> Document:
    try:
        with open(open_regular(path, follow=True), "rb") as file:
            status = os.fstat(file.fileno())
            data = file.read(MAX_BYTES + 1)
    except OddFileError:
        return _faulty(path, shown, "not a regular file")
    except OSError as error:
        return _faulty(path, shown, f"cannot be read: {error.strerror}")
    if len(data) > MAX_BYTES:
        return _faulty(path, shown, f"larger than {MAX_BYTES // 2**20} MiB", "spread the bots over bots.d/")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return _faulty(path, shown, "not UTF-8 text", "save the file as UTF-8", line)
    digest = hashlib.sha256(data).hexdigest()
    source = Source(path, digest, status.st_mtime_ns, status.st_size)
    tree = yaml_tree.parse(text)
    if not tree.tokens:
        tree.faults.extend(_tokens_in_comments(text))
    return Document(shown, path, tree, source)


def _tokens_in_comments(text: str) -> Iterator[yaml_tree.Fault]:
    """Tokens in a text in whose keys and values there are none."""
    if holds_token(text):
        for number, line in enumerate(text.split("\n"), 1):
            if holds_token(line):
                yield yaml_tree.Fault(number, (), "a literal token", "take it out, also of a comment")
