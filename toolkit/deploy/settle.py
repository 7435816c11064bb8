"""Wait until bots have come to rest: ready, or in trouble that waiting does not mend."""

import time
from collections.abc import Callable, Mapping

from toolkit.backends import Backend
from toolkit.lifecycle import State
from toolkit.observe import BotView, observe
from toolkit.paths import FleetPaths

SETTLED = (State.RUNNING, State.DEGRADED, State.FAILED, State.QUARANTINED, State.PAUSED)


def _rests(view: BotView) -> bool:
    return view.state in SETTLED


def settle(
    paths: FleetPaths,
    bots: Mapping[str, str],
    backend: Backend,
    deadline_s: float,
    progress: Callable[[int, int], None],
    rests: Callable[[BotView], bool] = _rests,
) -> list[BotView]:
    """Look until all bots have settled or the deadline has passed; give the last view of each.

    Parameters:
        bots: the type of each, by name.
        deadline_s: seconds to wait at most.
        progress: called with the number of settled bots and of all.
        rests: whether a bot has settled.
    """
    end = time.monotonic() + deadline_s
    views: dict[str, BotView] = {}
    open_ = dict(bots)
    while open_:
        looked = observe(paths, open_, backend)
        views |= {view.name: view for view in looked}
        open_ = {view.name: view.type for view in looked if not rests(view)}
        progress(len(bots) - len(open_), len(bots))
        if not open_ or time.monotonic() >= end:
            break
        # Each look takes processor time of all of them, which they need for their start.
        time.sleep(min(0.5, 0.03 + len(open_) / 200))
    return [views[bot] for bot in bots]
