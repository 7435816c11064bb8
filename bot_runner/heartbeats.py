"""The bot's loop tells that it turns."""

import asyncio
import time
from collections.abc import Callable

from bot_runner.notify import Notifier
from bot_runner.vitals import TICK_S, Vitals
from toolkit.health import Level
from toolkit.lifecycle import State


async def beat(
    vitals: Vitals, notifier: Notifier, look: Callable[[], None], *, watched: bool, start_s: float
) -> None:
    """Tick for as long as the loop runs, and keep a supervisor that waits or watches informed.

    Parameters:
        vitals: takes the ticks.
        notifier: hears of them: more time while the bot is not ready, and WATCHDOG=1, at a third of the
            time in which it is missed, for as long as the judge does not take the bot for hung.
        look: called with each tick.
        watched: the bot's own code runs in this loop, so that its lag is the bot's.
        start_s: seconds to ask for: no step of the start takes longer, as the judge ends the bot before.
    """
    pause = min(TICK_S, notifier.watchdog_s / 3) if notifier.watchdog_s else TICK_S
    if watched:
        vitals.ticked(0.0)
    while True:
        began = time.monotonic()
        await asyncio.sleep(pause)
        look()
        if watched:
            vitals.ticked(max(0.0, time.monotonic() - began - pause))
        if vitals.state in {State.INITIALIZING, State.BACKOFF}:
            notifier.extend(start_s)
        if notifier.watchdog_s and vitals.verdict.level is not Level.HUNG:
            notifier.send("WATCHDOG=1")
