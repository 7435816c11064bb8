"""Have bots rest, up and without updates, and go on."""

from collections.abc import Mapping
from dataclasses import replace

from toolkit.backends import Backend
from toolkit.deploy.settle import Progress, settle
from toolkit.errors import RefusedError
from toolkit.ipc.client import Failure, FailureKind, ask_many
from toolkit.ipc.protocol import REFUSED, TIMEOUT
from toolkit.lifecycle import DOWN, State
from toolkit.lock import changing
from toolkit.operate import need_units
from toolkit.paths import FleetPaths
from toolkit.view import BotView

# Seconds that a bot has to take a pause or its end.
_ASKED_S = 5.0


def pause(
    paths: FleetPaths,
    bots: Mapping[str, str],
    backend: Backend,
    wait_s: float,
    progress: Progress,
    *,
    paused: bool,
) -> list[BotView]:
    """Have bots take no more updates and finish what they took, or take updates again.

    Parameters:
        bots: the type of each, by name.
        wait_s: seconds in which what was taken must be finished, or the bots be at work again.
        paused: whether they are to be paused.

    Returns:
        The bots as they were found at the end; one that refused with its reason for that.

    Raises:
        NotDeployedError: some have no unit yet.
        RefusedError: all refused.
    """
    need_units(paths, bots)
    verb = "pause" if paused else "resume"
    sockets = {bot: paths.control_socket(bot) for bot in bots}
    with changing(paths.lock, f"toolkit admin {verb}-bot"):
        answers = ask_many(sockets, verb, timeout_s=_ASKED_S)
    failures = {bot: answer for bot, answer in answers.items() if isinstance(answer, Failure)}
    told = {bot: failure.message for bot, failure in failures.items() if _is_refusal(failure)}
    if told and told.keys() == bots.keys():
        raise RefusedError("; ".join(f"{bot}: {words}" for bot, words in told.items()))
    told |= {bot: f"not {verb}d: {failure.message}" for bot, failure in failures.items() if _is_late(failure)}

    def rests(view: BotView) -> bool:
        # A call that was not answered has lapsed: to wait for its effect would be in vain.
        return view.name in failures or view.state in DOWN or _obeys(view, paused=paused)

    views = settle(paths, bots, backend, wait_s, progress, rests)
    return [replace(view, reason=told[view.name], hint="") if view.name in told else view for view in views]


def _is_refusal(failure: Failure) -> bool:
    return failure.code == REFUSED or failure.kind is FailureKind.FORBIDDEN


def _is_late(failure: Failure) -> bool:
    return failure.code == TIMEOUT or failure.kind is FailureKind.HUNG


def _obeys(view: BotView, *, paused: bool) -> bool:
    if paused:
        return view.state is State.PAUSED and not view.details.get("unfinished")
    return view.state in {State.RUNNING, State.DEGRADED}
