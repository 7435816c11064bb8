"""A hundred bots under a real systemd, in a container, against systemd's own commands and bare scripts."""

import os
import re
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps

from measure import folder, goal, paired, write_fleet
from subjects import APP

from tests.hosts import image, tier
from tests.hosts.container import Container
from toolkit.sandbox.client import SandboxClient

COUNT = 100
ROUNDS = 3
UNITS = "/etc/systemd/system"
BOTS, SCRIPTS = "bot-bench", "script-bench"
FLEET = "/srv/bench/fleet.yaml"
PORT = 8081
_UP_S = 300
_LOOK_S = 0.1
_SHOWN = "Id,ActiveState,SubState,MainPID,ExecMainStartTimestamp,NRestarts,StatusText"
_TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def _settled() -> Iterator[Container]:
    """A host with a Bot API and the fleet file of a hundred echo bots, none of them deployed."""
    host = Container(image.with_toolkit())
    try:
        with folder() as path:
            extra = f"backend: systemd\nmode: system\nendpoint: http://127.0.0.1:{PORT}\n"
            fleet = write_fleet(path, COUNT, '{telegram: "bench_app:build"}', tokens=True, extra=extra)
            fleet.write_text(fleet.read_text().replace("root: state\n", ""))
            (path / "bench_app.py").write_text(APP)
            path.chmod(0o755)
            host.put(path, "/srv")
            host.run("mv", f"/srv/{path.name}", "/srv/bench")
        host.run("python", "-m", "compileall", "-q", "/srv/bench")
        host.run("toolkit", "sandbox", "--detach", "--host", "0.0.0.0", "--public", "--port", PORT)
        yield host
    finally:
        host.kill()


def _on_hosts(bench: Callable[[], Iterator[str]]) -> Callable[[], Iterator[str]]:
    """The bench where hosts can be made, else why they cannot."""

    @wraps(bench)
    def checked() -> Iterator[str]:
        reason = tier.why_not(tier.CONTAINER)
        if reason:
            yield f"not measured: {reason}"
        else:
            yield from bench()

    return checked


def _deploy(host: Container) -> None:
    host.run("toolkit", "-f", FLEET, "deploy", "--wait", _UP_S, timeout_s=_UP_S)


@_on_hosts
def list_of_100() -> Iterator[str]:
    """`bot list` of 100 running bots against `systemctl show` of the same units."""
    with _settled() as host:
        _deploy(host)
        ours = host.command(["toolkit", "-f", FLEET, "bot", "list"])
        assert host.out("toolkit", "-f", FLEET, "bot", "list").count(" RUNNING ") == COUNT
        show = host.command(["systemctl", "show", f"{BOTS}-*.service", "-p", _SHOWN])
        mine, theirs = paired(ours, show, runs=15)
    said = goal(f"bot list of {COUNT} on systemd", mine, 0.15, "s")
    yield f"{said}, {mine / theirs:.2f} x systemctl show ({theirs:.3f} s)"


@_on_hosts
def deploy_of_100() -> Iterator[str]:
    """`deploy` of 100 new bots, less the time from the first one's start to the last one's readiness."""
    found = []
    for _ in range(ROUNDS):
        with _settled() as host:
            before, begun = os.times(), time.perf_counter()
            _deploy(host)
            took, after = time.perf_counter() - begun, os.times()
            cpu = after.children_user + after.children_system - before.children_user - before.children_system
            starting = _from_first_start_to_last_ready(host)
            reloads = host.out("journalctl", "-q", "-o", "cat", "_PID=1").count("Reloading.\n")
        found.append((took - starting, cpu, took, reloads))
    share, cpu, took, reloads = sorted(found)[ROUNDS // 2]
    said = goal(f"deploy of {COUNT} new bots on systemd, without their own start", share, 2.0, "s")
    yield f"{said}; {cpu:.2f} s of processor, {took:.1f} s in all, {reloads} daemon-reload (goal 1)"


def _from_first_start_to_last_ready(host: Container) -> float:
    shown = host.out(
        "systemctl",
        "show",
        f"{BOTS}-*.service",
        "-p",
        "InactiveExitTimestampMonotonic,ActiveEnterTimestampMonotonic",
    )
    times: dict[str, list[int]] = {}
    for name, value in re.findall(r"(?m)^(\w+)=(\d+)$", shown):
        times.setdefault(name, []).append(int(value))
    begun, ready = times["InactiveExitTimestampMonotonic"], times["ActiveEnterTimestampMonotonic"]
    assert len(begun) == len(ready) == COUNT, shown
    return (max(ready) - min(begun)) / 1e6


@_on_hosts
def target_of_100() -> Iterator[str]:
    """From `systemctl start` of the target until all poll, against bare scripts in the very same sandbox."""
    with _settled() as host:
        client = SandboxClient(f"http://{host.address}:{PORT}")
        _deploy(host)
        _add_scripts(host)
        found: dict[str, list[tuple[float, float]]] = {BOTS: [], SCRIPTS: []}
        _stop(host, client, BOTS)
        for _ in range(ROUNDS):
            for kind, rounds in found.items():
                rounds.append((_start(host, client, kind), _processor_s(host, kind)))
                _stop(host, client, kind)
    for kind, rounds in found.items():
        took, cpu = (statistics.median(each) for each in zip(*rounds, strict=True))
        all_ = ", ".join(f"{seconds:.1f}" for seconds, _ in rounds)
        yield f"{kind}: {COUNT} poll after {took:.1f} s ({all_}), {cpu / COUNT:.2f} s of processor each"
    # Round by round, so that what else the machine does strikes both.
    pairs = zip(found[BOTS], found[SCRIPTS], strict=True)
    ratio = statistics.median(mine[0] / its[0] for mine, its in pairs)
    yield f"target of {COUNT} bots to all polling: {ratio:.2f} x bare scripts (goal 1)"


def _add_scripts(host: Container) -> None:
    """A unit more for each bot, the same but that it starts the bare script and is another target's."""
    units = host.root / UNITS.lstrip("/")
    for number in range(COUNT):
        unit = (units / f"{BOTS}-bot{number}.service").read_text()
        script = f"{image.OPT}/bin/python /srv/bench/bench_app.py - http://127.0.0.1:{PORT}"
        for line, other in (
            (r"ExecStart=.*", f"ExecStart={script}"),
            (r"Type=notify", "Type=exec"),
            # It knows neither.
            (r"NotifyAccess=.*", ""),
            (r"WatchdogSec=.*", ""),
        ):
            unit, count = re.subn(f"(?m)^{line}$", other, unit)
            assert count == 1, (line, unit)
        unit = unit.replace(f"{BOTS}.target", f"{SCRIPTS}.target")
        (units / f"{SCRIPTS}-bot{number}.service").write_text(unit)
    (units / f"{SCRIPTS}.target").write_text((units / f"{BOTS}.target").read_text())
    host.run("systemctl", "-q", "enable", *(f"{SCRIPTS}-bot{number}.service" for number in range(COUNT)))
    host.run("systemctl", "daemon-reload")


def _start(host: Container, client: SandboxClient, kind: str) -> float:
    """Seconds until every bot has been seen polling."""
    begun, seen = time.perf_counter(), set[str]()
    host.run("systemctl", "start", f"{kind}.target", timeout_s=_UP_S)
    while len(seen) < COUNT:
        seen |= {bot["bot_id"] for bot in client.bots() if bot["polling"]}
        took = time.perf_counter() - begun
        assert took < _UP_S, f"{len(seen)} of {kind} poll"
        time.sleep(_LOOK_S)
    return took


def _stop(host: Container, client: SandboxClient, kind: str) -> None:
    host.run("systemctl", "stop", f"{kind}.target", f"{kind}-*.service", timeout_s=_UP_S)
    while any(bot["polling"] for bot in client.bots()):
        time.sleep(_LOOK_S)


def _processor_s(host: Container, kind: str) -> float:
    """Processor time of all bots together so far, in seconds."""
    pids = host.out("systemctl", "show", f"{kind}-*.service", "-p", "MainPID", "--value").split()
    stats = host.out("cat", *(f"/proc/{pid}/stat" for pid in pids)).splitlines()
    fields = [stat.rpartition(") ")[2].split() for stat in stats]
    return sum(int(each[11]) + int(each[12]) for each in fields) / _TICKS
