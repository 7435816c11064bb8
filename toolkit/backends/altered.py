"""What others have done to units, besides editing the files that the toolkit wrote."""

from collections.abc import Sequence
from dataclasses import dataclass

from toolkit.errors import RefusedError


@dataclass(frozen=True, slots=True)
class Alteration:
    """One thing that was done to a unit.

    Parameters:
        unit: its name.
        words: what it is, and where.
        hint: what to do about it.
        masked: whether the unit cannot be started any more: systemctl(1), "mask".
    """

    unit: str
    words: str
    hint: str
    masked: bool = False

    @property
    def message(self) -> str:
        """The unit and what was done to it."""
        return f"{self.unit} {self.words}"


def refuse_masked(alterations: Sequence[Alteration]) -> None:
    """See that all units can be started, before anything is stopped.

    Raises:
        RefusedError: some are masked; it names them all.
    """
    masked = [one for one in alterations if one.masked]
    if masked:
        hints = dict.fromkeys(one.hint for one in masked)
        raise RefusedError("; ".join(one.message for one in masked), "; ".join(hints))
