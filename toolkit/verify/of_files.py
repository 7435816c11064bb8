"""The checks of one bot's files: its unit, its bot file, its token, its log."""

import os
import re
import shlex
from collections.abc import Iterator

from toolkit import botfile
from toolkit.deploy.plan import differences
from toolkit.errors import ToolkitError
from toolkit.render.supervisord_marks import with_enabled
from toolkit.verify.check import Check, Verdict, judged, mended, skipped
from toolkit.verify.expected import Bot, Expected, File
from toolkit.verify.facts import Facts
from toolkit.verify.units import others, without_others

# A file's mode without what its owner may do: whoever else could use it.
OTHERS, GROUP = 0o007, 0o070
# Of a setting: what else a line begins with, others may have written to have it typed.
_KEY = re.compile(r"[A-Za-z_.]+|\[[A-Za-z:-]+\]")
# Rotation comes after the line that was one too many.
_LOG_SLACK = 1_000_000


def checks(wanted: Expected, bot: Bot) -> Iterator[Check]:
    """All that are made of a bot's files."""
    deploy = "`toolkit deploy` puts back what was deployed"
    other = "the next start would run something else than was deployed"
    yield Check("unit-file", bot.name, other, deploy, lambda facts: _unit_file(bot, facts))
    yield Check("bot-file", bot.name, other, deploy, lambda facts: _bot_file(bot, facts))
    as_bot = "whoever reads a token can act as the bot"
    out = "take it out of the file named, and have @BotFather give another"
    yield Check("no-token", bot.name, as_bot, out, lambda facts: _no_token(wanted, bot, facts))
    if bot.secret:
        alone = "see that its owner alone can read it"
        yield Check("secret", bot.name, as_bot, alone, lambda facts: _secret(wanted, bot, facts))
    if bot.bot.files.log:
        bound = "set `log.max_bytes` and `log.keep` of its type, and see what it writes"
        yield Check(
            "log", bot.name, "a log without a bound fills the disk", bound, lambda facts: _log(bot, facts)
        )


def file_faults(wanted: File, facts: Facts) -> list[str]:
    """How a rendered file differs, but for its text."""
    found = facts.files.get(wanted.path)
    if found is None:
        return [f"{wanted.path} is not there"]
    if found.kind == "a symbolic link":
        return [f"{wanted.path} is a symbolic link"]
    faults = []
    if found.mode != wanted.mode:
        faults.append(f"{wanted.path} has mode {found.mode:04o}, not {wanted.mode:04o}")
    if wanted.user and (found.user, found.group) != (wanted.user, wanted.group):
        owners = f"{found.user}:{found.group}, not to {wanted.user}:{wanted.group}"
        faults.append(f"{wanted.path} belongs to {owners}")
    return faults


def _unit_file(bot: Bot, facts: Facts) -> Verdict:
    if facts.units.get(bot.service, {}).get("LoadState") == "masked":
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
            key = line.partition("=")[0].strip()
            return f"line {number}" + (f", `{key}`" if _KEY.fullmatch(key) else "")
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


def _secret(wanted: Expected, bot: Bot, facts: Facts) -> Verdict:
    found, path = facts.files.get(bot.secret), shlex.quote(bot.secret)
    # All operators may write what user the records name; what is told here is typed by root.
    user = bot.runs_as
    # The machine's systemd reads it for the bot.
    owner = "root" if wanted.target and wanted.is_system else user
    give = f"`install -D -m 600 -o {shlex.quote(owner)} /dev/stdin {path}` takes the token as it is typed"
    give += f"; then `toolkit admin restart-bot {bot.name}`"
    if found is None:
        if _is_hidden(bot.secret, facts):
            return skipped(f"{facts.host.get('user', '')} may not look into its folder: check as root")
        return judged(f"{bot.secret} is not there, or in a folder that may not be entered", hint=give)
    if found.kind != "a file":
        return judged(f"{bot.secret} is {found.kind}", hint=f"move it away; {give}")
    if not facts.secrets.get(bot.secret, True):
        return judged(f"{bot.secret} holds no bot token", hint=give)
    faults = []
    if found.mode & OTHERS or (found.mode & GROUP and found.group not in ("root", user)):
        faults.append(f"{bot.secret} has mode {found.mode:04o}: others may use it")
    if found.user not in ("root", user):
        faults.append(f"{bot.secret} belongs to {found.user}")
    own = "" if found.user == owner else f"`chown {shlex.quote(owner)} {path}`, and "
    return judged(*faults, hint=f"{own}`chmod 600 {path}`")


def _is_hidden(path: str, facts: Facts) -> bool:
    """Whether who looks may not enter a file's folder."""
    who, folder = facts.host.get("user", ""), facts.files.get(os.path.dirname(path))
    return who != "root" and (folder is None or (folder.user != who and not folder.mode & 0o011))


def _log(bot: Bot, facts: Facts) -> Verdict:
    log = bot.bot.log
    if log.max_bytes == 0:
        return judged("it is never rotated")
    size, bound = facts.logs.get(bot.bot.files.log, 0), log.max_bytes * (log.keep + 1) + _LOG_SLACK
    found = facts.files.get(bot.bot.files.log)
    kept = "set `log.max_bytes` and `log.keep` of its type, and see what it writes"
    return mended(
        (f"its files have {size} bytes, and {bound} are the bound" if size > bound else "", kept),
        (
            f"everyone may read it: mode {found.mode:04o}" if found and found.mode & OTHERS else "",
            f"`chmod o= {shlex.quote(bot.bot.files.log)}`",
        ),
    )


def _no_token(wanted: Expected, bot: Bot, facts: Facts) -> Verdict:
    another = "have @BotFather give another"
    put_back = f"`toolkit deploy` takes it out; {another}"
    out = {bot.unit.path: put_back, bot.bot_file.path: put_back}
    out |= {bot.bot.files.log: f"take it out of there; {another}"}
    out |= {path: f"{without_others(wanted, bot, facts)}; {another}" for path in others(bot, facts)}
    return mended(
        *((f"a token stands in {path}", hint) for path, hint in out.items() if path in facts.revealing)
    )
