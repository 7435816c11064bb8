"""Two hundred bots that start at once, as when a machine boots, against as many bare scripts."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measure import folder, sandbox
from subjects import APP, start

from toolkit.sandbox.client import SandboxClient

COUNT = 200
_UP_S = 300.0
_LOOK_S = 0.2


@dataclass
class Boot:
    """What a machine and a Bot API saw of it.

    Parameters:
        took_s: seconds until every bot had polled.
        runnable: most processes and threads at one look that had a processor or waited for one.
        calls_a_second: most calls of the Bot API between two looks.
    """

    took_s: float = 0.0
    runnable: int = 0
    calls_a_second: float = 0.0


def boot_of_200() -> Iterator[str]:
    """The load on machine and Bot API until all of them poll."""
    found = {}
    for kind, changes in (("bare scripts", None), ("bots", {})):
        with folder() as path, sandbox(path) as url:
            boot = found[kind] = _boot(path, SandboxClient(url), changes)
        yield (
            f"{COUNT} {kind} at once: all poll after {boot.took_s:.1f} s; at most {boot.runnable} processes "
            f"that want a processor, {boot.calls_a_second:.0f} calls/s"
        )
    bare, ours = found["bare scripts"], found["bots"]
    yield (
        f"boot of {COUNT}: {ours.took_s / bare.took_s:.2f} x the scripts' time, "
        f"{ours.runnable / bare.runnable:.2f} x their processes that want a processor, "
        f"{ours.calls_a_second / bare.calls_a_second:.2f} x their calls/s"
    )


def _boot(path: Path, client: SandboxClient, changes: dict[str, Any] | None) -> Boot:
    (path / "bench_app.py").write_text(APP)
    boot, polled, calls = Boot(), set[str](), 0
    begun = looked = time.perf_counter()
    started = [start(path, f"bot{number}", number, client.url, changes) for number in range(COUNT)]
    try:
        while len(polled) < COUNT:
            boot.runnable = max(boot.runnable, _runnable())
            bots = client.bots()
            before, looked = looked, time.perf_counter()
            polled |= {bot["bot_id"] for bot in bots if bot["polls"]}
            counted = sum(sum(bot["calls"].values()) for bot in bots)
            boot.calls_a_second = max(boot.calls_a_second, (counted - calls) / (looked - before))
            calls, boot.took_s = counted, looked - begun
            assert boot.took_s < _UP_S, f"{len(polled)} of {COUNT} poll"
            time.sleep(_LOOK_S)
    finally:
        for subject in started:
            subject.process.terminate()
        for subject in started:
            subject.stop()
    return boot


def _runnable() -> int:
    """Processes and threads that have a processor or wait for one: proc_loadavg(5)."""
    return int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0])
