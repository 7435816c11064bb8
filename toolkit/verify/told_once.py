"""What is broken is told once: a failure that comes of another's is skipped, and says where to look."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from toolkit.verify.check import Check, Outcome, Verdict, skipped
from toolkit.verify.facts import Facts

_FILE = "unit-file"
# Which failures explain that of a check, first the nearest: of the same bot, or of the fleet where that has a
# colon. What mends the one mends the other.
_FROM: Mapping[str, Sequence[str]] = {
    _FILE: (":revision", "no-token"),
    "bot-file": (":revision", "no-token"),
    "secret": (_FILE,),
    "enabled": (":revision",),
    "in-force": (":revision", "secret"),
    "running": (":revision", ":supervisor", "loaded", "sandbox", "drop-ins"),
    "loaded": (_FILE, ":revision"),
    "sandbox": (_FILE, "loaded"),
    "addresses": (_FILE, "loaded"),
    "limits": (_FILE, "loaded", ":revision"),
    "user": (_FILE, "loaded"),
    "socket": ("user", _FILE, "loaded", "drop-ins"),
    "drop-ins": ("no-token", "sandbox", "limits", "addresses", "user", "loaded"),
}


def told_once(checks: Sequence[Check], units: Mapping[str, str]) -> list[Check]:
    """The same checks, each of which is skipped where another's failure explains its own.

    Parameters:
        units: the path of each bot's unit: where that is not there, it explains whatever else fails.
    """
    known = {_key(check.bot, check.name): check for check in checks}

    def judge(check: Check, facts: Facts) -> Verdict:
        verdict = check.judge(facts)
        if verdict.outcome is not Outcome.FAILED:
            return verdict
        for key in causes(check, facts):
            if key in known and judge(known[key], facts).outcome is Outcome.FAILED:
                return skipped(f"{verdict.found}: see `{key.rpartition(':')[2]}`")
        return verdict

    def causes(check: Check, facts: Facts) -> Iterator[str]:
        unit = units.get(check.bot)
        if unit and unit not in facts.files and check.name != _FILE:
            yield _key(check.bot, _FILE)
        for name in _FROM.get(check.name, ()):
            yield name if name.startswith(":") else _key(check.bot, name)

    return [replace(check, judge=partial(judge, check)) for check in checks]


def _key(bot: str, name: str) -> str:
    return f"{bot}:{name}"
