"""What others have done to units, besides editing the files that the toolkit wrote."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from toolkit.errors import RefusedError


class Kind(StrEnum):
    """What was done to a unit."""

    # It cannot be started any more: systemctl(1), "mask".
    MASKED = "masked"
    # Settings of others override what its file says.
    OVERRIDDEN = "overridden"
    # The supervisor has not read it as it is on disk.
    UNREAD = "unread"


@dataclass(frozen=True, slots=True)
class Alteration:
    """One thing that was done to a unit.

    Parameters:
        unit: its name.
        words: what it is, and where.
        hint: what to do about it.
    """

    unit: str
    kind: Kind
    words: str
    hint: str

    @property
    def message(self) -> str:
        """The unit and what was done to it."""
        return f"{self.unit} {self.words}"

    def as_json(self) -> dict[str, str]:
        """The stable shape of ``--json``."""
        return {"unit": self.unit, "what": str(self.kind), "found": self.words, "hint": self.hint}


def refuse_masked(alterations: Sequence[Alteration]) -> None:
    """See that all units can be started, before anything is stopped.

    Raises:
        RefusedError: some are masked; it names them all.
    """
    masked = [one for one in alterations if one.kind is Kind.MASKED]
    if masked:
        hints = dict.fromkeys(one.hint for one in masked)
        raise RefusedError("; ".join(one.message for one in masked), "; ".join(hints))
