"""Look at the updates that bots have set aside, and have them handled again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from toolkit.errors import OddFileError, RefusedError, ToolkitError
from toolkit.ipc.client import Failure, FailureKind, UnreachableError, ask, ask_many
from toolkit.ipc.protocol import RpcError
from toolkit.paths import FleetPaths
from toolkit.spool import MOST_RETRIED, letters_of, listing

# A retry waits for the disk, and the control socket gives a method 5 s.
ANSWER_S = 6.0
_OWNER = "run it as the user that owns the fleet, or in system mode as root"


@dataclass(frozen=True, slots=True)
class Kept:
    """What one bot has set aside.

    Parameters:
        count: how many; None where that cannot be told.
        letters: the first of them by id, without the updates themselves; `toolkit.spool` has the fields.
        unreadable: those of the first that cannot be read: ``update_id``, ``fault`` and ``hint``.
        fault: why nothing of this bot can be told, or None.
    """

    bot: str
    count: int | None = None
    letters: list[dict[str, Any]] = field(default_factory=list)
    unreadable: list[dict[str, Any]] = field(default_factory=list)
    fault: ToolkitError | None = None

    @property
    def more(self) -> int:
        """How many there are beyond the first."""
        return (self.count or 0) - len(self.letters) - len(self.unreadable)

    def as_json(self) -> dict[str, Any]:
        """The stable shape of ``--json``."""
        return {
            "name": self.bot,
            "count": self.count,
            "dead_letters": self.letters,
            "unreadable": self.unreadable,
            "fault": self.fault.message if self.fault else "",
        }


@dataclass(frozen=True, slots=True)
class Retried:
    """What a retry did.

    Parameters:
        running: whether the bot runs; if not, it handles them when it starts.
        retried: the ids of the updates.
        missing: the ids of which there was no dead letter.
        unreadable: of those asked for, the ones that cannot be read: ``update_id``, ``fault`` and ``hint``.
    """

    running: bool
    retried: list[int]
    missing: list[int]
    unreadable: list[dict[str, Any]] = field(default_factory=list)


class _Letter(msgspec.Struct):
    update_id: int
    reason: str
    at: str
    attempts: int


class _Unreadable(msgspec.Struct):
    update_id: int
    fault: str
    hint: str = ""


class _Told(msgspec.Struct):
    count: int
    dead_letters: list[_Letter]
    unreadable: list[_Unreadable] = []


def kept(paths: FleetPaths, bots: Iterable[str]) -> list[Kept]:
    """What bots have set aside, as they tell it themselves, or where one does not run, by its files.

    Raises:
        ToolkitError: of none of them it can be told; of the first of them the reason.
    """
    sockets = {bot: paths.control_socket(bot) for bot in bots}
    answers = ask_many(sockets, "dead_letters", timeout_s=ANSWER_S)
    found = [_kept(paths, bot, answer) for bot, answer in answers.items()]
    if found and found[0].fault and all(each.fault for each in found):
        raise found[0].fault
    return found


def _kept(paths: FleetPaths, bot: str, answer: dict[str, Any] | Failure) -> Kept:
    if isinstance(answer, Failure):
        if answer.kind is not FailureKind.NOT_RUNNING:
            return Kept(bot, fault=_unreachable(paths.control_socket(bot), answer))
        try:
            answer = listing(letters_of(paths.state(bot)))
        except PermissionError as error:
            return Kept(bot, fault=RefusedError(f"{error.filename}: {error.strerror}", _OWNER))
        except OddFileError as error:
            return Kept(bot, fault=error)
        except OSError as error:
            return Kept(bot, fault=ToolkitError(f"{error.filename}: {error.strerror}"))
    try:
        told = msgspec.convert(answer, _Told)
    except msgspec.ValidationError as error:
        return Kept(bot, fault=ToolkitError(f"{bot} answers nonsense: {error}", "restart it"))
    return Kept(bot, told.count, *map(msgspec.to_builtins, (told.dead_letters, told.unreadable)))


def retry(paths: FleetPaths, bot: str, numbers: Sequence[int] | None) -> Retried:
    """Have updates that were set aside handled again: now, or where the bot does not run, when it starts.

    Parameters:
        numbers: the updates' ids; None for all, up to 1,000.

    Raises:
        UnreachableError: the bot runs and does not answer.
        RefusedError: it takes no updates now, or may not be asked.
        OddFileError: it does not run, and a link is in the place of its folder of dead letters.
        OSError: its files cannot be changed.
    """
    unreadable: list[dict[str, Any]] = []
    if numbers is None:
        there = kept(paths, [bot])[0]
        numbers, unreadable = [int(letter["update_id"]) for letter in there.letters], there.unreadable
    retried: list[int] = []
    running = True
    for begin in range(0, len(numbers), MOST_RETRIED):
        some = numbers[begin : begin + MOST_RETRIED]
        done = _ask(bot, paths.control_socket(bot), some)
        running = done is not None
        retried += _on_files(paths.state(bot), some) if done is None else done
    missing = [each for each in numbers if each not in retried]
    if missing and not unreadable:
        unreadable = [each for each in kept(paths, [bot])[0].unreadable if each["update_id"] in missing]
    damaged = {each["update_id"] for each in unreadable}
    return Retried(running, retried, [each for each in missing if each not in damaged], unreadable)


def _ask(bot: str, socket: Path, numbers: Sequence[int]) -> list[int] | None:
    """Those that a bot that runs takes back; None where it does not run."""
    try:
        answer = ask(bot, socket, "retry_update", {"update_ids": list(numbers)}, timeout_s=ANSWER_S)
    except UnreachableError as error:
        if error.failure.kind is FailureKind.NOT_RUNNING:
            return None
        raise _unreachable(socket, error.failure) from None
    except RpcError as error:
        raise RefusedError(error.message) from None
    return list(answer["retried"])


def _on_files(state: Path, numbers: Sequence[int]) -> list[int]:
    letters = letters_of(state)
    return [number for number in numbers if letters.ask_back(number)]


def _unreachable(socket: Path, failure: Failure) -> UnreachableError | RefusedError:
    if failure.kind is FailureKind.FORBIDDEN:
        return RefusedError(f"{socket}: {failure.message}", _OWNER)
    return UnreachableError(socket, failure)
