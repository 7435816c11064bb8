"""The checks of a bot under systemd: what its unit asks for is held against what systemd has loaded."""

import os
import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network

from toolkit.render import systemd_marks
from toolkit.render.systemd_limits import NO_LIMIT, SETTINGS, differing, without_default
from toolkit.verify import of_sandbox
from toolkit.verify.check import Check, Verdict, judged, mended, skipped
from toolkit.verify.common import at_boot, start_hint, view_of
from toolkit.verify.expected import Bot, Expected
from toolkit.verify.facts import Facts
from toolkit.verify.units import others, settings, without_others

# How systemd tells that there is none; of a unit that is not loaded it tells nothing.
_UNLIMITED = ("infinity", "[not set]", "")
_UNITS_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "%": 0.01, "": 1.0}
_SPAN = re.compile(r"([0-9.]+)\s*(us|ms|s|min|h|d|%|)")
_FILTER = "IPAddressDeny"
# How systemd tells it: systemd.resource-control(5).
_ANY = "0.0.0.0/0 ::/0"


def checks(wanted: Expected, bot: Bot) -> list[Check]:
    """Those of a bot's unit."""
    name, systemctl = bot.service, systemd_marks.systemctl(is_system=wanted.is_system)
    made = [
        Check(
            "enabled",
            bot.name,
            "the target starts after a boot just those that are enabled",
            start_hint(bot),
            lambda facts: _enabled(wanted, bot, facts),
        ),
        Check(
            "loaded",
            bot.name,
            "systemd acts on what it has read, not on the file",
            f"`{systemctl} daemon-reload`",
            lambda facts: _loaded(wanted, bot, facts, systemctl),
        ),
        of_sandbox.check(wanted, bot),
        Check(
            "drop-ins",
            bot.name,
            "what they say overrides what was deployed, and no deploy takes it away",
            f"`{systemctl} cat {name}` shows them",
            lambda facts: _drop_ins(wanted, bot, facts),
        ),
    ]
    if _FILTER in dict(settings(bot)):
        why = "an app that is taken over sends what it finds to any address"
        hint = (
            f"`toolkit admin restart-bot {bot.name}`; "
            "where the machine is a container that cannot filter, take `ip_allow` out"
        )
        made.append(Check("addresses", bot.name, why, hint, lambda facts: _addresses(bot, facts)))
    return made


def of_shared(wanted: Expected) -> Check:
    """That of the units that the bots share none is overridden."""
    return Check(
        "drop-ins",
        "",
        "what they say holds for all bots of the fleet, and no deploy takes it away",
        "`toolkit plan` shows what others changed",
        lambda facts: _shared_drop_ins(wanted, facts),
    )


def _shared_drop_ins(wanted: Expected, facts: Facts) -> Verdict:
    command, faults = systemd_marks.systemctl(is_system=wanted.is_system), []
    for path in wanted.shared_units:
        name = os.path.basename(path)
        known = facts.units.get(name, {}).get("DropInPaths", "").split()
        found = systemd_marks.unread_drop_ins(facts.drop_ins.get(path, ()), known)
        if theirs := systemd_marks.drop_ins_of_others([*known, *found]):
            away = systemd_marks.take_away(command, name, theirs)
            faults.append(
                (f"{name} is overridden by {', '.join(theirs)}", f"`{command} cat {name}` shows it; {away}")
            )
    return mended(*faults)


def limit_faults(wanted: Expected, bot: Bot, facts: Facts) -> Iterator[tuple[str, str]]:
    """Limits that are not in force or that others set, by the rule of a plan, and what brings each back."""
    told, unit = facts.units.get(bot.service), dict(settings(bot))
    if not told:
        return
    asked = {name: _limit(name, unit.get(key, "")) for name, key in SETTINGS.items()}
    found = {name: _limit(name, told.get(name, "")) for name in SETTINGS}
    if "TasksMax" not in unit:
        found = without_default(found, _limit("TasksMax", facts.host.get("DefaultTasksMax", "")))
    away = without_others(wanted, bot, facts)
    for name in differing(asked, found):
        words = f"{told.get(name) or 'not set'}, not {unit.get(SETTINGS[name], 'unlimited')}"
        yield (
            f"{SETTINGS[name]}: {words}",
            away or "`toolkit deploy` sets back the limits of its control group",
        )
    watchdog, time = told.get("WatchdogUSec", ""), unit.get("WatchdogSec", "")
    if time and _number(watchdog) != _number(time):
        restart = f"`toolkit admin restart-bot {bot.name}`"
        yield f"WatchdogSec: {watchdog or 'not set'}, not {time}", away or restart


def _limit(name: str, text: str) -> int:
    """A limit as a number, in the unit of org.freedesktop.systemd1(5); what is none equals no limit."""
    if text in _UNLIMITED:
        return NO_LIMIT
    number = _number(text)
    if isinstance(number, str):
        return -1
    return round(number * 1_000_000 if name == "CPUQuotaPerSecUSec" else number)


def _enabled(wanted: Expected, bot: Bot, facts: Facts) -> Verdict:
    linked = f"{wanted.wants}/{bot.service}" in facts.files
    return at_boot(bot, linked, f"{wanted.target} does not want it")


def _loaded(wanted: Expected, bot: Bot, facts: Facts, systemctl: str) -> Verdict:
    found = facts.units.get(bot.service)
    if not found:
        return skipped("systemd cannot be asked")
    if found.get("LoadState") == "masked":
        # systemd forgets the user that it made up for a bot whose unit is masked while it runs.
        up = not isinstance(view_of(bot, facts), Verdict)
        again = f", then `toolkit admin restart-bot {bot.name}`" if up else ""
        hint = systemd_marks.unmask(systemctl, bot.service) + again
        return judged("its unit is masked: systemd does not start it", hint=hint)
    unread = _unread(bot, found, facts)
    due = found.get("NeedDaemonReload") == "yes" or unread
    state = found.get("LoadState")
    hint = "; ".join(filter(None, (f"`{systemctl} daemon-reload`", without_others(wanted, bot, facts))))
    return mended(
        ("" if state == "loaded" else f"its unit is {state}", hint),
        (f"its unit changed on disk since systemd read it{unread}" if due else "", hint),
    )


def _unread(bot: Bot, found: Mapping[str, str], facts: Facts) -> str:
    """Drop-ins that systemd does not know, in words."""
    known = found.get("DropInPaths", "").split()
    unread = systemd_marks.unread_drop_ins(facts.drop_ins.get(bot.unit.path, ()), known)
    return f": {', '.join(unread)}" if unread else ""


def _drop_ins(wanted: Expected, bot: Bot, facts: Facts) -> Verdict:
    if not facts.units.get(bot.service):
        return skipped("systemd cannot be asked")
    drop_ins, command = others(bot, facts), systemd_marks.systemctl(is_system=wanted.is_system)
    shown = f"`{command} cat {bot.service}` shows them; {without_others(wanted, bot, facts)}"
    return mended((f"its unit is overridden by {', '.join(drop_ins)}" if drop_ins else "", shown))


def _addresses(bot: Bot, facts: Facts) -> Verdict:
    view, found = view_of(bot, facts), facts.units.get(bot.service)
    if isinstance(view, Verdict):
        return view
    if not found:
        return skipped("systemd cannot be asked")
    unit = dict(settings(bot))
    faults = [
        f"{key} is {found.get(key) or 'not set'}, not {unit[key] or 'empty'}"
        for key in ("IPAddressAllow", _FILTER)
        if _networks(found.get(key, "")) != _networks(unit[key])
    ]
    # Where the kernel has no filter, systemd goes on without, and counts nothing: `bpf_firewall_compile`.
    if not faults and not found.get("IPIngressBytes", "").isdigit():
        faults = ["nothing is filtered: this machine's kernel, or the container that it is, cannot"]
    return judged(*faults)


def _networks(words: str) -> set[IPv4Network | IPv6Network | str]:
    return {_network(word) for word in words.replace("any", _ANY).split()}


def _network(word: str) -> IPv4Network | IPv6Network | str:
    """A prefix, which can be written in several ways; what is none as it is."""
    try:
        return ip_network(word)
    except ValueError:
        return word


def _number(text: str) -> float | str:
    """A count, a size in bytes, or a time or share in seconds; other words as they are."""
    parts = _SPAN.findall(text)
    if not parts or _SPAN.sub("", text).strip():
        return text
    return round(sum(float(value) * _UNITS_S[unit] for value, unit in parts), 6)
