"""The check of a bot's sandbox: what its unit asks for, what systemd has loaded, and what its process has."""

from collections.abc import Iterable, Mapping, Sequence

from toolkit.verify.check import Check, Verdict, judged, skipped
from toolkit.verify.expected import Bot, Expected
from toolkit.verify.facts import Facts
from toolkit.verify.units import others, settings, without_others

_BOOLEANS = {"yes": "yes", "true": "yes", "on": "yes", "1": "yes", "no": "no", "false": "no", "off": "no"}
# Lists, in which the order says nothing.
_SETS = ("RestrictAddressFamilies", "ReadOnlyPaths", "InaccessiblePaths")
# systemd tells this one as the calls that are left; some of a set it may not know on this kind of machine.
_CALLS = "SystemCallFilter"
# What a list of calls that are allowed always has: systemd.exec(5).
_ALWAYS = "@default"
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
_LONGEST = 100
# A seccomp filter: proc_pid_status(5).
_FILTERED = "2"


def check(wanted: Expected, bot: Bot) -> Check:
    """That it is as closed as it was rendered."""
    return Check(
        "sandbox",
        bot.name,
        "an app that is taken over reaches whatever its sandbox leaves open",
        f"`toolkit admin restart-bot {bot.name}`",
        lambda facts: _sandbox(wanted, bot, facts),
    )


def _sandbox(wanted: Expected, bot: Bot, facts: Facts) -> Verdict:
    found = facts.units.get(bot.service)
    if not found:
        return skipped("systemd cannot be asked")
    if found.get("LoadState") != "loaded":
        return skipped("its unit is not loaded")
    asked: dict[str, str] = {}
    for key, value in settings(bot):
        if key in _SANDBOX:
            asked[key] = f"{asked[key]} {value}" if asked.get(key) else value
    opened = _of_calls(bot, found, facts) | {
        key: f"{key} is {_short(found.get(key, '')) or 'not set'}, not {value or 'empty'}"
        for key, value in (asked | {key: "" for key in _OPENING if key not in asked}).items()
        if not _same(key, value, found.get(key, ""))
    }
    drop_ins = others(bot, facts)
    hint = f"{', '.join(drop_ins)} sets {', '.join(opened)}: {without_others(wanted, bot, facts)}"
    return judged(*opened.values(), *_of_process(asked, bot, facts), hint=hint if opened and drop_ins else "")


def _of_calls(bot: Bot, found: Mapping[str, str], facts: Facts) -> dict[str, str]:
    """System calls that are left, and are not to be."""
    lines = [value for key, value in settings(bot) if key == _CALLS]
    if not lines or not facts.calls:
        return {}
    allowed = _members([_ALWAYS], facts.calls)
    for line in lines:
        calls = _members(line.removeprefix("~").split(), facts.calls)
        allowed = allowed - calls if line.startswith("~") else allowed | calls
    more = sorted(set(found.get(_CALLS, "").split()) - allowed)
    return {_CALLS: f"{_CALLS} allows {_short(' '.join(more))} too"} if more else {}


def _members(names: Iterable[str], sets: Mapping[str, Sequence[str]]) -> set[str]:
    """The system calls that names stand for, among them those of sets."""
    found = set()
    for name in names:
        found |= _members(sets.get(name, ()), sets) if name.startswith("@") else {name}
    return found


def _short(value: str) -> str:
    """Some hundred system calls tell nobody anything."""
    return value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"


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
        return bool(found) and not found.startswith("~")
    if key in _SETS:
        return set(asked.split()) == set(found.split())
    return _BOOLEANS.get(asked, asked) == _BOOLEANS.get(found, found)
