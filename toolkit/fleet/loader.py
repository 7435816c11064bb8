"""Load a fleet from its files, or tell all that is wrong with them at once."""

from collections.abc import Mapping
from pathlib import Path

from toolkit.errors import InvalidFleetError
from toolkit.fleet import checks, draft, form, tokens
from toolkit.fleet.assemble import assemble
from toolkit.fleet.model import Fleet


def load(path: Path, environ: Mapping[str, str], root: Path | None = None) -> Fleet:
    """Read and check a fleet file and the `bots.d/*.yaml` beside it. Nothing is run.

    Parameters:
        path: the fleet file.
        environ: where tokens that are given by the name of a variable are looked up.
        root: what takes the place of the user's state folder, and of `root` in the fleet file.

    Raises:
        UsageError: there is no such file.
        InvalidFleetError: the files have problems; all of them are in it.
    """
    found = draft.read(path)
    for document in found.documents:
        if not document.tree.unread:
            check_form = form.check_fleet if document is found.fleet else form.check_bots
            check_form(document, found.report)
    checks.check(found, root)
    tokens.check(found, environ)
    problems = found.report.problems()
    if problems:
        raise InvalidFleetError(problems)
    return assemble(found, root)
