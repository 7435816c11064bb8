"""The checks of one bot, whatever its supervisor."""

import os
from collections.abc import Callable, Mapping
from typing import Any

from toolkit import botfile, rotation
from toolkit.backends import Supervision
from toolkit.deploy.plan import differences
from toolkit.errors import ToolkitError
from toolkit.lifecycle import State
from toolkit.render.supervisord_marks import with_enabled
from toolkit.verify.check import Check, Verdict, judged, skipped
from toolkit.verify.expected import Bot, Expected, File
from toolkit.verify.facts import Facts

# A file's mode without what its owner may do: whoever else could use it.
_OTHERS, _GROUP = 0o007, 0o070
# Rotation comes after the line that was one too many.
_LOG_SLACK = 1_000_000
_UP = (State.RUNNING, State.DEGRADED, State.INITIALIZING, State.STARTING, State.PAUSED, State.RELOADING)


def checks(wanted: Expected, bot: Bot) -> list[Check]:
    """All that are made of a bot, but for those of its supervisor."""
    deploy = "`toolkit deploy` puts back what was deployed"
    logs = f"see `toolkit bot status {bot.name}` and `toolkit bot logs {bot.name}`"
    start = f"`toolkit admin start-bot {bot.name}`, or see `toolkit bot status {bot.name}`"
    made = [
        _check(
            bot, "unit-file", "the next start would run something else than was deployed", deploy, _unit_file
        ),
        _check(
            bot, "bot-file", "the next start would run something else than was deployed", deploy, _bot_file
        ),
        _check(bot, "running", "a bot that does not run answers nobody", start, _running),
        _check(bot, "ready", "a bot that is up and not ready answers nobody", logs, _ready),
        _check(
            bot,
            "in-force",
            "it runs what an earlier deploy put in force, or with the token that it had before",
            rotation.how(bot.name),
            _in_force,
        ),
        _check(
            bot,
            "user",
            "as another user it may do too much, or too little",
            f"{deploy}; then `toolkit admin restart-bot {bot.name}`",
            _user,
        ),
        _check(
            bot,
            "limits",
            "without its limits one bot can starve the others",
            f"`toolkit admin restart-bot {bot.name}` brings back what its unit says",
            _limits,
        ),
    ]
    made.append(
        Check(
            "socket",
            bot.name,
            "its control socket is how it is asked, and who else may use it can end it",
            f"`toolkit admin restart-bot {bot.name}` makes it anew",
            lambda facts: _socket(wanted, bot, facts),
        )
    )
    made.append(
        Check(
            "no-token",
            bot.name,
            "whoever reads a token can act as the bot",
            "take it out of the file named, and have @BotFather give another",
            lambda facts: _no_token(bot, facts),
        )
    )
    if bot.secret:
        hint = f"`chmod 600 {bot.secret}`, and `chown` it to the bot's user, or root under systemd"
        made.append(_check(bot, "secret", "whoever reads the token can act as the bot", hint, _secret))
    if bot.bot.files.log:
        hint = "set `log.max_bytes` and `log.keep` of its type, and see what it writes"
        made.append(_check(bot, "log", "a log without a bound fills the disk", hint, _log))
    return made


def _check(bot: Bot, name: str, why: str, hint: str, judge: Callable[[Bot, Facts], Verdict]) -> Check:
    return Check(name, bot.name, why, hint, lambda facts: judge(bot, facts))


def file_faults(wanted: File, facts: Facts) -> list[str]:
    """How a rendered file differs, but for its text."""
    found = facts.files.get(wanted.path)
    if found is None:
        return [f"{wanted.path} is not there"]
    if found.kind == "symbolic link":
        return [f"{wanted.path} is a symbolic link"]
    if found.mode != wanted.mode:
        return [f"{wanted.path} has mode {found.mode:04o}, not {wanted.mode:04o}"]
    return []


def _unit_file(bot: Bot, facts: Facts) -> Verdict:
    if facts.units.get(bot.unit.path.rpartition("/")[2], {}).get("LoadState") == "masked":
        return skipped("it is masked: see `loaded`")
    faults = file_faults(bot.unit, facts)
    text = facts.texts.get(bot.unit.path)
    if text is None and not faults:
        return skipped(f"{bot.unit.path} may not be read")
    # Whether it is enabled is a check of its own.
    if text is not None and with_enabled(text, enabled=True) != with_enabled(bot.unit.text, enabled=True):
        faults.append(f"{bot.unit.path} was edited: {_first_difference(bot.unit.text, text)}")
    return judged(*faults)


def _first_difference(wanted: str, found: str) -> str:
    """The first line that differs; never its value, which may be a secret that somebody put there."""
    lines = found.splitlines()
    for number, line in enumerate(wanted.splitlines(), 1):
        if number > len(lines) or lines[number - 1] != line:
            return f"line {number}, `{line.partition('=')[0]}`"
    return f"line {len(wanted.splitlines()) + 1}"


def _bot_file(bot: Bot, facts: Facts) -> Verdict:
    faults = file_faults(bot.bot_file, facts)
    text = facts.texts.get(bot.bot_file.path)
    if text is None:
        return judged(*faults) if faults else skipped(f"{bot.bot_file.path} may not be read")
    try:
        found = botfile.decode(text.encode())
    except ToolkitError as error:
        return judged(*faults, f"{bot.bot_file.path}: {error.message}")
    if found.fingerprint() != bot.fingerprint:
        names = ", ".join(differences(bot.bot, found)) or "its text"
        faults.append(f"{bot.bot_file.path} was edited: {names}")
    return judged(*faults)


def view_of(bot: Bot, facts: Facts) -> Mapping[str, Any] | Verdict:
    """The bot as it tells itself, or why that cannot be told."""
    if facts.fault:
        return skipped("the bots cannot be listed: see `supervisor`")
    if bot.held:
        return skipped("an operator keeps it stopped")
    view = facts.views.get(bot.name)
    if view is None or view["pid"] is None or view["state"] not in _UP:
        return skipped("it does not run")
    return view


def _running(bot: Bot, facts: Facts) -> Verdict:
    view = facts.views.get(bot.name)
    up = view is not None and view["pid"] is not None
    if bot.held and not facts.fault:
        return (
            judged("it runs, though an operator stopped it")
            if up
            else skipped("an operator keeps it stopped")
        )
    if facts.fault:
        return skipped("its supervisor cannot be asked: see `supervisor`")
    if view is None:
        return judged("the toolkit does not know it")
    if view["pid"] is None and view["supervisor"] != Supervision.ANSWERS:
        return skipped("its supervisor cannot be asked: see `supervisor`")
    if view["pid"] is None or view["state"] not in _UP:
        return judged(_state_of(view))
    return judged()


def _ready(bot: Bot, facts: Facts) -> Verdict:
    view = view_of(bot, facts)
    if isinstance(view, Verdict):
        return view
    if not view["fingerprint"] and view["state"] != State.STARTING:
        return skipped("it does not answer: see `socket`")
    if view["state"] == State.PAUSED:
        return skipped("an operator paused it")
    if view["ready"] and view["state"] == State.RUNNING:
        return judged()
    return judged(_state_of(view))


def _state_of(view: Mapping[str, Any]) -> str:
    return f"it is {view['state']}" + (f": {view['reason']}" if view["reason"] else "")


def _in_force(bot: Bot, facts: Facts) -> Verdict:
    view = view_of(bot, facts)
    if isinstance(view, Verdict):
        return view
    if not view["fingerprint"]:
        see = "ready" if view["state"] == State.STARTING else "socket"
        return skipped(f"it does not answer: see `{see}`")
    return judged(
        "" if view["unit"] == bot.unit_hash else "it runs with another unit",
        "" if view["fingerprint"] == bot.fingerprint else "it runs with another bot file",
        rotation.WORDS if _token_is_late(bot, view, facts) else "",
    )


def _token_is_late(bot: Bot, view: Mapping[str, Any], facts: Facts) -> bool:
    found = facts.files.get(bot.secret)
    return found is not None and rotation.is_late(found.written_s, view["started_at"])


def _user(bot: Bot, facts: Facts) -> Verdict:
    view = view_of(bot, facts)
    if isinstance(view, Verdict):
        return view
    process = facts.processes.get(view["pid"])
    if process is None:
        return skipped("its process may not be looked at")
    return judged("" if process.user == bot.user else f"it runs as {process.user}, not as {bot.user}")


def _limits(bot: Bot, facts: Facts) -> Verdict:
    view = view_of(bot, facts)
    if isinstance(view, Verdict):
        return view
    process = facts.processes.get(view["pid"])
    if process is None or not process.limits:
        return skipped("its process may not be looked at")
    limits = bot.bot.limits
    wanted = {"Max open files": limits.open_files, "Max core file size": limits.core_bytes}
    if limits.processes is not None:
        wanted["Max processes"] = limits.processes
    faults = [
        f"{name.removeprefix('Max ')}: {process.limits.get(name)}, not {value}"
        for name, value in wanted.items()
        if process.limits.get(name) != str(value)
    ]
    if process.nice != limits.nice:
        faults.append(f"nice: {process.nice}, not {limits.nice}")
    return judged(*faults, *_of_group(bot, facts))


def _of_group(bot: Bot, facts: Facts) -> list[str]:
    from toolkit.verify.of_systemd import limit_faults

    return limit_faults(bot, facts)


def _socket(wanted: Expected, bot: Bot, facts: Facts) -> Verdict:
    view = view_of(bot, facts)
    if isinstance(view, Verdict):
        return view
    if view["state"] == State.STARTING:
        return skipped("it may not be there yet: see `ready`")
    path = bot.bot.files.socket
    found, folder = facts.files.get(path), facts.files.get(path.rpartition("/")[0])
    if found is None:
        return judged(f"{path} is not there")
    mode = 0o660 if bot.bot.files.shared else 0o600
    faults = ["" if found.kind == "socket" else f"{path} is a {found.kind}"]
    if found.mode != mode:
        faults.append(f"{path} has mode {found.mode:04o}, not {mode:04o}")
    if wanted.group and found.group != wanted.group:
        faults.append(f"{path} belongs to the group {found.group}, not {wanted.group}")
    if found.user != bot.user:
        faults.append(f"{path} belongs to {found.user}, not {bot.user}")
    if folder and folder.mode & (_OTHERS if wanted.group else _OTHERS | _GROUP):
        faults.append(f"its folder has mode {folder.mode & 0o777:04o}: others may enter it")
    if not view["fingerprint"]:
        faults.append(view["reason"] or "nobody answers there")
    return judged(*faults)


def _secret(bot: Bot, facts: Facts) -> Verdict:
    found = facts.files.get(bot.secret)
    if found is None:
        who, folder = facts.host.get("user", ""), facts.files.get(os.path.dirname(bot.secret))
        if who != "root" and (folder is None or (folder.user != who and not folder.mode & 0o011)):
            return skipped(f"{who} may not look into its folder: check as root")
        return judged(f"{bot.secret} is not there, or in a folder that may not be entered")
    faults = []
    if found.mode & _OTHERS or (found.mode & _GROUP and found.group not in ("root", bot.user)):
        faults.append(f"{bot.secret} has mode {found.mode:04o}: others may use it")
    if found.user not in ("root", bot.user):
        faults.append(f"{bot.secret} belongs to {found.user}")
    return judged(*faults)


def _log(bot: Bot, facts: Facts) -> Verdict:
    log = bot.bot.log
    if log.max_bytes == 0:
        return judged("it is never rotated")
    size, bound = facts.logs.get(bot.bot.files.log, 0), log.max_bytes * (log.keep + 1) + _LOG_SLACK
    found = facts.files.get(bot.bot.files.log)
    return judged(
        f"its files have {size} bytes, and {bound} are the bound" if size > bound else "",
        f"everyone may read it: mode {found.mode:04o}" if found and found.mode & _OTHERS else "",
    )


def _no_token(bot: Bot, facts: Facts) -> Verdict:
    paths = (bot.unit.path, bot.bot_file.path, bot.bot.files.log)
    return judged(*(f"a token stands in {path}" for path in paths if path in facts.revealing))
