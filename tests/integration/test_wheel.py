"""The built wheel, installed into an empty environment: it has all it needs, and bots outlive the toolkit."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_architecture import RUNNER_MAY_IMPORT

ROOT = Path(__file__).parents[2]
OWN = Path(sys.executable).parent


def run(*command, **options):
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False, **options)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The ``bin`` of an environment that has the wheel and, by a path file, this one's other packages."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    ignored = shutil.ignore_patterns(".venv", ".git", "demo", "__pycache__", ".*_cache", ".hypothesis")
    shutil.copytree(ROOT, source, ignore=ignored)
    pip = [OWN / "python", "-m", "pip", "--disable-pip-version-check"]
    run(*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, source)
    run(OWN / "python", "-m", "venv", "--without-pip", folder / "env")
    wheel = next(folder.glob("bot_toolkit-*.whl"))
    run(
        *pip, "--python", folder / "env" / "bin" / "python", "install", "-q", "--no-deps", "--no-index", wheel
    )
    site = next((folder / "env" / "lib").glob("python3*/site-packages"))
    others = folder / "others"
    others.mkdir()
    for package in next((OWN.parent / "lib").glob("python3*/site-packages")).iterdir():
        if "bot_toolkit" not in package.name and package.suffix != ".pth":
            (others / package.name).symlink_to(package)
    (site / "others.pth").write_text(str(others))
    return folder / "env" / "bin"


def test_the_wheel_holds_its_templates_and_both_commands(installed):
    assert (installed / "toolkit").exists()
    assert (installed / "bot-runner").exists()
    where = "import toolkit.templates as t; print(t.template_folder())"
    folder = Path(run(installed / "python", "-P", "-c", where, cwd="/").strip())
    assert installed.parent in folder.parents
    assert (folder / "supervisord" / "program.conf.j2").exists()
    assert (folder / "init" / "fleet.yaml.j2").exists()


def test_bots_run_and_restart_with_the_toolkit_and_its_database_deleted(installed, short_dir, eventually):
    (short_dir / "idle.py").write_text(
        "import asyncio\n\n\nasync def main(bot):\n    await asyncio.Event().wait()\n"
    )
    text = "version: 1\nfleet: f\nroot: state\ntypes: {t: {app: {async: 'idle:main'}}}\n"
    (short_dir / "fleet.yaml").write_text(text + "bots: {a: {type: t}, b: {type: t}}\n")
    home = short_dir / "state" / "f"
    run(installed / "toolkit", "-f", short_dir / "fleet.yaml", "up", cwd="/")
    control = [OWN / "python", "-m", "supervisor.supervisorctl", "-c", home / "supervisord.conf"]

    def pid(bot):
        return int(run(*control, "pid", f"f-{bot}"))

    def status():
        return run(*control, "status")

    try:
        package = next((installed.parent / "lib").glob("python3*/site-packages")) / "toolkit"
        for entry in package.iterdir():
            if entry.stem not in RUNNER_MAY_IMPORT | {"__init__"}:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        for path in [installed / "toolkit", *home.glob("fleet.db*"), short_dir / "fleet.yaml"]:
            path.unlink()
        before = pid("a"), pid("b")
        os.kill(before[0], signal.SIGKILL)
        eventually(lambda: status().count("RUNNING") == 2 and pid("a") not in (0, before[0]))
        run(*control, "restart", "f-b")
        assert pid("b") not in (0, before[1])
        run(*control, "stop", "all")
    finally:
        subprocess.run([*map(str, control), "shutdown"], capture_output=True, check=False, timeout=60)
