"""The checks of one bot, whatever its supervisor."""

import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from toolkit import rotation
from toolkit.backends import Supervision
from toolkit.lifecycle import State
from toolkit.revisions import EDITED
from toolkit.verify import of_folders
from toolkit.verify.check import Check, Verdict, judged, mended, skipped
from toolkit.verify.common import UP, down_hint, view_of
from toolkit.verify.expected import Bot, Expected
from toolkit.verify.facts import Facts
from toolkit.verify.folders import Own
from toolkit.verify.of_files import GROUP, OTHERS
from toolkit.verify.of_systemd import limit_faults
from toolkit.verify.units import without_others


def checks(wanted: Expected, bot: Bot) -> list[Check]:
    """All that are made of a bot, but for those of its supervisor."""
    logs = f"see `toolkit bot status {bot.name}` and `toolkit bot logs {bot.name}`"
    start = f"`toolkit admin start-bot {bot.name}`; `toolkit bot status {bot.name}` says why it ended"
    return [
        _check(bot, "running", "a bot that does not run answers nobody", start, _running),
        _check(bot, "ready", "a bot that is up and not ready answers nobody", logs, _ready),
        _check(
            bot,
            "in-force",
            "it runs what an earlier deploy put in force, or with the token that it had before",
            rotation.how(bot.name),
            _in_force,
        ),
        Check(
            "user",
            bot.name,
            "as another user it may do too much, or too little",
            f"`toolkit admin restart-bot {bot.name}`",
            lambda facts: _user(wanted, bot, facts),
        ),
        Check(
            "limits",
            bot.name,
            "without its limits one bot can starve the others, and with others' it may starve itself",
            f"`toolkit admin restart-bot {bot.name}` brings back what its unit says",
            lambda facts: _limits(wanted, bot, facts),
        ),
        Check(
            "socket",
            bot.name,
            "its control socket is how it is asked, and who else may use it can end it",
            f"`toolkit admin restart-bot {bot.name}` makes it anew",
            lambda facts: _socket(wanted, bot, facts),
        ),
    ]


def _check(bot: Bot, name: str, why: str, hint: str, judge: Callable[[Bot, Facts], Verdict]) -> Check:
    return Check(name, bot.name, why, hint, lambda facts: judge(bot, facts))


def _running(bot: Bot, facts: Facts) -> Verdict:
    view = facts.views.get(bot.name)
    up = view is not None and view["pid"] is not None
    if bot.held and not facts.fault:
        return (
            judged("it runs, though an operator stopped it", hint=down_hint(bot))
            if up
            else skipped("an operator keeps it stopped")
        )
    if facts.fault:
        return skipped("its supervisor cannot be asked: see `supervisor`")
    if view is None:
        return judged("the toolkit does not know it", hint="`toolkit deploy`")
    if view["pid"] is None and view["supervisor"] != Supervision.ANSWERS:
        return skipped("its supervisor cannot be asked: see `supervisor`")
    if view["pid"] is None or view["state"] not in UP:
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
    if bot.unit_hash == EDITED:
        words = "its unit was edited and put back, and it was not restarted since"
        return judged(words, hint="`toolkit deploy` restarts it")
    return judged(
        "" if view["unit"] == bot.unit_hash else "it runs with another unit",
        "" if view["fingerprint"] == bot.fingerprint else "it runs with another bot file",
        rotation.WORDS if _token_is_late(bot, view, facts) else "",
    )


def _token_is_late(bot: Bot, view: Mapping[str, Any], facts: Facts) -> bool:
    found = facts.files.get(bot.secret)
    return (
        found is not None and found.kind == "a file" and rotation.is_late(found.written_s, view["started_at"])
    )


def _user(wanted: Expected, bot: Bot, facts: Facts) -> Verdict:
    view = view_of(bot, facts)
    if isinstance(view, Verdict):
        return view
    process = facts.processes.get(view["pid"])
    if process is None:
        return skipped("its process may not be looked at")
    hint = without_others(wanted, bot, facts) if wanted.target else ""
    other = process.user != bot.user
    return judged(f"it runs as {process.user}, not as {bot.user}" if other else "", hint=hint)


def _limits(wanted: Expected, bot: Bot, facts: Facts) -> Verdict:
    view = view_of(bot, facts)
    if isinstance(view, Verdict):
        return view
    process = facts.processes.get(view["pid"])
    if process is None or not process.limits:
        return skipped("its process may not be looked at")
    limits = bot.bot.limits
    asked = {"Max open files": limits.open_files, "Max core file size": limits.core_bytes}
    if limits.processes is not None:
        asked["Max processes"] = limits.processes
    faults = [
        f"{name.removeprefix('Max ')}: {process.limits.get(name)}, not {value}"
        for name, value in asked.items()
        if process.limits.get(name) != str(value)
    ]
    if process.nice != limits.nice:
        faults.append(f"nice: {process.nice}, not {limits.nice}")
    restart = f"`toolkit admin restart-bot {bot.name}` brings back what its unit says"
    if process.nice > limits.nice and not (wanted.target and wanted.mode == "system"):
        restart += ", where its supervisor itself is no nicer than that"
    of_unit = limit_faults(wanted, bot, facts) if wanted.target else ()
    return mended(*((fault, restart) for fault in faults), *of_unit)


def _socket(wanted: Expected, bot: Bot, facts: Facts) -> Verdict:
    view = view_of(bot, facts)
    if isinstance(view, Verdict):
        return view
    if view["state"] == State.STARTING:
        return skipped("it may not be there yet: see `ready`")
    path = bot.bot.files.socket
    found = facts.files.get(path)
    if found is None:
        return judged(f"{path} is not there")
    mode = 0o660 if bot.bot.files.shared else 0o600
    faults = ["" if found.kind == "a socket" else f"{path} is {found.kind}"]
    if found.mode != mode:
        faults.append(f"{path} has mode {found.mode:04o}, not {mode:04o}")
    if wanted.group and found.group != wanted.group:
        faults.append(f"{path} belongs to the group {found.group}, not {wanted.group}")
    if found.user != bot.user:
        faults.append(f"{path} belongs to {found.user}, not {bot.user}")
    if not view["fingerprint"]:
        faults.append(view["reason"] or "nobody answers there")
    restart = f"`toolkit admin restart-bot {bot.name}` makes it anew"
    return mended(*((fault, restart) for fault in faults), *_of_folder(wanted, bot, facts))


def _of_folder(wanted: Expected, bot: Bot, facts: Facts) -> Iterator[tuple[str, str]]:
    """How the folder of a bot's socket differs, and what brings it back: who may write there lays another."""
    path = os.path.dirname(bot.bot.files.socket)
    found = facts.files.get(path)
    if not found:
        return
    if wanted.is_system:
        # supervisord's are the toolkit's own, systemd makes its own anew for each run.
        own = {folder.path: folder for folder in wanted.folders}.get(path)
        mend = of_folders.DEPLOY if own else f"`toolkit admin restart-bot {bot.name}` makes it anew"
        own = own or Own(path, 0o750, bot.user, wanted.group)
        yield from ((fault, mend) for fault in of_folders.faults(own, found))
    elif found.mode & (OTHERS | GROUP):
        words = f"its folder has mode {found.mode & 0o777:04o}: others may enter it"
        yield words, f"`chmod go= {shlex.quote(path)}`"
