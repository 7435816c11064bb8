"""Updates a second and latency through the runner, against the same bot as a bare script."""

import statistics
import time
from collections.abc import Iterator
from typing import Any

from measure import folder, sandbox
from subjects import CHATS, Subject, subjects

from toolkit.sandbox.client import SandboxClient

SCRIPT, RUNNER = "script", "runner"
ROUNDS = 5
RATE = 200.0
_ANSWERED_WITHIN_S = 120.0
_LOOK_S = 0.1

# Messages in a round for each bot: enough that a round takes seconds, few enough that stock ends.
_NO_DELAY = {SCRIPT: 3000, RUNNER: 3000}
_DELAYED = {SCRIPT: 100, RUNNER: 1500}
_DELAY_MS = 50.0


def _answered(client: SandboxClient, subject: Subject, sent: int) -> dict[str, Any]:
    """The counters once the bot sent so many messages; asked for too seldom to disturb."""
    end = time.monotonic() + _ANSWERED_WITHIN_S
    while (counters := client.counters(subject.bot_id))["sent"] < sent:
        if time.monotonic() > end:
            raise SystemExit(f"{subject.name} answered {counters['sent']} of {sent} in time: {counters}")
        time.sleep(_LOOK_S)
    return dict(counters)


def _backlog(client: SandboxClient, subject: Subject, count: int) -> tuple[float, float]:
    """Updates a second for a backlog, and processor milliseconds an update."""
    before = client.counters(subject.bot_id)["sent"]
    cpu, begun = subject.cpu_s(), time.time()
    client.flood(subject.bot_id, count, chats=CHATS)
    counters = _answered(client, subject, before + count)
    rate = count / (counters["last_answer_at"] - begun)
    return rate, (subject.cpu_s() - cpu) / count * 1000


def _rounds(
    client: SandboxClient, bots: dict[str, Subject], counts: dict[str, int]
) -> Iterator[tuple[str, float, float, list[float]]]:
    """For each bot: updates a second and processor time, medians of rounds in turn, and its rates."""
    for name, bot in bots.items():
        _backlog(client, bot, counts[name] // 5)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in bots}
    for _ in range(ROUNDS):
        for name, bot in bots.items():
            found[name].append(_backlog(client, bot, counts[name]))
    for name, rounds in found.items():
        rates, costs = zip(*rounds, strict=True)
        yield name, statistics.median(rates), statistics.median(costs), list(rates)


def compare(
    client: SandboxClient, bots: dict[str, Subject], counts: dict[str, int], what: str, goal: float
) -> Iterator[str]:
    """Lines that set each bot beside the first one, which is the measure."""
    base: list[float] = []
    for name, rate, cost, rates in _rounds(client, bots, counts):
        said = f"{what}: {name} {rate:.0f} updates/s, {cost:.2f} ms of processor each"
        if not base:
            base = rates
            yield said
        else:
            # Round by round, so that what else the machine does strikes both.
            ratio = statistics.median(mine / its for mine, its in zip(rates, base, strict=True))
            yield f"{said}; {ratio:.2f} x {next(iter(bots))} (goal {goal:g})"


def updates_per_second() -> Iterator[str]:
    """A backlog at an API that answers at once, then at one that takes 50 ms."""
    with folder() as path, sandbox(path) as url:
        client = SandboxClient(url)
        with subjects(path, client, {SCRIPT: None, RUNNER: {}}) as bots:
            yield from compare(client, bots, _NO_DELAY, "API of 0 ms", 0.9)
            for bot in bots.values():
                client.fault(bot.bot_id, "*", "delay", delay_ms=_DELAY_MS)
            yield from compare(client, bots, _DELAYED, "API of 50 ms", 5)


def _latencies(client: SandboxClient, subject: Subject, seconds: int) -> list[float]:
    """Milliseconds from a message to its answer, for each of an even stream that waits for no answer."""
    count = int(RATE * seconds)
    before = client.counters(subject.bot_id)["sent"]
    client.flood(subject.bot_id, count, chats=CHATS, rate=RATE)
    _answered(client, subject, before + count)
    records = client.updates(subject.bot_id, "answered", limit=count)
    return [(record["answered_at"] - record["accepted_at"]) * 1000 for record in records]


def latency() -> Iterator[str]:
    """Latency at 200 messages a second."""
    with folder() as path, sandbox(path) as url:
        client = SandboxClient(url)
        with subjects(path, client, {SCRIPT: None, RUNNER: {}}) as bots:
            rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in bots}
            for bot in bots.values():
                _latencies(client, bot, 1)
            for _ in range(ROUNDS):
                for name, bot in bots.items():
                    cuts = statistics.quantiles(_latencies(client, bot, 5), n=100)
                    rounds[name].append((cuts[49], cuts[98]))
    medians = {
        name: tuple(map(statistics.median, zip(*pairs, strict=True))) for name, pairs in rounds.items()
    }
    for name, (half, most) in medians.items():
        yield f"{RATE:.0f} messages/s: {name} p50 {half:.1f} ms, p99 {most:.1f} ms"
    beyond = statistics.median(
        mine[1] - its[1] for mine, its in zip(rounds[RUNNER], rounds[SCRIPT], strict=True)
    )
    yield f"{RATE:.0f} messages/s: the runner's p99 is {beyond:+.1f} ms of the script's (goal +1)"
