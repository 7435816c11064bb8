"""The fleet's files read and put together, before it is known whether they are sound."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any

from toolkit.fleet import yaml_tree
from toolkit.fleet.report import Report, line_of
from toolkit.fleet.sources import Document, bots_documents, fleet_document


@dataclass(frozen=True, slots=True)
class Draft:
    """What the files say.

    Parameters:
        fleet: the fleet file.
        documents: all files, the fleet file first.
        bots: for each bot the file that defines it.
        report: the problems found so far.
    """

    fleet: Document
    documents: list[Document]
    bots: dict[str, Document] = field(default_factory=dict)
    report: Report = field(default_factory=Report)

    def sound(self, document: Document, path: yaml_tree.Path, kind: type | UnionType) -> Any:
        """The value at a path, or None where there is none of that kind or it has a problem already."""
        value = document.tree.value
        for key in path:
            if not isinstance(value, dict) or key not in value:
                return None
            value = value[key]
        return value if isinstance(value, kind) and not self.report.has(document, path) else None

    @property
    def knows_types(self) -> bool:
        """Whether it can be said which types there are."""
        return not self.fleet.tree.unread and not self.report.has(self.fleet, ("types",))

    def types(self) -> Mapping[str, Any]:
        """The types, checked or not."""
        return self.sound(self.fleet, ("types",), dict) or {}


def read(path: Path) -> Draft:
    """Read all files of a fleet; their faults are in the report.

    Parameters:
        path: the fleet file.

    Raises:
        UsageError: there is no fleet file.
    """
    fleet = fleet_document(path)
    draft = Draft(fleet, [fleet, *bots_documents(path)])
    for document in draft.documents:
        draft.report.order(document)
        _report_faults(document, draft.report)
        _take_bots(document, draft)
    return draft


def _report_faults(document: Document, report: Report) -> None:
    for fault in document.tree.faults:
        report.add(document, fault.path, fault.message, fault.hint, fault.line)
    for path in document.tree.tokens:
        hint = "put it in a file and name that: `token: {file: PATH}`; revoke it if others could read it here"
        report.add(document, path, "a literal token, which nobody but the bot may see", hint)


def _take_bots(document: Document, draft: Draft) -> None:
    for name in draft.sound(document, ("bots",), dict) or {}:
        first = draft.bots.setdefault(name, document)
        if first is not document:
            place = f"{first.shown}:{line_of(first, ('bots', name))}"
            draft.report.add(document, ("bots", name), f"a second bot of this name, the first is in {place}")
