"""Look at the updates that bots have set aside, and have them handled again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.errors import RefusedError
from toolkit.ipc.client import Failure, FailureKind, UnreachableError, ask, ask_many
from toolkit.ipc.protocol import RpcError
from toolkit.paths import FleetPaths
from toolkit.spool import LONGEST_LIST, MOST_RETRIED, letters_of, summaries

# A retry waits for the disk, and the control socket gives a method 5 s.
ANSWER_S = 6.0


@dataclass(frozen=True, slots=True)
class Kept:
    """What one bot has set aside.

    Parameters:
        count: how many.
        letters: the first of them by id, without the updates themselves; `toolkit.spool` has the fields.
    """

    bot: str
    count: int
    letters: list[dict[str, Any]]

    def as_json(self) -> dict[str, Any]:
        """The stable shape of ``--json``."""
        return {"name": self.bot, "count": self.count, "dead_letters": self.letters}


@dataclass(frozen=True, slots=True)
class Retried:
    """What a retry did.

    Parameters:
        running: whether the bot runs; if not, it handles them when it starts.
        retried: the ids of the updates.
        missing: the ids of which there was no dead letter.
    """

    running: bool
    retried: list[int]
    missing: list[int]


def kept(paths: FleetPaths, bots: Iterable[str]) -> list[Kept]:
    """What bots have set aside, as they tell it themselves, or where one does not run, by its files.

    Raises:
        UnreachableError: a bot runs and does not answer.
        RefusedError: it may not be asked.
        OSError: its files cannot be read.
    """
    sockets = {bot: paths.control_socket(bot) for bot in bots}
    found = []
    for bot, answer in ask_many(sockets, "dead_letters", timeout_s=ANSWER_S).items():
        if not isinstance(answer, Failure):
            found.append(Kept(bot, int(answer["count"]), list(answer["dead_letters"])))
        elif answer.kind is FailureKind.NOT_RUNNING:
            letters = letters_of(paths.state(bot))
            found.append(Kept(bot, len(letters.ids()), summaries(letters)))
        else:
            raise _unreachable(sockets[bot], answer)
    return found


def retry(paths: FleetPaths, bot: str, numbers: Sequence[int] | None) -> Retried:
    """Have updates that were set aside handled again: now, or where the bot does not run, when it starts.

    Parameters:
        numbers: the updates' ids; None for all, up to 1,000.

    Raises:
        UnreachableError: the bot runs and does not answer.
        RefusedError: it takes no updates now, or may not be asked.
        OSError: its files cannot be changed.
    """
    if numbers is None:
        numbers = [letter["update_id"] for letter in kept(paths, [bot])[0].letters[:LONGEST_LIST]]
    retried: list[int] = []
    running = True
    for begin in range(0, len(numbers), MOST_RETRIED):
        some = numbers[begin : begin + MOST_RETRIED]
        done = _ask(paths.control_socket(bot), some)
        running = done is not None
        retried += _on_files(paths.state(bot), some) if done is None else done
    return Retried(running, retried, [number for number in numbers if number not in retried])


def _ask(socket: Path, numbers: Sequence[int]) -> list[int] | None:
    """Those that a bot that runs takes back; None where it does not run."""
    try:
        answer = ask(socket, "retry_update", {"update_ids": list(numbers)}, timeout_s=ANSWER_S)
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
        return RefusedError(f"{socket}: {failure.message}", "run it as the user that owns the fleet")
    return UnreachableError(socket, failure)
