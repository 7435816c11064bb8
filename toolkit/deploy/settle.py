"""Wait until bots have come to rest: ready, or in trouble that waiting does not mend."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from toolkit.backends import Backend, HungError
from toolkit.lifecycle import DOWN, State
from toolkit.observe import observe
from toolkit.paths import FleetPaths
from toolkit.view import BotView

# A bot that is ready must still be the same process so many seconds later; one that is not has so many to
# come back, or to be told as down.
STEADY_S, _BACK_S = 0.3, 5.0
SETTLED = (State.RUNNING, State.DEGRADED, State.FAILED, State.QUARANTINED, State.PAUSED)


Progress = Callable[[int, int], None]


def silent(*_: object) -> None:
    """Tell nobody."""


def _rests(view: BotView) -> bool:
    return view.state in SETTLED


def settle(
    paths: FleetPaths,
    bots: Mapping[str, str],
    backend: Backend,
    deadline_s: float,
    progress: Progress = silent,
    rests: Callable[[BotView], bool] = _rests,
) -> list[BotView]:
    """Look until all bots have settled or the deadline has passed; give the last view of each.

    Parameters:
        bots: the type of each, by name.
        deadline_s: seconds to wait at most.
        progress: called with the number of settled bots and of all.
        rests: whether a bot has settled.

    Raises:
        HungError: the supervisor gave no answer, twice and until the deadline: while many bots start at once,
            one that is busy may take longer for one answer than is waited for.
    """
    end = time.monotonic() + deadline_s
    silences = 0
    views: dict[str, BotView] = {}
    open_ = dict(bots)
    while open_:
        try:
            looked = observe(paths, open_, backend)
        except HungError:
            silences += 1
            if silences > 1 and time.monotonic() >= end:
                raise
            continue
        views |= {view.name: view for view in looked}
        open_ = {view.name: view.type for view in looked if not rests(view)}
        progress(len(bots) - len(open_), len(bots))
        if not open_ or time.monotonic() >= end:
            break
        # Each look takes processor time of all of them, which they need for their start.
        time.sleep(min(0.5, 0.03 + len(open_) / 200))
    return [views[bot] for bot in bots]


def steady(paths: FleetPaths, views: Sequence[BotView], backend: Backend) -> list[BotView]:
    """Look once more, a moment later, at bots that were found ready: to be ready once is not yet to work.

    Parameters:
        views: as ``settle`` gave them.

    Returns:
        The bots as they are now; one that fell, and is back already, as one that is being retried.
    """
    ready = {view.name: view for view in views if view.state is State.RUNNING}
    if not ready:
        return list(views)
    time.sleep(STEADY_S)
    kinds = {name: view.type for name, view in ready.items()}
    again = {view.name: view for view in settle(paths, kinds, backend, _BACK_S)}
    return [compared(ready[view.name], again[view.name]) if view.name in ready else view for view in views]


def compared(before: BotView, now: BotView) -> BotView:
    """A bot that was ready, as it is now, with what happened in between. Pure."""
    last = now.details.get("last_exit") or {}
    # Other commands may act meanwhile.
    asked = last.get("kind") == "stopped" and last != before.details.get("last_exit")
    if asked or (now.pid == before.pid and now.state not in DOWN):
        return now
    reason = now.reason or last.get("reason")
    return replace(
        now,
        state=State.BACKOFF if now.state is State.RUNNING else now.state,
        ready=False,
        reason="it ended right after it was ready" + (f": {reason}" if reason else ""),
        hint=now.hint or f"see `toolkit bot logs {now.name}`",
    )
