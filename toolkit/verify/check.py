"""A check: what it looks for, why, what to do where it fails, and how it judges what was found."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from toolkit.verify.facts import Facts


class Outcome(StrEnum):
    """How a check went."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check says of what was found.

    Parameters:
        found: in words; of a skipped check, why it cannot be told.
        hint: what to do, where it is something else than the check's own hint says.
    """

    outcome: Outcome
    found: str = ""
    hint: str = ""


def skipped(why: str) -> Verdict:
    """It cannot be told, or does not matter here."""
    return Verdict(Outcome.SKIPPED, why)


def judged(*faults: str, hint: str = "") -> Verdict:
    """Failed where there are faults, else passed."""
    told = [fault for fault in faults if fault]
    return Verdict(Outcome.FAILED, "; ".join(told), hint) if told else Verdict(Outcome.PASSED)


def mended(*faults: tuple[str, str]) -> Verdict:
    """Failed where there are faults, each given with what mends it, else passed; a fault of "" is none."""
    told = {fault: hint for fault, hint in faults if fault}
    return judged(*told, hint="; ".join(dict.fromkeys(told.values())))


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Parameters:
        name: what is looked at, such as ``socket``.
        bot: whose; "" for one of the host or of the whole fleet.
        why: what goes wrong where it fails.
        hint: what to do then.
        judge: tells from the facts.
    """

    name: str
    bot: str
    why: str
    hint: str
    judge: Callable[[Facts], Verdict]

    @property
    def title(self) -> str:
        """Its name with its bot's."""
        return f"{self.bot}: {self.name}" if self.bot else self.name
