"""What a bot can be: for each kind the coroutine function that runs it."""

import importlib
from collections.abc import Awaitable, Callable

from bot_runner.context import Run

Kind = Callable[[Run], Awaitable[None]]

KINDS = {
    "telegram": "bot_runner.app_kinds.telegram:run",
    "async": "bot_runner.app_kinds.coroutine:run",
    "exec": "bot_runner.app_kinds.program:run",
}


def load(kind: str) -> Kind:
    """What runs a bot of this kind.

    It returns when the bot has ended, asked to or by ``run.stop.fail``, or raises BotFailedError.
    """
    module, _, name = KINDS[kind].partition(":")
    runs: Kind = getattr(importlib.import_module(module), name)
    return runs
