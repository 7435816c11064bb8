"""All checks of a host; those of the fleet as a whole."""

import os
import shlex
from collections.abc import Callable, Iterator

from toolkit.backends import Supervision
from toolkit.ground import RECORDS_MODE
from toolkit.render import systemd_marks
from toolkit.verify import of_bot, of_files, of_folders, of_machine, of_systemd
from toolkit.verify.check import Check, Verdict, judged, mended, skipped
from toolkit.verify.common import at_boot, start_hint
from toolkit.verify.expected import Bot, Expected
from toolkit.verify.facts import Facts
from toolkit.verify.told_once import told_once

_SERVICES = ("supervisor", "supervisord")


def all_checks(wanted: Expected) -> list[Check]:
    """Every check of a host: those of the machine, of the fleet, then of each bot."""
    made = [*of_machine.checks(wanted), *_of_fleet(wanted)]
    for bot in wanted.bots:
        made += [*of_files.checks(wanted, bot), *of_bot.checks(wanted, bot)]
        made += of_systemd.checks(wanted, bot) if wanted.target else [_enabled(bot)]
    return told_once(made, {bot.name: bot.unit.path for bot in wanted.bots})


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
            "`toolkit bot list` says more",
            _supervisor,
        ),
        check(
            "boot",
            "after a reboot the fleet is to be back by itself",
            "enable the fleet's target, or the service of supervisord",
            _boot,
        ),
        check(
            "database",
            "whoever writes the records can have the toolkit start what they like",
            "`toolkit deploy`, in system mode as root, makes it anew, or puts its modes back",
            _database,
        ),
        check(
            "no-token",
            "whoever reads a token can act as the bot",
            "put it into a file of its own, and have @BotFather give another",
            _no_token,
        ),
    ]
    made.append(of_folders.check(wanted))
    if wanted.target:
        made.append(of_systemd.of_shared(wanted))
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


def _revision(wanted: Expected, facts: Facts) -> Verdict:
    del facts
    words = {"applying": "was broken off", "failed": "did not come to its end"}
    told = words.get(wanted.status)
    return judged(f"revision {wanted.revision} {told}" if told else "")


def _supervisor(wanted: Expected, facts: Facts) -> Verdict:
    if facts.fault:
        return judged(facts.fault)
    supervision = {view["supervisor"] for view in facts.views.values()}
    command = systemd_marks.systemctl(is_system=wanted.is_system)
    service = "" if wanted.target or not wanted.is_system else _service(facts)
    if wanted.target and wanted.target not in facts.units and not _lingers(wanted, facts):
        return skipped("the user's manager does not run: see `boot`")
    state = facts.units.get(wanted.target, {}).get("ActiveState", "")
    return mended(
        *_of_service(wanted, facts),
        (
            "it does not run" if Supervision.NOT_RUNNING in supervision else "",
            f"`systemctl start {service}`" if service else "`toolkit up`",
        ),
        _socket_gone(wanted, service) if Supervision.SOCKET_GONE in supervision else ("", ""),
        (
            f"{wanted.target} is {state}" if state not in ("", "active") else "",
            f"`{command} start {wanted.target}`",
        ),
    )


def _of_service(wanted: Expected, facts: Facts) -> Iterator[tuple[str, str]]:
    """What is wrong with the machine's supervisord, whether it runs or not."""
    service = wanted.service
    if service and service.fault:
        words = f"{service.conf}: {service.fault}"
        yield f"its next start would fail, and nothing be started: {words}", "mend what is named"
    found = facts.files.get(service.socket) if service else None
    if service and found and found.mode & 0o006:
        words = f"{service.socket} has mode {found.mode:04o}: everyone may command it"
        yield words, f"`chmod o= {shlex.quote(service.socket)}`, and see [unix_http_server] of {service.conf}"


def _socket_gone(wanted: Expected, service: str) -> tuple[str, str]:
    if wanted.target:
        start = (
            "`systemctl start dbus.socket`" if wanted.is_system else "`toolkit system info` tells how it is"
        )
        return "it runs, and its message bus cannot be reached", start
    hint = f"`systemctl restart {service}`" if service else "`toolkit down`, then `toolkit up`"
    return "it runs, and its socket is gone", hint


def _lingers(wanted: Expected, facts: Facts) -> bool:
    """Whether the manager is there also when nobody is logged in."""
    return wanted.is_system or facts.host.get("linger") == "yes"


def _service(facts: Facts) -> str:
    """What the machine's supervisord is called as a service: by Debian's package, or by others."""
    known = [name for name in _SERVICES if facts.host.get(f"enabled:{name}", "") not in ("", "not-found")]
    return known[0] if known else _SERVICES[0]


def _boot(wanted: Expected, facts: Facts) -> Verdict:
    if wanted.target:
        found = facts.units.get(wanted.target, {})
        state = found.get("UnitFileState", "")
        command = systemd_marks.systemctl(is_system=wanted.is_system)
        if _is_masked(wanted, facts):
            return judged(f"{wanted.target} is masked", hint=systemd_marks.unmask(command, wanted.target))
        off = found and state != "enabled"
        return mended(
            (
                f"{wanted.target} is {state or 'not enabled'}" if off else "",
                f"`{command} enable {wanted.target}`",
            ),
            (
                "" if _lingers(wanted, facts) else "the user's manager ends with the last login",
                f"`loginctl enable-linger {facts.host.get('user', '')}`",
            ),
        )
    if not wanted.is_system:
        return skipped(
            "nothing starts a private supervisord at boot but what you set up, such as cron's @reboot"
        )
    if facts.host.get("systemd") != "yes":
        return skipped("systemd does not run here: it cannot be told what starts supervisord")
    states = [facts.host.get(f"enabled:{name}", "") for name in _SERVICES]
    enabled = any(state.startswith(("enabled", "alias", "generated", "static")) for state in states)
    missing = "" if enabled else "the service of supervisord is not enabled"
    return mended((missing, f"`systemctl enable {_service(facts)}`"))


def _is_masked(wanted: Expected, facts: Facts) -> bool:
    found = facts.units.get(wanted.target, {})
    return "masked" in (found.get("UnitFileState"), found.get("LoadState"))


def _database(wanted: Expected, facts: Facts) -> Verdict:
    home, database = facts.files.get(wanted.home), facts.files.get(wanted.database)
    if home is None:
        return judged(f"{wanted.home} is not there")
    if database is None:
        return judged(f"{wanted.database} is not there")
    if wanted.is_system:
        faults = []
        for path in filter(facts.files.get, (wanted.database, wanted.lock)):
            found = facts.files[path]
            if found.mode != RECORDS_MODE:
                faults.append(f"{path} has mode {found.mode:04o}, not {RECORDS_MODE:04o}")
            if found.group != wanted.group:
                faults.append(f"{path} belongs to the group {found.group}, not {wanted.group}")
        return judged(*faults)
    opened = f"{wanted.home} has mode {home.mode:04o}" if home.mode & 0o077 else ""
    return mended((opened, f"`chmod 700 {shlex.quote(wanted.home)}`"))


def _shared_files(wanted: Expected, facts: Facts) -> Verdict:
    faults = []
    for file in wanted.shared:
        if os.path.basename(file.path) == wanted.target and _is_masked(wanted, facts):
            continue  # of that the check `boot` tells
        faults += of_files.file_faults(file, facts)
        text = facts.texts.get(file.path)
        if text is not None and text != file.text:
            faults.append(f"{file.path} was edited")
    return judged(*faults)


def _no_token(wanted: Expected, facts: Facts) -> Verdict:
    """Of the fleet's own files, and of copies that lie beside them."""
    of_bots = {path for bot in wanted.bots for path in (bot.unit.path, bot.bot_file.path, bot.bot.files.log)}
    of_bots |= {path for bot in wanted.bots for path in facts.drop_ins.get(bot.unit.path, ())}
    return judged(*(f"a token stands in {path}" for path in sorted(facts.revealing - of_bots)))


def _enabled(bot: Bot) -> Check:
    """Whether supervisord starts it when it starts itself."""

    def judge(facts: Facts) -> Verdict:
        text = facts.texts.get(bot.unit.path)
        if text is None:
            return skipped(f"{bot.unit.path} cannot be read")
        if bot.held:
            return at_boot(bot, "\nautostart=true\n" in text, "")
        return at_boot(bot, "\nautostart=false\n" not in text, "its unit has autostart=false")

    return Check(
        "enabled",
        bot.name,
        "supervisord starts after a boot just those that are enabled",
        start_hint(bot),
        judge,
    )
