"""Files of somebody else that have the names of ours."""

import os
from collections.abc import Callable, Iterable

from toolkit.errors import RefusedError
from toolkit.files import first_line
from toolkit.render import RenderedFile


def refuse_foreign(files: Iterable[RenderedFile], is_ours: Callable[[str], bool]) -> None:
    """See that nothing of somebody else lies where one of these files is to.

    Parameters:
        is_ours: tells by its first line whether a file is ours; those that do not begin so are not looked at.

    Raises:
        RefusedError: something does.
    """
    for file in files:
        if is_ours(file.content) and os.path.lexists(file.path) and not is_ours(first_line(file.path)):
            hint = "move it away if nobody needs it, or name the bot or the fleet otherwise"
            raise RefusedError(f"{file.path} was not written by the toolkit for this fleet", hint)
