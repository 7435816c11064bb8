"""The checks of the machine itself."""

from collections.abc import Callable

from toolkit.clock import seconds
from toolkit.verify.check import Check, Verdict, judged, mended, skipped
from toolkit.verify.expected import Expected
from toolkit.verify.facts import Facts

MIN_PYTHON = (3, 11)
_MB = 1024
# For each bot that is yet to start, and what the machine itself needs: kB.
_BOT_KB, _SPARE_KB = 40 * _MB, 64 * _MB
_DISK_KB, _INODES = 100 * _MB, 1000
_FILES_SHARE = 0.9
_CLOCK_S = 10


def checks(wanted: Expected) -> list[Check]:
    """All of them."""

    def check(name: str, why: str, hint: str, judge: Callable[[Expected, Facts], Verdict]) -> Check:
        return Check(name, "", why, hint, lambda facts: judge(wanted, facts))

    return [
        check(
            "python",
            "the runner needs its interpreter with bot-toolkit in it",
            "install bot-toolkit there, with Python 3.11 or later",
            _python,
        ),
        check(
            "memory",
            "without memory the kernel ends bots",
            "end something else, or run fewer bots here",
            _memory,
        ),
        check(
            "disk",
            "a full disk takes the logs, and every deploy",
            "free some: `toolkit system info` tells the folders",
            _disk,
        ),
        check(
            "open-files",
            "without open files nothing connects or starts",
            "raise what the kernel allows",
            _open_files,
        ),
        check(
            "clock",
            "a wrong clock breaks TLS, and what logs tell",
            "have the machine keep time: `timedatectl set-ntp true`",
            _clock,
        ),
    ]


def _python(wanted: Expected, facts: Facts) -> Verdict:
    faults = []
    for python in sorted({bot.python for bot in wanted.bots if bot.python}):
        told = facts.pythons.get(python, "")
        try:
            version = tuple(int(part) for part in told.split(" ")[0].split("."))
        except ValueError:
            faults.append(f"{python}: {told or 'it is not there'}")
            continue
        if version < MIN_PYTHON:
            faults.append(f"{python}: Python {told.split(' ')[0]}")
    return judged(*faults)


def _memory(wanted: Expected, facts: Facts) -> Verdict:
    available = facts.host.get("MemAvailable", "")
    if not available:
        return skipped("the kernel does not tell")
    waiting = sum(1 for bot in wanted.bots if not (facts.views.get(bot.name) or {}).get("pid"))
    needed = _SPARE_KB + waiting * _BOT_KB
    if int(available) >= needed:
        return judged()
    return judged(f"{int(available) // _MB} MB are left, and {needed // _MB} MB are needed")


def _disk(wanted: Expected, facts: Facts) -> Verdict:
    faults = []
    for folder in filter(None, (wanted.home, wanted.logs)):
        free, inodes = facts.host.get(f"free:{folder}", ""), facts.host.get(f"inodes:{folder}", "")
        if free.isdecimal() and int(free) < _DISK_KB:
            faults.append(f"{folder}: {int(free) // _MB} MB are left")
        # Some file systems have no fixed number of them, and tell 0 or -.
        if inodes.isdecimal() and 0 < int(inodes) < _INODES:
            faults.append(f"{folder}: {inodes} inodes are left")
    return judged(*faults)


def _open_files(wanted: Expected, facts: Facts) -> Verdict:
    used, _, most = facts.host.get("files", "").partition(" ")
    most = most.split()[-1] if most else ""
    most_each = facts.host.get("nr_open", "")
    if not (used.isdecimal() and most.isdecimal() and most_each.isdecimal()):
        return skipped("the kernel does not tell")
    each = max((bot.bot.limits.open_files for bot in wanted.bots), default=0)
    return mended(
        (
            f"{used} of {most} are in use" if int(used) > _FILES_SHARE * int(most) else "",
            f"`sysctl -w fs.file-max={2 * int(most)}`",
        ),
        (
            f"a process may open {most_each}, and a bot is to have {each}" if int(most_each) < each else "",
            f"`sysctl -w fs.nr_open={each}`",
        ),
    )


def _clock(wanted: Expected, facts: Facts) -> Verdict:
    now = int(facts.host.get("now") or 0)
    apart = int(facts.host.get("apart") or 0)
    made = seconds(wanted.made_at)
    unkept = all(
        facts.host.get(key) == value
        for key, value in (("CanNTP", "yes"), ("NTP", "yes"), ("NTPSynchronized", "no"))
    )
    return judged(
        f"it differs by {apart} s from the machine that asks" if apart > _CLOCK_S else "",
        "it is before the last deploy" if now + _CLOCK_S < made else "",
        "it is not synchronised" if unkept else "",
    )
