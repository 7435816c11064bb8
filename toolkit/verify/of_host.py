"""The checks of the machine and of the fleet as a whole."""

from collections.abc import Callable
from datetime import datetime

from toolkit.backends import Supervision
from toolkit.render import systemd_marks
from toolkit.verify import of_bot, of_systemd
from toolkit.verify.check import Check, Verdict, judged, skipped
from toolkit.verify.expected import Bot, Expected
from toolkit.verify.facts import Facts
from toolkit.verify.told_once import told_once

MIN_PYTHON = (3, 11)
_MB = 1024
# For each bot that is yet to start, and what the machine itself needs: kB.
_BOT_KB, _SPARE_KB = 40 * _MB, 64 * _MB
_DISK_KB, _INODES = 100 * _MB, 1000
_FILES_SHARE = 0.9
_CLOCK_S = 10


def all_checks(wanted: Expected, here_s: float) -> list[Check]:
    """Every check of a host: those of the machine, of the fleet, then of each bot.

    Parameters:
        here_s: the time on the machine that asks, in seconds since the epoch.
    """
    made = [*_of_machine(wanted, here_s), *_of_fleet(wanted)]
    for bot in wanted.bots:
        made += of_bot.checks(wanted, bot)
        made += of_systemd.checks(wanted, bot) if wanted.target else [_enabled(bot)]
    return told_once(made, {bot.name: bot.unit.path for bot in wanted.bots})


def _of_machine(wanted: Expected, here_s: float) -> list[Check]:
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
            "raise `fs.file-max` and `fs.nr_open` (sysctl)",
            _open_files,
        ),
        Check(
            "clock",
            "",
            "a wrong clock breaks TLS, and what logs tell",
            "have the machine keep time: `timedatectl set-ntp true`",
            lambda facts: _clock(wanted, facts, here_s),
        ),
    ]


def _of_fleet(wanted: Expected) -> list[Check]:
    def check(name: str, why: str, hint: str, judge: Callable[[Expected, Facts], Verdict]) -> Check:
        return Check(name, "", why, hint, lambda facts: judge(wanted, facts))

    made = [
        check(
            "revision",
            "a deploy that was broken off left some bots as they were",
            "`toolkit deploy` goes on from there",
            _revision,
        ),
        check(
            "supervisor",
            "without its supervisor nothing is started again",
            "`toolkit up`, or start the machine's supervisord or systemd's target",
            _supervisor,
        ),
        check(
            "boot",
            "after a reboot the fleet is to be back by itself",
            "enable it: `systemctl enable` the target or the supervisord service; `loginctl enable-linger`",
            _boot,
        ),
        check(
            "database",
            "whoever writes the records can have the toolkit start what they like",
            "`toolkit deploy` as root puts the modes back in system mode; else `chmod 700` the folder",
            _database,
        ),
        check(
            "no-token",
            "whoever reads a token can act as the bot",
            "put it into a file of its own, and have @BotFather give another",
            _no_token,
        ),
    ]
    if wanted.shared:
        made.append(
            check(
                "shared-files",
                "the supervisor or the next boot would do something else",
                "`toolkit deploy` puts back what was deployed",
                _shared_files,
            )
        )
    return made


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
    return judged(
        f"{used} of {most} are in use" if int(used) > _FILES_SHARE * int(most) else "",
        f"a process may open {most_each}, and a bot is to have {each}" if int(most_each) < each else "",
    )


def _clock(wanted: Expected, facts: Facts, here_s: float) -> Verdict:
    now = int(facts.host.get("now") or 0)
    apart = abs(now - here_s)
    made = datetime.fromisoformat(wanted.made_at).timestamp() if wanted.made_at else 0
    unkept = all(
        facts.host.get(key) == value
        for key, value in (("CanNTP", "yes"), ("NTP", "yes"), ("NTPSynchronized", "no"))
    )
    return judged(
        f"it differs by {apart:.0f} s from the machine that asks" if apart > _CLOCK_S else "",
        "it is before the last deploy" if now + _CLOCK_S < made else "",
        "it is not synchronised" if unkept else "",
    )


def _revision(wanted: Expected, facts: Facts) -> Verdict:
    del facts
    words = {"applying": "was broken off", "failed": "did not come to its end"}
    told = words.get(wanted.status)
    return judged(f"revision {wanted.revision} {told}" if told else "")


def _supervisor(wanted: Expected, facts: Facts) -> Verdict:
    if facts.fault:
        return judged(facts.fault)
    supervision = {view["supervisor"] for view in facts.views.values()}
    if Supervision.NOT_RUNNING in supervision:
        return judged("it does not run")
    if Supervision.SOCKET_GONE in supervision:
        return judged("it runs, and its socket is gone: see `toolkit bot status`")
    if wanted.target:
        state = facts.units.get(wanted.target, {}).get("ActiveState", "unknown")
        return judged("" if state == "active" else f"{wanted.target} is {state}")
    return judged()


def _boot(wanted: Expected, facts: Facts) -> Verdict:
    if wanted.target:
        found = facts.units.get(wanted.target, {})
        state = found.get("UnitFileState", "")
        if "masked" in (state, found.get("LoadState")):
            command = systemd_marks.systemctl(is_system=wanted.is_system)
            return judged(f"{wanted.target} is masked", hint=systemd_marks.unmask(command, wanted.target))
        lingers = wanted.is_system or facts.host.get("linger") == "yes"
        return judged(
            "" if state == "enabled" else f"{wanted.target} is {state or 'not enabled'}",
            "" if lingers else "the user's manager ends with the last login",
        )
    if not wanted.is_system:
        return skipped(
            "nothing starts a private supervisord at boot but what you set up, such as cron's @reboot"
        )
    if facts.host.get("systemd") != "yes":
        return skipped("systemd does not run here: it cannot be told what starts supervisord")
    states = [facts.host.get(f"enabled:{name}", "") for name in ("supervisor", "supervisord")]
    enabled = any(state.startswith(("enabled", "alias", "generated", "static")) for state in states)
    return judged("" if enabled else "the service of supervisord is not enabled")


def _database(wanted: Expected, facts: Facts) -> Verdict:
    home, database = facts.files.get(wanted.home), facts.files.get(wanted.database)
    if home is None:
        return judged(f"{wanted.home} is not there")
    if database is None:
        return judged(f"{wanted.database} is not there")
    if wanted.is_system:
        return judged(
            f"{wanted.database} has mode {database.mode:04o}" if database.mode & 0o007 else "",
            f"{wanted.database} belongs to the group {database.group}"
            if database.group != wanted.group
            else "",
            f"{wanted.home} has mode {home.mode:04o}" if home.mode & 0o022 else "",
        )
    return judged(f"{wanted.home} has mode {home.mode:04o}" if home.mode & 0o077 else "")


def _shared_files(wanted: Expected, facts: Facts) -> Verdict:
    faults = []
    for file in wanted.shared:
        faults += of_bot.file_faults(file, facts)
        text = facts.texts.get(file.path)
        if text is not None and text != file.text:
            faults.append(f"{file.path} was edited")
    return judged(*faults)


def _no_token(wanted: Expected, facts: Facts) -> Verdict:
    paths = [*wanted.sources, *(file.path for file in wanted.shared)]
    return judged(*(f"a token stands in {path}" for path in paths if path in facts.revealing))


def _enabled(bot: Bot) -> Check:
    """Whether supervisord starts it when it starts itself."""

    def judge(facts: Facts) -> Verdict:
        text = facts.texts.get(bot.unit.path)
        if text is None:
            return skipped(f"{bot.unit.path} cannot be read")
        if bot.held:
            return judged(
                "it is enabled, though an operator stopped it" if "\nautostart=true\n" in text else ""
            )
        return judged("" if "\nautostart=false\n" not in text else "its unit has autostart=false")

    hint = f"`toolkit admin start-bot {bot.name}`, or `stop-bot` where it is to stay down"
    return Check(
        "enabled", bot.name, "supervisord starts after a boot just those that are enabled", hint, judge
    )
