"""Where the templates lie: inside an installed wheel, or at the top of the repository."""

from pathlib import Path


def template_folder() -> Path:
    """The folder that has ``supervisord/`` and ``init/``."""
    package = Path(__file__).parent
    installed = package / "templates"
    return installed if installed.is_dir() else package.parent / "templates"
