"""Files that are not as an earlier deploy left them, and that a deploy puts back."""

import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit import ground
from toolkit.errors import ToolkitError
from toolkit.render import RenderedFile
from toolkit.render.supervisord_marks import with_enabled

_CLOSED = "closed to whoever asks"


@dataclass(frozen=True, slots=True)
class Edited:
    """A file that was deployed, and that is not in place now.

    Parameters:
        found: what is there, in words.
    """

    path: Path
    found: str

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
        found = file.path.stat()
    except FileNotFoundError:
        return "missing"
    except PermissionError:
        return _CLOSED
    except (OSError, UnicodeDecodeError):
        return "unreadable"
    if text != file.content:
        return "edited"
    if stat.S_IMODE(found.st_mode) != file.mode:
        return f"of mode {stat.S_IMODE(found.st_mode):04o}, not {file.mode:04o}"
    try:
        kept = not file.group or found.st_gid == ground.group_id(file.group)
    except ToolkitError:  # the first deploy makes the group
        kept = False
    return "" if kept else f"not of the group {file.group}"


def edited(wanted: Sequence[RenderedFile], deployed: Mapping[Path, RenderedFile]) -> list[Edited]:
    """The files that a deploy puts back: neither as they are to be, nor as they were deployed last.

    Parameters:
        wanted: the rendered files.
        deployed: those of the newest revision.
    """
    found = []
    for file in wanted:
        words = amiss(file) if file.path in deployed else ""
        if words and words != _CLOSED and not (words == "edited" and _as_deployed(deployed[file.path])):
            found.append(Edited(file.path, words))
    return found


def _as_deployed(file: RenderedFile) -> bool:
    """Whether a file's text was changed by nobody, whether or not its bot was enabled then."""
    text = file.path.read_text(encoding="utf-8", errors="replace")
    return with_enabled(text, enabled=True) == with_enabled(file.content, enabled=True)
