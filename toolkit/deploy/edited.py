"""Files that are not as an earlier deploy left them, and that a deploy puts back."""

import os
import stat
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit import ground
from toolkit.backends import Backend
from toolkit.deploy.plan import InForce, Wanted
from toolkit.errors import ToolkitError
from toolkit.lifecycle import DOWN
from toolkit.render import RenderedFile
from toolkit.render.folders import Folder
from toolkit.render.supervisord_marks import with_enabled
from toolkit.revisions import Written

_CLOSED = "closed to whoever asks"
_MISSING = "missing"
_EDITED = "edited"
_UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Edited:
    """A file or folder that was deployed, and that is not in place now.

    Parameters:
        found: what is there, in words.
        kind: what it is to be.
    """

    path: Path
    found: str
    kind: str = "file"

    @property
    def message(self) -> str:
        """The file and what is there."""
        return f"{self.path}: {self.found}"

    def as_json(self) -> dict[str, str]:
        """The stable shape of ``--json``."""
        return {"path": str(self.path), "found": self.found}


def amiss(file: RenderedFile) -> str:
    """What keeps a file from being in place as it is to be, in words; "" where it is."""
    try:
        text = file.path.read_text(encoding="utf-8")
        found = file.path.lstat()
    except FileNotFoundError:
        return _MISSING
    except PermissionError:
        return _CLOSED
    except (OSError, UnicodeDecodeError):
        return _UNREADABLE
    if text != file.content:
        return _EDITED
    return _amiss_but_for_its_text(file, found)


def _amiss_but_for_its_text(file: RenderedFile, found: os.stat_result) -> str:
    if stat.S_ISLNK(found.st_mode):
        return "a symbolic link"
    try:
        user = ground.user_id(file.user) if file.user else None
        group = ground.group_id(file.group) if file.group else None
    except ToolkitError:  # the first deploy makes the group
        return f"not of the group {file.group}"
    return ground.otherwise(found, file.mode, user, group)


def edited(wanted: Sequence[RenderedFile], written: Written) -> list[Edited]:
    """The files that a deploy puts back, as others changed them or took them away.

    What a deploy that was broken off had written already, or not yet, is no edit.

    Parameters:
        wanted: the rendered files.
        written: what the toolkit itself has written there.
    """
    found = []
    for file in wanted:
        texts = written.texts.get(file.path, ())
        words = amiss(file) if texts else ""
        gone = words == _MISSING and file.path in written.whole
        if gone or (
            words not in ("", _CLOSED, _MISSING) and not (words == _EDITED and _is_ours(file, texts))
        ):
            found.append(Edited(file.path, words))
    return found


def moved(
    folders: Iterable[Folder], found: Mapping[Path, str], written: Written, tmpfiles: Path
) -> list[Edited]:
    """The folders, and what lies in them of the fleet's records, whose modes or owners others changed.

    Parameters:
        folders: as they are to be; those that an earlier deploy made otherwise were not changed by others.
        found: which are otherwise, in words.
        tmpfiles: the rendered file that has them.
    """
    texts = written.texts.get(tmpfiles, ())
    made = {line for text in texts for line in text.splitlines()}
    unmade = {folder.path for folder in folders if folder.line not in made}
    known = {folder.path for folder in folders}
    return [
        Edited(path, words, "folder" if path in known else "file")
        for path, words in found.items()
        if path not in unmade
    ]


def kept_otherwise(
    backend: Backend, wanted: Mapping[str, Wanted], have: Mapping[str, InForce], but: Collection[Path]
) -> list[Edited]:
    """What has bots come up with the supervisor that an operator stopped, or has not those that run.

    Those that are down are another matter: that may be how the fleet was taken down.

    Parameters:
        but: the files that are put back anyway.
    """
    bots = {
        bot: not want.held
        for bot, want in wanted.items()
        if (found := have.get(bot)) and (want.held or found.state not in DOWN)
    }
    return [Edited(path, words) for path, words in backend.kept_otherwise(bots).items() if path not in but]


def in_text(found: Iterable[Edited]) -> set[Path]:
    """Those in which something else stands, which a supervisor may have read."""
    return {one.path for one in found if one.found in (_EDITED, _UNREADABLE)}


def _is_ours(file: RenderedFile, texts: Iterable[str]) -> bool:
    """Whether a file has a text of the toolkit's, whether or not its bot was enabled then."""
    found = file.path.read_text(encoding="utf-8", errors="replace")
    return with_enabled(found, enabled=True) in {with_enabled(text, enabled=True) for text in texts}
