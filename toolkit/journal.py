"""Read bots' logs from systemd's journal, by journalctl(1), which knows all forms of journal files."""

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from toolkit import shell
from toolkit.backends.systemd.status import RESULTS
from toolkit.clock import rfc3339, seconds
from toolkit.errors import OddFileError, RefusedError, ToolkitError, printable
from toolkit.logs import INDENT, Filter, Line
from toolkit.paths import FleetPaths
from toolkit.secrets import redact
from toolkit.view import BotView, is_untold, with_words

# A large journal is searched for long before it gives a line.
SILENT_S = 60.0
# The units that a line comes from, in system and in user mode, and those that a manager's line is about.
_FROM = ("_SYSTEMD_UNIT", "_SYSTEMD_USER_UNIT")
_ABOUT = ("UNIT", "USER_UNIT", "OBJECT_SYSTEMD_UNIT", "OBJECT_SYSTEMD_USER_UNIT")
_RESULT_FIELDS = ",".join(("UNIT_RESULT", *_ABOUT))
# "The unit has entered the failed state": SD_MESSAGE_UNIT_FAILURE_RESULT of sd-messages.h.
_FAILED = "MESSAGE_ID=d9b373ed55a64feb8242e02dbe79a49c"
# "Messages from a service have been suppressed": SD_MESSAGE_JOURNAL_DROPPED.
_DROPPED = "a596d6fe7bfa4994828e72309e95d61e"
_FIELDS = ",".join(("MESSAGE", "MESSAGE_ID", "PRIORITY", *_FROM, *_ABOUT))
# By the numbers of syslog(3).
_LEVELS = {
    **dict.fromkeys("012", "CRITICAL"),
    "3": "ERROR",
    "4": "WARNING",
    **dict.fromkeys("56", "INFO"),
    "7": "DEBUG",
}
# The runner writes `logger: message`, and each further line of a record with an indent.
_TEXT = re.compile(r"([\w.<>-]+): (.*)", re.DOTALL)
# So many errors of each bot are looked at, for the newest of each.
_ERRORS_EACH = 20
# What `bot-runner` prints on its way out, as a line of the journal is shown.
_ERROR = re.compile(r"\S+ [A-Z]+ +error: ")
_PERMIT = "run it as root, or join the group that may read journals: `usermod -aG systemd-journal USER`"
_COMMAND = ("journalctl", "--quiet", "--all", "--output=json")


class Journal:
    """The logs of some bots.

    Parameters:
        paths: the fleet's.
        bots: their names.
    """

    def __init__(self, paths: FleetPaths, bots: Iterable[str]) -> None:
        self.faults: list[OddFileError] = []
        self._bots = {paths.service(bot): bot for bot in bots}
        self._argv = [*_COMMAND, f"--output-fields={_FIELDS}"]
        if paths.is_system:
            self._argv += [f"--unit={service}" for service in self._bots]
        else:
            self._argv += _of_user(os.getuid(), list(self._bots))
        # Anybody may write entries with a manager's fields; the journal itself says whose process wrote them.
        manager, about = (0, "UNIT") if paths.is_system else (os.getuid(), "USER_UNIT")
        self._by_manager = [f"_UID={manager}", *(f"{about}={service}" for service in self._bots)]
        self._cursor = ""

    def last(self, wanted: Filter, count: int | None) -> list[Line]:
        """The newest records, in the order of time.

        Parameters:
            count: how many at most; None for all.

        Raises:
            ToolkitError: the journal cannot be read.
        """
        if not self._bots:
            return []
        found: list[Line] = []
        try:
            self._read(found, wanted, count)
        except ToolkitError as error:
            if "insufficient permissions" in error.message:
                raise RefusedError(error.message, _PERMIT) from None
            raise
        return found[::-1]

    def _read(self, found: list[Line], wanted: Filter, count: int | None) -> None:
        since = [f"--since=@{int(seconds(wanted.since))}"] if wanted.since else []
        with closing(shell.lines([*self._argv, "--reverse", *since], silent_s=SILENT_S)) as batches:
            for line in _joined_backwards(line for batch in batches for line in self._parsed(batch)):
                if wanted.admits(line):
                    found.append(line)
                if count is not None and len(found) >= count:
                    break

    def follow(self, wanted: Filter) -> Iterator[Line]:
        """Records written after those that ``last`` has seen, for ever; the caller ends it.

        Raises:
            ToolkitError: the journal cannot be read any more.
        """
        if not self._bots:
            return
        where = f"--after-cursor={self._cursor}" if self._cursor else "--lines=0"
        with closing(shell.lines([*self._argv, "--follow", where])) as batches:
            for batch in batches:
                backwards = _joined_backwards(iter(list(self._parsed(batch))[::-1]))
                yield from filter(wanted.admits, list(backwards)[::-1])
        raise ToolkitError("journalctl has ended", "see whether systemd-journald runs")

    def results(self) -> dict[str, str]:
        """How each bot's last failed run ended, in systemd's words such as ``watchdog`` or ``oom-kill``.

        Raises:
            ToolkitError: the journal cannot be read.
        """
        found: dict[str, str] = {}
        argv = [*_COMMAND, f"--output-fields={_RESULT_FIELDS}", "--boot", "--reverse", _FAILED]
        with closing(shell.lines([*argv, *self._by_manager], silent_s=SILENT_S)) as batches:
            for entry in (entry for batch in batches for entry in _entries(batch)):
                if bot := self._bot(entry, _ABOUT):
                    found.setdefault(bot, entry.get("UNIT_RESULT", ""))
                if len(found) == len(self._bots):
                    break
        return found

    def errors(self) -> dict[str, str]:
        """The newest error of each runner that ended before it had a log, without secrets.

        Raises:
            ToolkitError: the journal cannot be read.
        """
        found = self.last(Filter(pattern=_ERROR), _ERRORS_EACH * len(self._bots))
        return {line.bot: redact(printable(line.message)) for line in found}

    def _parsed(self, texts: Iterable[str]) -> Iterator[Line]:
        for entry in _entries(texts):
            # The first that is read backwards is the newest.
            self._cursor = self._cursor or entry.get("__CURSOR", "")
            line = self._line(entry)
            if line:
                yield line

    def _line(self, entry: dict[str, str]) -> Line | None:
        own = self._bot(entry, _FROM)
        bot = own or self._bot(entry, _ABOUT)
        if bot is None and entry.get("MESSAGE_ID") == _DROPPED:
            # It is about all that the user runs, and told of the one that wrote next.
            bot = next(iter(self._bots.values()))
        if bot is None:
            return None
        text, level = entry.get("MESSAGE", ""), _LEVELS.get(entry.get("PRIORITY", ""), "INFO")
        ts = rfc3339(int(entry["__REALTIME_TIMESTAMP"]) / 1e6)
        match = _TEXT.fullmatch(text) if own else None
        logger = "" if own else "systemd"
        if match:
            logger, text = match[1], match[2]
        return Line(ts, bot, level, logger, text)

    def _bot(self, entry: dict[str, str], names: Iterable[str]) -> str | None:
        """The bot whose unit one of these fields names."""
        return next((self._bots[entry[name]] for name in names if entry.get(name) in self._bots), None)


def _entries(texts: Iterable[str]) -> Iterator[dict[str, str]]:
    """The entries that journalctl prints, each field as text."""
    for text in texts:
        try:
            entry = json.loads(text)
        except ValueError:  # not of the journal
            continue
        yield {name: _field(value) for name, value in entry.items()}


def _field(value: Any) -> str:
    """A field in journalctl's JSON as text: what is not UTF-8, or has control characters, comes as its bytes.

    Any process may write an entry that has a field several times; that comes as a list, in no order.
    """
    if not isinstance(value, list):
        return value if isinstance(value, str) else ""
    if all(isinstance(byte, int) for byte in value):
        return bytes(value).decode(errors="replace")
    return "\n".join(map(_field, value))


def _of_user(uid: int, services: Sequence[str]) -> list[str]:
    """What finds the entries of a user's services, as `--user-unit` does, and those that journald dropped.

    Not `--user`: a user has no journal of its own where journals are volatile. journald has one limit for
    all that a user's manager runs, and tells of it by that manager's unit.
    """
    words = [f"_UID={uid}", *(f"_SYSTEMD_USER_UNIT={service}" for service in services)]
    words += ["+", f"_UID={uid}", *(f"USER_UNIT={service}" for service in services)]
    return [*words, "+", "_UID=0", f"MESSAGE_ID={_DROPPED}", f"OBJECT_SYSTEMD_UNIT=user@{uid}.service"]


def explained(paths: FleetPaths, views: Sequence[BotView]) -> list[BotView]:
    """The same views with what the journal knows of ends that no bot recorded, if it can be read.

    That are systemd's words for a run that ended without its own, and a runner's that could not begin one.
    """
    died = [view.name for view in views if _died_unrecorded(view.details.get("last_exit") or {})]
    try:
        results = Journal(paths, died).results() if died else {}
        untold = [view.name for view in views if is_untold(view)]
        errors = Journal(paths, untold).errors() if untold else {}
    except ToolkitError:
        return list(views)
    told = (_explained(view, RESULTS.get(results.get(view.name, ""), "")) for view in views)
    return [with_words(view, errors.get(view.name, "")) for view in told]


def _died_unrecorded(last_exit: dict[str, Any]) -> bool:
    return last_exit.get("kind") == "died" and last_exit.get("code") is None


def _explained(view: BotView, words: str) -> BotView:
    if not words:
        return view
    last_exit = {**view.details["last_exit"], "reason": words}
    return replace(view, details={**view.details, "last_exit": last_exit})


def _joined_backwards(lines: Iterator[Line]) -> Iterator[Line]:
    """Records from the newest on, each with its further lines, which come before it."""
    rests: dict[str, list[Line]] = {}
    for line in lines:
        rest = rests.setdefault(line.bot, [])
        if not line.logger and line.message.startswith(INDENT):
            rest.append(line)
        elif rest and line.logger != "systemd":
            yield replace(line, exception="\n".join(one.message[len(INDENT) :] for one in reversed(rest)))
            rest.clear()
        else:
            yield line
    # Their heads are older than what was asked for, or gone.
    yield from (line for rest in rests.values() for line in rest)
