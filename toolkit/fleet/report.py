"""The problems of a fleet's files, gathered to be told all at once, none of which repeats a secret."""

import re

from toolkit.errors import Problem, printable
from toolkit.fleet.sources import Document
from toolkit.fleet.yaml_tree import Path

# Wider than what is surely a token: in a message it costs nothing to hide too much.
_SECRET = re.compile(r"([0-9]{3,20}):[A-Za-z0-9_-]{10,}")


def hidden(text: str) -> str:
    """The text without what may be a token, fit for a terminal."""
    return printable(_SECRET.sub(r"\1:***", text))


def dotted(path: Path) -> str:
    """The path of keys as problems show it."""
    return ".".join(str(key) for key in path)


class Report:
    """Gathers problems in the order of the files and of their lines."""

    def __init__(self) -> None:
        self._documents: dict[str, int] = {}
        self._problems: dict[Problem, None] = {}
        self._paths: set[tuple[str, Path]] = set()

    def order(self, document: Document) -> None:
        """Make the file the next whose problems are told."""
        self._documents.setdefault(document.shown, len(self._documents))

    def add(
        self, document: Document, path: Path, message: str, hint: str = "", line: int | None = None
    ) -> None:
        """Add a problem.

        Parameters:
            document: the file it is in.
            path: the keys down to the value.
            message: what was expected, without the value.
            hint: what to do.
            line: where it is, if it is not where the value begins.
        """
        self._paths.add((document.shown, path))
        if line is None:
            line = line_of(document, path)
        shown = hidden(dotted(path))
        self._problems[Problem(document.shown, line, shown, hidden(message), hidden(hint))] = None

    def has(self, document: Document, path: Path) -> bool:
        """Whether a problem was found at this very place."""
        return (document.shown, path) in self._paths

    def problems(self) -> list[Problem]:
        """All of them, each once."""

        def place(problem: Problem) -> tuple[int, int, str, str]:
            return self._documents[problem.file], problem.line, problem.path, problem.message

        return sorted(self._problems, key=place)


def line_of(document: Document, path: Path) -> int:
    """The line of a value, or of the nearest one around it."""
    while path and path not in document.tree.lines:
        path = path[:-1]
    return document.tree.lines[path]
