"""Turn a fleet into plain files. Nothing here writes: the caller does."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from toolkit.errors import ToolkitError


class UnfitError(ToolkitError):
    """A value that a supervisor cannot be told; the message says why and does not repeat it."""


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """A file as it is to be.

    Parameters:
        path: absolute.
        mode: its permissions.
        user: who owns it; "" leaves it to whoever writes it.
        group: the group it belongs to, likewise.
    """

    path: Path
    content: str
    mode: int = 0o600
    user: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """What of the machine decides how files are rendered.

    Parameters:
        python: the toolkit's own interpreter, for types that name none.
        file_limit: open files that a process can surely have (its hard RLIMIT_NOFILE).
        systemd: the version of systemd, whose keys are used; 0 where there is none.
        groups: the own group of each user that a type names.
    """

    python: str
    file_limit: int = 1024
    systemd: int = 0
    groups: Mapping[str, str] = field(default_factory=dict)
