import re
from pathlib import Path

import toolkit

ROOT = Path(__file__).parents[2]


def test_the_changelogs_top_version_is_the_packages():
    found = re.search(r"^## \[(\d[^\]]*)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert found[1] == toolkit.__version__


def test_pyproject_has_the_packages_version():
    text = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{toolkit.__version__}"' in text
