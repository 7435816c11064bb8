"""Which bots a word on the command line means: a name, ``type:T``, ``state:S``, a glob, or ``all``."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from toolkit.errors import UsageError, nearest
from toolkit.lifecycle import State


@dataclass(frozen=True, slots=True)
class Candidate:
    """What of a bot a selector looks at."""

    name: str
    type: str
    state: str = ""


def needs_state(selectors: Iterable[str]) -> bool:
    """Whether the bots' states must be known to answer."""
    return any(selector.startswith("state:") for selector in selectors)


def _matches(selector: str, bot: Candidate) -> bool:
    kind, colon, pattern = selector.partition(":")
    if colon and kind == "type":
        return fnmatchcase(bot.type, pattern)
    if colon and kind == "state":
        return bot.state == pattern.upper()
    return selector == "all" or fnmatchcase(bot.name, selector)


def select(selectors: Sequence[str], bots: Sequence[Candidate]) -> list[str]:
    """The names of the bots that any of the selectors means, in the bots' order; all where there are none.

    A state that no bot is in now means none of them, and is no error.

    Raises:
        UsageError: a selector means no bot and never could; the hint tells the nearest name, type or state.
    """
    if not selectors:
        return [bot.name for bot in bots]
    chosen = set()
    for selector in selectors:
        found = {bot.name for bot in bots if _matches(selector, bot)}
        if not found and selector != "all" and not _is_state(selector):
            raise UsageError(f"no bot matches {selector!r}", _hint(selector, bots))
        chosen |= found
    return [bot.name for bot in bots if bot.name in chosen]


def _is_state(selector: str) -> bool:
    kind, _, pattern = selector.partition(":")
    return kind == "state" and pattern.upper() in State.__members__


def _hint(selector: str, bots: Sequence[Candidate]) -> str:
    names = [bot.name for bot in bots]
    others = [*dict.fromkeys(f"type:{bot.type}" for bot in bots), *(f"state:{state}" for state in State)]
    kind, colon, pattern = selector.partition(":")
    wanted = f"{kind}:{pattern.upper()}" if kind == "state" else selector
    return nearest(wanted, others if colon else names) or "`toolkit bot list` shows the bots"
