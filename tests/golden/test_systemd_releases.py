"""What other releases' systemd has to say of the units that are rendered for it."""

import subprocess
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from tests.hosts import image, tier
from toolkit.paths import fleet_paths
from toolkit.place import SYSTEM_SYSTEMD
from toolkit.render import Machine
from toolkit.render.fleet import render_fleet

UBUNTU = "http://archive.ubuntu.com/ubuntu"
# The oldest that will do, and the newest that can be had as a whole release. 252 is that of the test hosts.
RELEASES = {
    "jammy": (249, f"deb [trusted=yes] {UBUNTU} jammy main"),
    "trixie": (257, "http://deb.debian.org/debian"),
}
RUNNER = "opt/toolkit/bin/bot-runner"
PYTHON = f"/{Path(RUNNER).with_name('python')}"
# In a mount namespace of its own, so that no mount outlives it.
VERIFY = """
cd "$1"; tree=$2; shift 2
mount -t overlay -o "lowerdir=$tree,upperdir=upper,workdir=work" overlay root
mount -t proc proc root/proc
chroot root systemd-analyze verify --man=no "$@"
"""


@pytest.fixture(params=RELEASES)
def release(request):
    """The tree of a release, and its version of systemd."""
    tier.require(tier.CONTAINER)
    version, source = RELEASES[request.param]
    if UBUNTU in source:
        try:
            urllib.request.urlopen(f"{UBUNTU}/dists/{request.param}/Release", timeout=20).close()
        except OSError as error:
            pytest.skip(f"{UBUNTU} cannot be reached: {error}")
    return image.release(request.param, source), version


def verified(tree: Path, files: dict[Path, str], folder: Path) -> str:
    """What systemd-analyze says where these files lie in a tree, which itself stays as it is."""
    for path, content in files.items():
        place = folder / "upper" / path.relative_to("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content, encoding="utf-8")
    runner = folder / "upper" / RUNNER
    runner.parent.mkdir(parents=True)
    runner.touch(0o755)
    for name in ("work", "root", "upper/proc", "upper/run"):
        (folder / name).mkdir()
    units = [str(path) for path in files if path.parent.name == "system"]
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-euc", VERIFY, "sh", folder, tree, *units],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout + done.stderr + (f"exit code {done.returncode}" if done.returncode else "")


@pytest.mark.parametrize("needs", [frozenset(), frozenset({"home", "devices", "jit", "subprocess"})])
def test_systemd_of_other_releases_has_no_complaint(systemd_fleet, release, needs, tmp_path):
    tree, version = release
    types = {key: replace(type_, python=PYTHON, needs=needs) for key, type_ in systemd_fleet.types.items()}
    fleet = replace(systemd_fleet, types=types)
    paths = fleet_paths("demo", place=SYSTEM_SYSTEMD)
    files = {file.path: file.content for file in render_fleet(fleet, paths, Machine(PYTHON, systemd=version))}
    assert verified(tree, files, tmp_path) == ""
