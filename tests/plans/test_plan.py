"""Plans as data: what is wanted and what is in force in, steps out."""

from dataclasses import replace

import msgspec
import pytest

from toolkit.botfile import App, BotFile, Files
from toolkit.deploy.plan import Action, InForce, Step, Wanted, plan, summary
from toolkit.lifecycle import State
from toolkit.rotation import WORDS as LATE

BOT = BotFile(
    fleet="demo",
    name="alice",
    type="echo",
    backend="supervisord",
    app=App(kind="telegram", target="bots.echo:build"),
    directory="/srv",
    config={"greeting": "Hello", "limits": {"daily": 10}},
    origins={"greeting": "global", "limits.daily": "type"},
    files=Files(state="/s", socket="/s/c", run_record="/s/r", log="/s/l"),
)
WANTED = Wanted("echo", "u1", BOT)
OTHER_CONFIG = msgspec.structs.replace(BOT, config={"greeting": "Hallo", "limits": {"daily": 20}})
OTHER_ORIGIN = msgspec.structs.replace(BOT, origins={"greeting": "type", "limits.daily": "type"})


def have(state=State.RUNNING, unit="u1", bot=BOT, *, readable=True):
    return InForce(state, unit, bot.fingerprint(), bot if readable else None)


LIMITED = msgspec.structs.replace(BOT, backend="systemd")
WANTED_LIMITED = Wanted("echo", "u1", LIMITED, limits={"MemoryMax": 200, "TasksMax": 9})


def limited(state=State.RUNNING, bot=LIMITED, **limits):
    return InForce(state, "u1", bot.fingerprint(), bot, limits)


CASES = {
    "a limit changed": (
        WANTED_LIMITED,
        limited(MemoryMax=100, TasksMax=9),
        Step("alice", Action.LIMIT, "MemoryMax changed", limits_changed=True),
    ),
    "the limits are as wanted": (
        WANTED_LIMITED,
        limited(MemoryMax=200, TasksMax=9),
        Step("alice", Action.NOTHING, ""),
    ),
    "a limit changed, and more": (
        WANTED_LIMITED,
        limited(bot=OTHER_CONFIG, MemoryMax=100),
        Step(
            "alice",
            Action.RESTART,
            "backend changed; config.greeting changed; config.limits.daily changed; MemoryMax changed",
            limits_changed=True,
        ),
    ),
    "new": (WANTED, None, Step("alice", Action.START, "new", True)),
    "defined only": (WANTED, have(State.DEFINED, unit=""), Step("alice", Action.START, "new", True)),
    "as wanted": (WANTED, have(), Step("alice", Action.NOTHING, "")),
    "degraded is left alone": (WANTED, have(State.DEGRADED), Step("alice", Action.NOTHING, "")),
    "being retried": (WANTED, have(State.BACKOFF), Step("alice", Action.NOTHING, "being retried")),
    "paused": (
        WANTED,
        have(State.PAUSED),
        Step("alice", Action.NOTHING, "paused; `toolkit admin resume-bot alice` lets it go on"),
    ),
    "its token file was written after it started": (
        WANTED,
        replace(have(), token_is_late=True),
        Step(
            "alice",
            Action.NOTHING,
            f"{LATE}; `toolkit admin restart-bot alice` has it take that",
            token_is_late=True,
        ),
    ),
    "a restart takes the token too": (
        WANTED,
        replace(have(unit="u0"), token_is_late=True),
        Step("alice", Action.RESTART, "unit changed", True),
    ),
    "another unit": (WANTED, have(unit="u0"), Step("alice", Action.RESTART, "unit changed", True)),
    "its unit was edited": (
        WANTED,
        replace(have(), unit_edited=True),
        Step("alice", Action.RESTART, "its unit was edited", True),
    ),
    "its unit was edited, and it is stopped": (
        Wanted("echo", "u1", BOT, held=True),
        replace(have(State.STOPPED), unit_edited=True),
        Step("alice", Action.UPDATE, "its unit was edited; stopped by an operator", True),
    ),
    "another config": (
        WANTED,
        have(bot=OTHER_CONFIG),
        Step("alice", Action.RESTART, "config.greeting changed; config.limits.daily changed"),
    ),
    "another bot file that cannot be read": (
        WANTED,
        have(bot=OTHER_CONFIG, readable=False),
        Step("alice", Action.RESTART, "bot file changed"),
    ),
    "a value came from elsewhere": (WANTED, have(bot=OTHER_ORIGIN), Step("alice", Action.NOTHING, "")),
    "stopped": (WANTED, have(State.STOPPED), Step("alice", Action.START, "is STOPPED")),
    "stopped with another unit": (
        WANTED,
        have(State.STOPPED, unit="u0"),
        Step("alice", Action.START, "unit changed", True),
    ),
    "given up": (WANTED, have(State.FAILED), Step("alice", Action.START, "is FAILED")),
    "quarantined": (
        WANTED,
        have(State.QUARANTINED),
        Step("alice", Action.NOTHING, "quarantined; `toolkit admin start-bot alice` tries it again"),
    ),
    "quarantined and mended": (
        WANTED,
        have(State.QUARANTINED, bot=OTHER_CONFIG),
        Step("alice", Action.START, "config.greeting changed; config.limits.daily changed"),
    ),
    "held": (
        Wanted("echo", "u1", BOT, held=True),
        have(State.STOPPED),
        Step("alice", Action.NOTHING, "stopped by an operator"),
    ),
    "held with another unit": (
        Wanted("echo", "u1", BOT, held=True),
        have(State.STOPPED, unit="u0"),
        Step("alice", Action.UPDATE, "unit changed; stopped by an operator", True),
    ),
    "held and new": (
        Wanted("echo", "u1", BOT, held=True),
        None,
        Step("alice", Action.UPDATE, "new unit; stays stopped, as an operator wants", True),
    ),
    "no longer wanted": (None, have(), Step("alice", Action.REMOVE, "no longer in the fleet")),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_step(case):
    wanted, in_force, expected = case
    steps = plan({"alice": wanted} if wanted else {}, {"alice": in_force} if in_force else {})
    assert steps == [expected]


def test_removals_come_first_and_one_change_touches_one_bot():
    wanted = {f"bot{number:03}": WANTED for number in range(1000)}
    in_force = dict.fromkeys(wanted, have()) | {"bot500": have(bot=OTHER_CONFIG), "zoe": have()}
    steps = plan(wanted, in_force)
    assert steps[0] == Step("zoe", Action.REMOVE, "no longer in the fleet")
    assert [step.bot for step in steps if step.action is not Action.NOTHING] == ["zoe", "bot500"]
    assert summary(steps) == "1 remove, 1 restart, 999 no-op"


def test_limits_that_differ_are_named_and_set_with_a_restart_or_a_start_too():
    changed = replace(WANTED_LIMITED, unit_hash="u2")
    (step,) = plan({"alice": changed}, {"alice": limited(MemoryMax=100, TasksMax=9)})
    assert (step.action, step.reason) == (Action.RESTART, "unit changed; MemoryMax changed")
    assert step.limits_changed
    (step,) = plan({"alice": changed}, {"alice": limited(MemoryMax=200, TasksMax=9)})
    assert not step.limits_changed
    (step,) = plan({"alice": WANTED_LIMITED}, {"alice": limited(State.STOPPED, MemoryMax=100)})
    assert (step.action, step.reason, step.limits_changed) == (Action.START, "is STOPPED", True)
    held = replace(WANTED_LIMITED, held=True)
    (step,) = plan({"alice": held}, {"alice": limited(State.STOPPED, MemoryMax=100)})
    assert (step.action, step.limits_changed) == (Action.NOTHING, False)
