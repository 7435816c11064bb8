"""Time whole commands, make fleets, and bring them up and down."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

# Without cached bytecode each command would compile what it imports: that is not what users run.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

BIN = Path(sys.executable).parent
TOOLKIT = str(BIN / "toolkit")


def run(*arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """One command, quietly."""
    words = [str(word) for word in arguments]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600, check=False)
    if check and done.returncode:
        sys.exit(f"{' '.join(map(str, arguments))}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def seconds(*arguments: str | Path, runs: int = 7, check: bool = True) -> float:
    """Median wall time of a whole command, after one run that does not count."""
    times = []
    for _ in range(runs + 1):
        begun = time.perf_counter()
        run(*arguments, check=check)
        times.append(time.perf_counter() - begun)
    return statistics.median(times[1:])


def paired(first: Sequence[str | Path], second: Sequence[str | Path], runs: int = 9) -> tuple[float, float]:
    """Medians of two commands that are run in turn, so that both see the same machine."""
    times: list[list[float]] = [[], []]
    for _ in range(runs + 1):
        for index, command in enumerate((first, second)):
            begun = time.perf_counter()
            run(*command)
            times[index].append(time.perf_counter() - begun)
    return statistics.median(times[0][1:]), statistics.median(times[1][1:])


def goal(what: str, measured: float, limit: float, unit: str) -> str:
    """A line that sets a figure beside its goal."""
    return f"{what}: {measured:.3f} {unit} (goal {limit:g} {unit}, {measured / limit:.2f} of it)"


@contextmanager
def folder() -> Iterator[Path]:
    """A short-named folder that goes away."""
    path = Path(tempfile.mkdtemp(prefix="bt", dir="/tmp"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def write_fleet(path: Path, count: int, app: str, *, tokens: bool = False, extra: str = "") -> Path:
    """A fleet of many bots of one type."""
    (path / "secrets").mkdir(exist_ok=True)
    rows = []
    for number in range(count):
        token = ""
        if tokens:
            secret = path / "secrets" / f"bot{number}.token"
            secret.write_text(f"{100_000 + number}:{'A' * 35}\n")
            secret.chmod(0o600)
            token = f", token: {{file: secrets/bot{number}.token}}"
        rows.append(f"  bot{number}: {{type: t{token}, config: {{number: {number}}}}}")
    text = f"version: 1\nfleet: bench\nroot: state\n{extra}types:\n  t: {{app: {app}}}\nbots:\n"
    (path / "fleet.yaml").write_text(text + "\n".join(rows) + "\n")
    return path / "fleet.yaml"


@contextmanager
def running(fleet: Path, wait: int = 300) -> Iterator[Path]:
    """A fleet that is up."""
    try:
        run(TOOLKIT, "-f", fleet, "up", "--wait", str(wait))
        yield fleet
    finally:
        run(TOOLKIT, "-f", fleet, "down", check=False)


@contextmanager
def sandbox(path: Path) -> Iterator[str]:
    """A sandbox; gives its URL."""
    run(TOOLKIT, "sandbox", "--detach", "--port", "0", "--url-file", path / "url", "--pid-file", path / "pid")
    try:
        yield (path / "url").read_text().strip()
    finally:
        run(TOOLKIT, "sandbox", "stop", "--pid-file", path / "pid", check=False)


def bots(fleet: Path) -> list[dict[str, object]]:
    """What `bot list --json` tells."""
    listed: list[dict[str, object]] = json.loads(run(TOOLKIT, "-f", fleet, "bot", "list", "--json").stdout)[
        "bots"
    ]
    return listed
