"""Updates that were set aside: a file each, so that they can be looked at with anything."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from toolkit.files import remove, write_atomically


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """An update that is not handled any more.

    Parameters:
        update_id: Telegram's.
        reason: why, in words.
        at: when it was set aside, RFC 3339 in UTC.
        attempts: how often its handler was begun.
        update: the update as the Bot API gave it.
    """

    update_id: int
    reason: str
    at: str
    attempts: int
    update: msgspec.Raw


class DeadLetters:
    """The updates of one bot that were set aside.

    Parameters:
        folder: where they lie; it is made when the first one comes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def ids(self) -> list[int]:
        """The ids of all, in order."""
        try:
            names = os.listdir(self._folder)
        except OSError:
            return []
        found = []
        for name in names:
            with suppress(ValueError):
                found.append(int(name.removesuffix(".json")))
        return sorted(found)

    def get(self, update_id: int) -> DeadLetter | None:
        """One of them; None where there is none of that id, or it cannot be read."""
        try:
            return msgspec.json.decode(self._path(update_id).read_bytes(), type=DeadLetter)
        except (OSError, msgspec.DecodeError):
            return None

    def put(self, letter: DeadLetter) -> None:
        """Set one aside, durably.

        Raises:
            OSError: it cannot be stored.
        """
        self._folder.mkdir(mode=0o700, exist_ok=True)
        write_atomically(self._path(letter.update_id), msgspec.json.encode(letter))

    def remove(self, update_id: int) -> None:
        """Take one away, durably."""
        remove(self._path(update_id))

    def _path(self, update_id: int) -> Path:
        return self._folder / f"{update_id}.json"


def described(letter: DeadLetter) -> dict[str, Any]:
    """A dead letter as JSON for people and programs."""
    shape = {name: getattr(letter, name) for name in letter.__struct_fields__}
    return shape | {"update": msgspec.json.decode(letter.update)}
