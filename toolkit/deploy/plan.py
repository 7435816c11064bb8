"""What a deploy will do: the least disruptive step for each bot, with its reason. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

import msgspec

from toolkit import rotation
from toolkit.botfile import BotFile
from toolkit.lifecycle import DOWN, State
from toolkit.render.systemd_limits import differing


class Action(StrEnum):
    """A step of a plan, from the least to the most disruptive."""

    NOTHING = "no-op"
    LIMIT = "live limit"
    UPDATE = "update"
    START = "start"
    RESTART = "restart"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A bot as the fleet's files want it.

    Parameters:
        held: whether an operator keeps it stopped.
        limits: those that can change while it runs, by the supervisor's names.
    """

    type: str
    unit_hash: str
    bot_file: BotFile
    held: bool = False
    limits: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InForce:
    """A bot as it is.

    Parameters:
        unit_hash: of the unit that its process runs with, else of the one the supervisor was given; ""
            where the supervisor has none.
        fingerprint: of the bot file likewise.
        bot_file: the bot file in place, where it can be read.
        limits: those in force for it, by the supervisor's names; empty where it has none.
        token_is_late: whether its token file was written after its process had read it.
        unit_edited: whether its process may run with a unit that somebody edited.
    """

    state: State
    unit_hash: str
    fingerprint: str
    bot_file: BotFile | None = None
    limits: Mapping[str, int] = field(default_factory=dict)
    token_is_late: bool = False
    unit_edited: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """What is done for one bot, and why.

    Parameters:
        unit_changed: whether the supervisor must be given a new unit.
        limits_changed: whether limits that change live are other than they are to be.
        token_is_late: whether its process goes on with another token than its file may have.
    """

    bot: str
    action: Action
    reason: str
    unit_changed: bool = False
    limits_changed: bool = False
    token_is_late: bool = False


_WHY_NOT_RUNNING = {
    State.BACKOFF: "being retried",
    State.PAUSED: "paused; `toolkit admin resume-bot {bot}` lets it go on",
}


def plan(wanted: Mapping[str, Wanted], in_force: Mapping[str, InForce]) -> list[Step]:
    """One step for each bot that is wanted or in force; removals first, then by name."""
    gone = [
        Step(bot, Action.REMOVE, "no longer in the fleet") for bot in sorted(in_force.keys() - wanted.keys())
    ]
    return gone + [_step(bot, wanted[bot], in_force.get(bot)) for bot in sorted(wanted)]


def _step(bot: str, want: Wanted, have: InForce | None) -> Step:
    if have is None or have.state is State.DEFINED or not have.unit_hash:
        if want.held:
            return Step(
                bot, Action.UPDATE, "new unit; stays stopped, as an operator wants", unit_changed=True
            )
        return Step(bot, Action.START, "new", unit_changed=True)
    unit_changed = have.unit_edited or have.unit_hash != want.unit_hash
    changes = _changes(want, have)
    limits = differing(want.limits, have.limits)
    limited = [f"{', '.join(limits)} changed"] if limits else []
    if have.state in DOWN:
        step = _step_of_stopped(bot, want, have.state, changes, unit_changed=unit_changed)
        # Where it is not to run, its next start finds them.
        return replace(step, limits_changed=bool(limits)) if step.action is Action.START else step
    if changes:
        return Step(bot, Action.RESTART, "; ".join(changes + limited), unit_changed, bool(limits))
    late = f"{rotation.WORDS}; {rotation.how(bot)} has it take that" if have.token_is_late else ""
    if limits:
        why = "; ".join(filter(None, (*limited, late)))
        return Step(bot, Action.LIMIT, why, limits_changed=True, token_is_late=have.token_is_late)
    why = "; ".join(filter(None, (_WHY_NOT_RUNNING.get(have.state, "").format(bot=bot), late)))
    return Step(bot, Action.NOTHING, why, token_is_late=have.token_is_late)


def _step_of_stopped(bot: str, want: Wanted, state: State, changes: list[str], *, unit_changed: bool) -> Step:
    why = "; ".join(changes)
    if want.held:
        action = Action.UPDATE if changes else Action.NOTHING
        return Step(bot, action, "; ".join(filter(None, (why, "stopped by an operator"))), unit_changed)
    if state is State.QUARANTINED and not changes:
        return Step(bot, Action.NOTHING, f"quarantined; `toolkit admin start-bot {bot}` tries it again")
    return Step(bot, Action.START, why or f"is {state}", unit_changed)


def _changes(want: Wanted, have: InForce) -> list[str]:
    edits = ["its unit was edited"] if have.unit_edited else []
    changes = ["unit"] if have.unit_hash != want.unit_hash else []
    if have.fingerprint != want.bot_file.fingerprint():
        known = have.bot_file if have.bot_file and have.bot_file.fingerprint() == have.fingerprint else None
        changes += differences(known, want.bot_file) if known else ["bot file"]
    return edits + [f"{change} changed" for change in changes]


def differences(old: BotFile, new: BotFile) -> list[str]:
    """The dotted names of what differs between two bot files, origins aside."""
    before, after = (msgspec.to_builtins(bot) for bot in (old, new))
    return _compare(before, after, "") if before | {"origins": {}} != after | {"origins": {}} else []


def _compare(old: dict[str, object], new: dict[str, object], prefix: str) -> list[str]:
    names: list[str] = []
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if before == after or (not prefix and key == "origins"):
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            names += _compare(before, after, f"{prefix}{key}.")
        else:
            names.append(f"{prefix}{key}")
    return names


def summary(steps: list[Step]) -> str:
    """Counts of the plan in one line, such as ``1 start, 2 restart, 997 no-op``."""
    counts = {action: sum(step.action is action for step in steps) for action in Action}
    order = (
        Action.REMOVE,
        Action.START,
        Action.RESTART,
        Action.LIMIT,
        Action.UPDATE,
        Action.NOTHING,
    )
    return ", ".join(f"{counts[action]} {action}" for action in order if counts[action]) or "no bots"
