"""Bringing bots up, against the sandbox."""

import time
from collections.abc import Iterator

from measure import TOOLKIT, bots, folder, goal, run, sandbox


def up_of_three() -> Iterator[str]:
    """`up` with three bots to all RUNNING."""
    with folder() as path, sandbox(path) as url:
        run(TOOLKIT, "init", path / "f", "--endpoint", url, "--keep-in-folder", "--name", "bench")
        fleet = path / "f" / "fleet.yaml"
        times = []
        for _ in range(4):
            begun = time.perf_counter()
            run(TOOLKIT, "-f", fleet, "up")
            times.append(time.perf_counter() - begun)
            assert [bot["state"] for bot in bots(fleet)] == ["RUNNING"] * 3
            run(TOOLKIT, "-f", fleet, "down")
    yield goal("up of three bots to RUNNING", sorted(times[1:])[1], 2.0, "s")


def start_one() -> Iterator[str]:
    """`admin start-bot` to RUNNING."""
    with folder() as path, sandbox(path) as url:
        run(TOOLKIT, "init", path / "f", "--endpoint", url, "--keep-in-folder", "--name", "bench")
        fleet = path / "f" / "fleet.yaml"
        run(TOOLKIT, "-f", fleet, "up")
        times = []
        for _ in range(6):
            run(TOOLKIT, "-f", fleet, "admin", "stop-bot", "alice")
            begun = time.perf_counter()
            run(TOOLKIT, "-f", fleet, "admin", "start-bot", "alice")
            times.append(time.perf_counter() - begun)
        run(TOOLKIT, "-f", fleet, "down")
    yield goal("start-bot to RUNNING", sorted(times[1:])[2], 0.6, "s")
