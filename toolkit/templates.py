"""Where the templates lie: inside an installed wheel, or at the top of the repository."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment


def template_folder() -> Path:
    """The folder that has ``supervisord/`` and ``init/``."""
    package = Path(__file__).parent
    installed = package / "templates"
    return installed if installed.is_dir() else package.parent / "templates"


def environment(family: str, *, trim_blocks: bool = False) -> "Environment":
    """What templates of a family, such as ``systemd``, are rendered in, as yet without their filters."""
    # It takes 40 ms to import, which only rendering should pay.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(template_folder() / family),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=trim_blocks,
        autoescape=False,  # noqa: S701  what is written is no HTML
    )
