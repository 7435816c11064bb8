"""Every exception of the toolkit: what happened, what to do, and the exit code that says so."""

import shlex
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum


class ExitCode(IntEnum):
    """What the exit code of every command means."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    UNHEALTHY = 3
    REFUSED = 4


class ToolkitError(Exception):
    """An error that is told to the user without a traceback.

    Parameters:
        message: what happened, and to which bot or file and line.
        hint: what to do about it.
    """

    exit_code = ExitCode.FAILED

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(ToolkitError):
    """The command line, or what it names, is wrong."""

    exit_code = ExitCode.USAGE


class NotDeployedError(UsageError):
    """What is asked for is in the fleet's files, and was not put in force.

    Parameters:
        what: the bots, or the fleet.
    """

    def __init__(self, what: str) -> None:
        super().__init__(f"not deployed yet: {what}", "run `toolkit deploy`, or `toolkit up`")


class MissingExtraError(UsageError):
    """The toolkit was installed without what a command needs.

    Parameters:
        who: what needs it.
        package: the package that lacks.
        extra: the extra of bot-toolkit that has it.
    """

    def __init__(self, who: str, package: str | None, extra: str) -> None:
        # The interpreter's own pip: the toolkit may be linked to from elsewhere.
        install = f"{shlex.quote(sys.executable)} -m pip install 'bot-toolkit[{extra}]'"
        super().__init__(f"{who} needs {package}, of the extra `{extra}`", f"install it: `{install}`")


# The hint for whoever may not change the fleet.
AS_OWNER = "run it as the owner of the fleet, or in system mode as root or a member of its group"


class RefusedError(ToolkitError):
    """Nothing was done: locked, in conflict, or not permitted."""

    exit_code = ExitCode.REFUSED


class OddFileError(RefusedError):
    """Where a file of the toolkit is to be lies something else: a link, a pipe, a folder, or far too much.

    Parameters:
        path: where.
        fault: what it is, after "it is" or "it has".
    """

    def __init__(self, path: object, fault: str) -> None:
        super().__init__(f"{path} {fault}", "remove it, and see who made it")


class NoRoomError(ToolkitError):
    """A disk, or a user's share of it, is full.

    Parameters:
        path: what could not be written.
        fault: what is missing.
    """

    def __init__(self, path: object, fault: str = "no room is left on its disk") -> None:
        hint = "`df -h` and `df -hi` tell how full each disk is: free some, then run it again"
        super().__init__(f"{path}: {fault}", hint)


class SecretError(ToolkitError):
    """A token reference cannot be resolved. The message never holds the token."""


class ProtocolError(ToolkitError):
    """A peer sent what the control protocol does not allow."""


class BackendError(ToolkitError):
    """The supervisor cannot be reached or did not do what it was asked."""


def printable(text: str) -> str:
    """The text with what a terminal might obey, or cannot show, written as escapes."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def counted(count: int, noun: str) -> str:
    """How many of a thing there are, such as ``1 bot`` or ``3 bots``."""
    return f"{count} {noun}" + ("" if count == 1 else "s")


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint with the known name that looks most like the word; "" where none does."""
    from difflib import get_close_matches  # 2 ms that only an error costs

    matches = get_close_matches(word, list(known), n=1)
    return f"did you mean `{matches[0]}`?" if matches else ""


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault in a fleet's files.

    Parameters:
        file: the file, as the user named it or relative to the fleet file.
        line: counted from 1; 0 where the whole file is meant.
        path: the keys down to the value, joined by dots, such as ``bots.alice.token``.
        message: what is wrong and what was expected; never a value that may be a secret.
        hint: what to do, or the nearest known name.
    """

    file: str
    line: int
    path: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        where = f"{place}: {self.path}: " if self.path else f"{place}: "
        return f"{where}{self.message}" + (f" ({self.hint})" if self.hint else "")


class InvalidFleetError(ToolkitError):
    """The fleet's files have faults; all of them are in ``problems``, fit for a terminal."""

    exit_code = ExitCode.USAGE

    def __init__(self, problems: list[Problem]) -> None:
        problems = [
            replace(one, message=printable(one.message), hint=printable(one.hint)) for one in problems
        ]
        lines = "".join(f"\n  {problem}" for problem in problems)
        hint = f"mend {'it' if len(problems) == 1 else 'them'} and run `toolkit validate`"
        super().__init__(f"the fleet has {counted(len(problems), 'problem')}{lines}", hint)
        self.problems = problems
