"""What a bot's own code gets from the runner, and what the runner hands to an app kind."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bot_runner.levers import Levers
from bot_runner.redaction import Redactor
from bot_runner.stop import Stop
from bot_runner.vitals import Vitals
from toolkit.botfile import BotFile

StopCallback = Callable[[], Awaitable[object] | object]


def frozen(value: Any) -> Any:
    """A JSON value that cannot be changed: mappings read-only, lists as tuples."""
    if isinstance(value, Mapping):
        return MappingProxyType({key: frozen(item) for key, item in value.items()})
    if isinstance(value, list):
        return tuple(frozen(item) for item in value)
    return value


class Health:
    """What the app itself says of how it is. May be used from any thread.

    Parameters:
        vitals: takes what is said.
        redact: takes secrets out of it.
        decides: whether the app says when it is ready; else that is seen from outside.
    """

    def __init__(self, vitals: Vitals, redact: Redactor, *, decides: bool) -> None:
        self._vitals, self._redact, self._decides = vitals, redact, decides

    def ready(self) -> None:
        """It does its work from now on; heeded where the fleet file says ``ready: app``."""
        if self._decides and not self._vitals.ready:
            self._vitals.is_ready()

    def degraded(self, reason: str) -> None:
        """It works, but not well, and this is why; until ``ok`` is called."""
        self._vitals.trouble("app", self._redact.line(reason))

    def ok(self) -> None:
        """What it said by ``degraded`` is over."""
        self._vitals.well("app")


class Context:
    """What a factory or a main function is called with.

    Attributes:
        name: the bot's name.
        type: the name of its type.
        fleet: the fleet's name.
        config: the merged configuration, read-only.
        token: the bot's token, or None where the fleet file gives none. It is in no repr.
        endpoint: the Bot API server.
        logger: the bot's logger.
        state: a folder of the bot's own, which outlives its runs.
        health: what the app itself says of how it is.
        allowed_updates: the kinds of update to ask for, as in ``run_polling``; None for Telegram's default.
    """

    def __init__(self, bot: BotFile, token: str | None, health: Health) -> None:
        self.name, self.type, self.fleet = bot.name, bot.type, bot.fleet
        self.config: Mapping[str, Any] = frozen(bot.config)
        self.token = token
        self.endpoint = bot.endpoint
        self.logger = logging.getLogger(bot.name)
        self.state = Path(bot.files.state)
        self.health = health
        self.allowed_updates: Sequence[str] | None = None
        self.stop_callbacks: list[StopCallback] = []
        self.attempts: Callable[[int], int] = lambda _: 1

    def __repr__(self) -> str:
        return f"<Context of {self.name}, type {self.type}, fleet {self.fleet}>"

    def attempt(self, update: Any) -> int:
        """Which time this is that an update is handled, to be asked in its handler.

        1 is the first. From 2 on the process ended while it was handled before, so that some or all of the
        work may be done already.
        """
        return self.attempts(update.update_id)

    def on_stop(self, callback: StopCallback) -> None:
        """Call this, plain or async, when the bot is asked to end."""
        self.stop_callbacks.append(callback)


@dataclass(frozen=True, kw_only=True)
class Run:
    """What an app kind needs to run a bot.

    Parameters:
        bot: the bot file.
        token: the bot's token, if it has one.
        context: what the app's code gets.
        vitals: takes state and figures.
        stop: says when to end.
        redact: takes secrets out of reasons.
        levers: what an operator may do, to be filled in as far as the kind can.
        own: tells the runner of a child process that the kind waits for itself.
        let_others_start: to be called when the start waits for what costs this machine nothing; being ready
            says so too.
    """

    bot: BotFile
    token: str | None
    context: Context
    vitals: Vitals
    stop: Stop
    redact: Redactor
    levers: Levers
    own: Callable[[int], None]
    let_others_start: Callable[[], None]

    async def tell_stop(self) -> None:
        """Call what the app wants called when the bot ends; what one raises is logged and hurts no other."""
        for callback in self.context.stop_callbacks:
            try:
                result = callback()
                if isinstance(result, Awaitable):
                    await result
            except (Exception, SystemExit):  # the app's own code may raise anything
                self.context.logger.exception("a callback given to on_stop failed")
