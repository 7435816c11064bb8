"""Where the methods stand by name."""

from collections.abc import Callable
from typing import Any

from toolkit.sandbox.args import Args
from toolkit.sandbox.bot import Bot

Method = Callable[[Bot, Args], Any]

METHODS: dict[str, tuple[str, Method]] = {}
"""By name in lower case: the name in Telegram's spelling and what does it."""


def method(*names: str) -> Callable[[Method], Method]:
    """Put a function in the table under these names."""

    def enter(function: Method) -> Method:
        METHODS.update({name.lower(): (name, function) for name in names})
        return function

    return enter
