"""A fleet belongs to the one fleet file that it was deployed from."""

import shlex
from pathlib import Path

from toolkit.errors import RefusedError


def need_owner(owner: Path | None, fleet: str, fleet_file: Path, hint: str) -> None:
    """See that a fleet was deployed from this file, or never.

    Parameters:
        owner: the file that it was deployed from; None where it never was.
        fleet: its name.
        fleet_file: as the user named it.
        hint: what to do otherwise, with ``{owner}`` for the file that it was deployed from. Not in system
            mode, where all operators may write what that is: root is told no command with it.

    Raises:
        RefusedError: it was deployed from another file.
    """
    if owner and not is_owner(owner, fleet_file):
        message = f"fleet {fleet} is deployed from {owner}, not from {fleet_file.absolute()}"
        raise RefusedError(message, hint.format(owner=shlex.quote(str(owner))))


def is_owner(owner: Path, fleet_file: Path) -> bool:
    """Whether a fleet that was deployed from one file is that of the other, as the user named that."""
    try:
        return owner == fleet_file.absolute() or owner.samefile(fleet_file)
    except OSError:
        return False
