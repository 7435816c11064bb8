"""A bot under an even load for long: ``SOAK_S`` seconds, 600 by default; memory, descriptors and spool."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from measure import folder, sandbox
from subjects import CHATS, Subject, subjects

from toolkit.sandbox.client import SandboxClient

RATE = 350
SECONDS = int(os.environ.get("SOAK_S", "600"))
# After the caches of libraries and allocator are full.
WARM_S = 60
_EVERY_S = 5
_GOAL_BYTES = 2_000_000


@dataclass(frozen=True)
class _Look:
    """One look at the bot: after so many seconds."""

    at_s: float
    resident: int
    files: int
    sent: int


def _looks(client: SandboxClient, bot: Subject, begun: float) -> Iterator[_Look]:
    while (passed := time.monotonic() - begun) < SECONDS:
        yield _Look(passed, bot.resident(), bot.open_files(), client.counters(bot.bot_id)["sent"])
        time.sleep(_EVERY_S)


def _settled(client: SandboxClient, bot: Subject) -> dict[str, Any]:
    """The counters once all is answered, or nothing more is: a machine with other work may fall behind."""
    before = -1
    while True:
        counters = client.counters(bot.bot_id)
        if not counters["unanswered"] or counters["sent"] == before:
            return dict(counters)
        before = counters["sent"]
        time.sleep(_EVERY_S)


def _spooled(bot: Subject) -> int:
    """Updates in the spool of a bot that has ended."""
    from toolkit.spool import Spool

    spool = Spool(bot.state / "spool")
    try:
        return len(spool.pending())
    finally:
        spool.close()


def soak() -> Iterator[str]:
    """350 messages a second."""
    with folder() as path, sandbox(path) as url:
        client = SandboxClient(url)
        with subjects(path, client, {"runner": {}}) as bots:
            bot = bots["runner"]
            cpu, begun = bot.cpu_s(), time.monotonic()
            client.flood(bot.bot_id, RATE * SECONDS, chats=CHATS, rate=RATE)
            looks = list(_looks(client, bot, begun))
            cpu = bot.cpu_s() - cpu
            behind = client.counters(bot.bot_id)["unanswered"]
            counters = _settled(client, bot)
            bot.stop()
            left = _spooled(bot)
    warm = [look for look in looks if look.at_s >= min(WARM_S, SECONDS / 2)]
    memory, files = [look.resident for look in warm], [look.files for look in warm]
    grown = max(memory) - memory[0]
    yield (
        f"{counters['sent']} of {counters['accepted']} answered, of {RATE * SECONDS} planned at {RATE}/s:"
        f" {counters['unanswered']} unanswered,"
        f" {counters['answered_twice']} answered twice, {behind} behind at the end of the stream,"
        f" {cpu / SECONDS * 100:.0f} % of a processor"
    )
    yield (
        f"memory after the first minute: {memory[0] / 1e6:.1f} MB, at most {grown / 1e6:.2f} MB more"
        f" (goal {_GOAL_BYTES / 1e6:g} MB), {memory[-1] / 1e6:.1f} MB at the end"
    )
    yield f"open files: {min(files)} to {max(files)}; left in the spool: {left} (goal 0)"
