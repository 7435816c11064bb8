"""Updates that were set aside: a file each, so that they can be looked at with anything."""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import msgspec

from toolkit.errors import OddFileError
from toolkit.files import remove, sync_folder, write_atomically
from toolkit.regular_files import open_folder, read_regular
from toolkit.spool import records

# A retry waits for the disk: more at once would not be done within the time that a call has.
MOST_RETRIED = 20
LONGEST_LIST = 1000
DEAD = "dead"
# Bytes: the longest update that the spool takes, and what is said of it.
_LONGEST = records.LONGEST + 2**16
_KEPT, _ASKED_BACK = ".json", ".retry"


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """An update that is not handled any more.

    Parameters:
        update_id: Telegram's.
        reason: why, in words.
        at: when it was set aside, RFC 3339 in UTC.
        attempts: how often its handler was begun.
        update: the update as the Bot API gave it.
    """

    update_id: Annotated[int, msgspec.Meta(ge=0, le=records.LARGEST_ID)]
    reason: str
    at: str
    attempts: int
    update: msgspec.Raw


class DamagedLetterError(OddFileError):
    """A file that has a dead letter's name and does not hold one whole.

    Parameters:
        path: the file.
        error: why it cannot be understood.
    """

    def __init__(self, path: Path, error: msgspec.DecodeError | str) -> None:
        super().__init__(path, f"is no dead letter: {error}")
        named = shlex.quote(str(path))
        self.hint = f"it cannot be handled again: `less {named}` shows what it holds, `rm {named}` removes it"


class DeadLetters:
    """The updates of one bot that were set aside.

    Parameters:
        folder: where they lie; it is made when the first one comes.
        trusted: a folder above that one for whoever looks beside the bot, which may write below it: a link
            there is not followed. None for the bot itself.
    """

    def __init__(self, folder: Path, trusted: Path | None = None) -> None:
        self._folder, self._trusted = folder, trusted or folder

    def ids(self) -> list[int]:
        """The ids of all, in order.

        Raises:
            OddFileError: a link is in the place of the folder.
            OSError: the folder is there and cannot be read.
        """
        return self._named(_KEPT)

    def asked_back(self) -> list[int]:
        """The ids of those that were asked back while the bot did not run.

        Raises:
            OSError: as for ``ids``.
        """
        return self._named(_ASKED_BACK)

    def ask_back(self, update_id: int) -> bool:
        """Have one handled again by the bot's next run: all that may be done beside a bot, whoever does it.

        Returns:
            Whether there is one of that id that can be read.

        Raises:
            OddFileError: a link is in the place of the folder.
            OSError: it cannot be written down.
        """
        path, asked_back = self._path(update_id), self._path(update_id, _ASKED_BACK)
        try:
            with self._opened() as folder:
                try:
                    _read(path, folder)
                except OddFileError:
                    return False
                os.rename(path.name, asked_back.name, src_dir_fd=folder, dst_dir_fd=folder)
                os.fsync(folder)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def get(self, update_id: int) -> DeadLetter | None:
        """One of them, asked back or not; None where there is none of that id, or it cannot be read."""
        for path in (self._path(update_id), self._path(update_id, _ASKED_BACK)):
            with suppress(OSError, OddFileError):
                return _read(path)
        return None

    def read(self, update_id: int) -> DeadLetter:
        """One that was not asked back.

        Raises:
            OddFileError: what has its name is none.
            OSError: it cannot be read.
        """
        with self._opened() as folder:
            return _read(self._path(update_id), folder)

    def put(self, letter: DeadLetter) -> None:
        """Set one aside, durably.

        Raises:
            OSError: it cannot be stored.
        """
        self._folder.mkdir(mode=0o700, exist_ok=True)
        write_atomically(self._path(letter.update_id), msgspec.json.encode(letter))
        sync_folder(self._folder.parent)

    def remove(self, update_id: int) -> None:
        """Take one away, durably."""
        for path in (self._path(update_id), self._path(update_id, _ASKED_BACK)):
            remove(path)

    def _named(self, suffix: str) -> list[int]:
        try:
            with self._opened() as folder:
                names = os.listdir(folder)
        except (FileNotFoundError, NotADirectoryError):
            return []
        numbers = (name.removesuffix(suffix) for name in names if name.endswith(suffix))
        return sorted(int(number) for number in numbers if number.isdecimal())

    @contextmanager
    def _opened(self) -> Iterator[int]:
        folder = open_folder(self._folder, self._trusted)
        try:
            yield folder
        finally:
            os.close(folder)

    def _path(self, update_id: int, suffix: str = _KEPT) -> Path:
        return self._folder / f"{update_id}{suffix}"


def _read(path: Path, folder: int | None = None) -> DeadLetter:
    try:
        letter = msgspec.json.decode(read_regular(path, _LONGEST, folder=folder), type=DeadLetter)
    except msgspec.DecodeError as error:
        raise DamagedLetterError(path, error) from None
    if path.stem != str(letter.update_id):
        raise DamagedLetterError(path, f"it holds that of update {letter.update_id}")
    return letter


def _summary(letter: DeadLetter) -> dict[str, Any]:
    """What is told of a dead letter, without the update, which may be long and is somebody's own."""
    return {name: getattr(letter, name) for name in letter.__struct_fields__ if name != "update"}


def listing(letters: DeadLetters) -> dict[str, Any]:
    """What is told of all that were set aside.

    Returns:
        ``count``: how many; ``dead_letters``: the first ones by id; ``unreadable``: those of the first that
        cannot be read, each with its ``update_id``, the ``fault`` and a ``hint``.

    Raises:
        OddFileError: a link is in the place of the folder.
        OSError: the folder is there and cannot be read.
    """
    numbers = letters.ids()
    found, unreadable, gone = [], [], 0
    for number in numbers[:LONGEST_LIST]:
        try:
            found.append(_summary(letters.read(number)))
        except FileNotFoundError:  # it was handled again while the others were read
            gone += 1
        except OddFileError as error:
            unreadable.append({"update_id": number, "fault": error.message, "hint": error.hint})
        except OSError as error:
            fault = f"{error.filename}: {error.strerror}"
            unreadable.append({"update_id": number, "fault": fault, "hint": ""})
    return {"count": len(numbers) - gone, "dead_letters": found, "unreadable": unreadable}


def folder_in(state: Path) -> Path:
    """The folder of the spool of a bot with this state folder."""
    return state / "spool"


def letters_of(state: Path) -> DeadLetters:
    """The dead letters of a bot with this state folder, whether it runs or not."""
    return DeadLetters(folder_in(state) / DEAD, state)
