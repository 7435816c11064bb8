"""What the checks of bots have in common."""

from collections.abc import Mapping
from typing import Any

from toolkit.lifecycle import State
from toolkit.verify.check import Verdict, judged, mended, skipped
from toolkit.verify.expected import Bot
from toolkit.verify.facts import Facts

UP = (State.RUNNING, State.DEGRADED, State.INITIALIZING, State.STARTING, State.PAUSED, State.RELOADING)


def view_of(bot: Bot, facts: Facts) -> Mapping[str, Any] | Verdict:
    """The bot as it tells itself, or why that cannot be told."""
    if facts.fault:
        return skipped("the bots cannot be listed: see `supervisor`")
    if bot.held:
        return skipped("an operator keeps it stopped")
    view = facts.views.get(bot.name)
    if view is None or view["pid"] is None or view["state"] not in UP:
        return skipped("it does not run")
    return view


def start_hint(bot: Bot) -> str:
    """What has a bot run, now and after a boot, or else stay down."""
    return f"`toolkit admin start-bot {bot.name}`, or to keep it down `toolkit admin stop-bot {bot.name}`"


def at_boot(bot: Bot, enabled: bool, missing: str) -> Verdict:
    """Whether a bot comes up after a boot as it is to.

    Parameters:
        missing: why it does not come up, where it does not.
    """
    if not bot.held:
        return judged("" if enabled else missing)
    return mended(("it is enabled, though an operator stopped it" if enabled else "", down_hint(bot)))


def down_hint(bot: Bot) -> str:
    """What has a bot stay down that an operator stopped, or else run."""
    return f"`toolkit admin stop-bot {bot.name}`, or to have it run `toolkit admin start-bot {bot.name}`"
