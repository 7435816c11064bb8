"""Turn a fleet into plain files. Nothing here writes: the caller does."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """A file as it is to be: absolute path, text and mode."""

    path: Path
    content: str
    mode: int = 0o600
