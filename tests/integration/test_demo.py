"""`make demo` and `make demo-stop`, as the README has them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def processes_of(folder: Path) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes()
            state = (entry / "stat").read_text().rpartition(") ")[2][0]
        except OSError:
            continue
        if os.fsencode(folder) in words and state != "Z":
            found.append(words.decode())
    return found


@pytest.fixture
def clone(short_dir):
    """The repository's own files, in a folder of their own, with this environment instead of a new one."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.split():
        if (ROOT / name).exists():
            target = short_dir / "c" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    return short_dir / "c"


def make(clone, *words):
    environment = Path(sys.executable).parents[1]
    command = ["make", "-s", f"VENV={environment}", "-o", f"{environment}/.ready", *words]
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_demo_shows_three_bots_at_work_and_ends_without_a_trace(clone):
    try:
        shown = make(clone, "demo")
        assert "alice: Hello, you said: Hello from" in shown
        assert "carol: Hello, that was message 1" in shown
        assert shown.count(" RUNNING ") == 3
        assert "What to try next" in shown
        assert "next: " not in shown
        command = [
            Path(sys.executable).with_name("toolkit"),
            "-f",
            "demo/fleet.yaml",
            "bot",
            "list",
            "--json",
        ]
        listed = json.loads(
            subprocess.run(command, cwd=clone, capture_output=True, text=True, check=True).stdout
        )
        assert listed["version"] == 1
        assert [bot["type"] for bot in listed["bots"]] == ["echo", "echo", "counter"]
        again = make(clone, "demo")
        assert "nothing to do" in again
        assert "carol: Hello, that was message 2" in again
    finally:
        make(clone, "demo-stop")
    assert processes_of(clone) == []
    ignored = (clone / ".gitignore").read_text().split()
    assert "/demo/" in ignored


def test_the_demo_with_a_token_file_talks_to_telegram_itself(clone):
    tokens = clone / "tokens.txt"
    tokens.write_text("31337:" + "A" * 35 + "\n")
    tokens.chmod(0o600)
    try:
        command = [
            "make",
            "-s",
            f"VENV={Path(sys.executable).parents[1]}",
            "-o",
            f"{Path(sys.executable).parents[1]}/.ready",
        ]
        done = subprocess.run(
            [*command, "demo", f"TOKEN_FILE={tokens}"],
            cwd=clone,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert "alice" in done.stdout + done.stderr
        assert "endpoint:" not in (clone / "demo" / "fleet.yaml").read_text().replace("`endpoint:`", "")
        assert (clone / "demo" / "secrets" / "alice.token").stat().st_mode & 0o777 == 0o600
        assert (
            "api.telegram.org"
            in (clone / "demo" / "state" / "demo" / "bots" / "alice" / "bot.json").read_text()
        )
    finally:
        make(clone, "demo-stop")
    assert processes_of(clone) == []
