"""The checks of a bot under systemd: what its unit asks for is held against what systemd has loaded."""

import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network

from toolkit.render import systemd_marks
from toolkit.render.systemd_limits import NO_LIMIT, SETTINGS, differing, without_default
from toolkit.verify.check import Check, Verdict, judged, mended, skipped
from toolkit.verify.common import at_boot, start_hint, view_of
from toolkit.verify.expected import Bot, Expected
from toolkit.verify.facts import Facts

_BOOLEANS = {"yes": "yes", "true": "yes", "on": "yes", "1": "yes", "no": "no", "false": "no", "off": "no"}
# Lists, in which the order says nothing.
_SETS = ("RestrictAddressFamilies", "ReadOnlyPaths", "InaccessiblePaths")
# systemd tells this one as the calls that are left. No unit of ours allows these, privileged all of them.
_CALLS = "SystemCallFilter"
_NEVER = {"bpf", "chroot", "clock_settime", "init_module", "mount", "reboot", "setuid", "swapon"}
# No unit of ours has these, which only open: systemd.exec(5).
_OPENING = ("ReadWritePaths", "BindPaths", "SupplementaryGroups")
# fmt: off
_SANDBOX = {
    "UMask", "ProtectSystem", "ReadOnlyPaths", "InaccessiblePaths", "TemporaryFileSystem", "ProtectHome",
    "PrivateTmp", "PrivateMounts", "PrivateDevices", "DevicePolicy", "PrivateUsers", "ProtectHostname",
    "ProtectClock", "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs",
    "ProtectControlGroups", "ProtectProc", "ProcSubset", "RemoveIPC", "KeyringMode",
    "CapabilityBoundingSet", "AmbientCapabilities", "NoNewPrivileges", "RestrictAddressFamilies",
    "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "LockPersonality",
    "MemoryDenyWriteExecute", "SystemCallFilter", "DynamicUser",
}
# fmt: on
# How systemd tells that there is none; of a unit that is not loaded it tells nothing.
_UNLIMITED = ("infinity", "[not set]", "")
_LONGEST = 100
_UNITS_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "%": 0.01, "": 1.0}
_SPAN = re.compile(r"([0-9.]+)\s*(us|ms|s|min|h|d|%|)")
_FILTER = "IPAddressDeny"
# How systemd tells it: systemd.resource-control(5).
_ANY = "0.0.0.0/0 ::/0"
# A seccomp filter: proc_pid_status(5).
_FILTERED = "2"


def checks(wanted: Expected, bot: Bot) -> list[Check]:
    """Those of a bot's unit."""
    name, systemctl = _service(bot), systemd_marks.systemctl(is_system=wanted.is_system)
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
        Check(
            "sandbox",
            bot.name,
            "an app that is taken over reaches whatever its sandbox leaves open",
            f"`toolkit admin restart-bot {bot.name}`",
            lambda facts: _sandbox(wanted, bot, facts),
        ),
        Check(
            "drop-ins",
            bot.name,
            "what they say overrides what was deployed, and no deploy takes it away",
            f"`{systemctl} cat {name}` shows them",
            lambda facts: _drop_ins(wanted, bot, facts),
        ),
    ]
    if _FILTER in dict(_settings(bot)):
        why = "an app that is taken over sends what it finds to any address"
        hint = (
            f"`toolkit admin restart-bot {bot.name}`; "
            "where the machine is a container that cannot filter, take `ip_allow` out"
        )
        made.append(Check("addresses", bot.name, why, hint, lambda facts: _addresses(bot, facts)))
    return made


def limit_faults(wanted: Expected, bot: Bot, facts: Facts) -> Iterator[tuple[str, str]]:
    """Limits that are not in force or that others set, by the rule of a plan, and what brings each back."""
    told, settings = facts.units.get(_service(bot)), dict(_settings(bot))
    if not told:
        return
    asked = {name: _limit(name, settings.get(key, "")) for name, key in SETTINGS.items()}
    found = {name: _limit(name, told.get(name, "")) for name in SETTINGS}
    if "TasksMax" not in settings:
        found = without_default(found, _limit("TasksMax", facts.host.get("DefaultTasksMax", "")))
    away = without_others(wanted, bot, facts)
    for name in differing(asked, found):
        words = f"{told.get(name) or 'not set'}, not {settings.get(SETTINGS[name], 'unlimited')}"
        yield (
            f"{SETTINGS[name]}: {words}",
            away or "`toolkit deploy` sets back the limits of its control group",
        )
    watchdog, time = told.get("WatchdogUSec", ""), settings.get("WatchdogSec", "")
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


def _service(bot: Bot) -> str:
    return bot.unit.path.rpartition("/")[2]


def _settings(bot: Bot) -> Iterator[tuple[str, str]]:
    """The settings of the unit as it was rendered; a list that is given in parts comes in parts."""
    for line in bot.unit.text.splitlines():
        key, sign, value = line.partition("=")
        if sign and not line.startswith("#"):
            yield key, value


def _enabled(wanted: Expected, bot: Bot, facts: Facts) -> Verdict:
    linked = f"{wanted.wants}/{_service(bot)}" in facts.files
    return at_boot(bot, linked, f"{wanted.target} does not want it")


def _loaded(wanted: Expected, bot: Bot, facts: Facts, systemctl: str) -> Verdict:
    found = facts.units.get(_service(bot))
    if not found:
        return skipped("systemd cannot be asked")
    if found.get("LoadState") == "masked":
        hint = systemd_marks.unmask(systemctl, _service(bot))
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


def _sandbox(wanted: Expected, bot: Bot, facts: Facts) -> Verdict:
    found = facts.units.get(_service(bot))
    if not found:
        return skipped("systemd cannot be asked")
    if found.get("LoadState") != "loaded":
        return skipped("its unit is not loaded")
    asked: dict[str, str] = {}
    for key, value in _settings(bot):
        if key in _SANDBOX:
            asked[key] = f"{asked[key]} {value}" if asked.get(key) else value
    opened = {
        key: f"{key} is {_short(found.get(key, '')) or 'not set'}, not {value or 'empty'}"
        for key, value in (asked | {key: "" for key in _OPENING if key not in asked}).items()
        if not _same(key, value, found.get(key, ""))
    }
    others = _others(bot, facts)
    hint = f"{', '.join(others)} sets {', '.join(opened)}: {without_others(wanted, bot, facts)}"
    return judged(*opened.values(), *_of_process(asked, bot, facts), hint=hint if opened and others else "")


def _short(value: str) -> str:
    """Some hundred system calls tell nobody anything."""
    return value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"


def _drop_ins(wanted: Expected, bot: Bot, facts: Facts) -> Verdict:
    if not facts.units.get(_service(bot)):
        return skipped("systemd cannot be asked")
    others, command = _others(bot, facts), systemd_marks.systemctl(is_system=wanted.is_system)
    shown = f"`{command} cat {_service(bot)}` shows them; {without_others(wanted, bot, facts)}"
    return mended((f"its unit is overridden by {', '.join(others)}" if others else "", shown))


def _others(bot: Bot, facts: Facts) -> list[str]:
    return systemd_marks.drop_ins_of_others(facts.units.get(_service(bot), {}).get("DropInPaths", "").split())


def without_others(wanted: Expected, bot: Bot, facts: Facts) -> str:
    """What has a bot run without the drop-ins of others: the hint, "" where there are none."""
    command, others = systemd_marks.systemctl(is_system=wanted.is_system), _others(bot, facts)
    away = systemd_marks.take_away(command, _service(bot), others)
    return f"{away}, then `toolkit admin restart-bot {bot.name}`" if others else ""


def _addresses(bot: Bot, facts: Facts) -> Verdict:
    view, found = view_of(bot, facts), facts.units.get(_service(bot))
    if isinstance(view, Verdict):
        return view
    if not found:
        return skipped("systemd cannot be asked")
    settings = dict(_settings(bot))
    faults = [
        f"{key} is {found.get(key) or 'not set'}, not {settings[key] or 'empty'}"
        for key in ("IPAddressAllow", _FILTER)
        if _networks(found.get(key, "")) != _networks(settings[key])
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


def _of_process(asked: dict[str, str], bot: Bot, facts: Facts) -> list[str]:
    """What the process itself lacks: it began before the unit was loaded, or without it."""
    view = facts.views.get(bot.name)
    process = facts.processes.get(view["pid"]) if view and view["pid"] else None
    if process is None:
        return []
    status, faults = process.status, []
    if asked.get("NoNewPrivileges") == "yes" and status.get("NoNewPrivs") != "1":
        faults.append("its process may gain privileges")
    if asked.get("SystemCallFilter") and status.get("Seccomp") != _FILTERED:
        faults.append("its process may make any system call")
    if asked.get("CapabilityBoundingSet") == "" and int(status.get("CapBnd", "0"), 16):
        faults.append("its process may have capabilities")
    if asked.get("PrivateUsers") == "yes" and status.get("Users") == "shared":
        faults.append("its process has the machine's users")
    return faults


def _same(key: str, asked: str, found: str) -> bool:
    if key == _CALLS:
        return bool(found) and not found.startswith("~") and not _NEVER & set(found.split())
    if key in _SETS:
        return set(asked.split()) == set(found.split())
    return _BOOLEANS.get(asked, asked) == _BOOLEANS.get(found, found)


def _number(text: str) -> float | str:
    """A count, a size in bytes, or a time or share in seconds; other words as they are."""
    parts = _SPAN.findall(text)
    if not parts or _SPAN.sub("", text).strip():
        return text
    return round(sum(float(value) * _UNITS_S[unit] for value, unit in parts), 6)
