"""Import of a bot's own code."""

import gc
import importlib
import inspect
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from bot_runner.failure import BotFailedError, text_of
from bot_runner.redaction import Redactor
from toolkit.botfile import BotFile
from toolkit.lifecycle import FailureClass

_log = logging.getLogger(__name__)


@contextmanager
def quick_imports() -> Iterator[None]:
    """Imports without what they do not need.

    Nothing that is imported is garbage: the collector would only look through it again and again. httpx
    imports its command line with rich, click and pygments where they are installed: 5 MB for nothing.
    """
    spare = "httpx._main" not in sys.modules
    if spare:
        sys.modules["httpx._main"] = None  # type: ignore[assignment]
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()
        if spare:
            sys.modules.pop("httpx._main", None)


def enter_directory(bot: BotFile) -> None:
    """Go to the bot's working folder and put its code on Python's search path.

    Raises:
        BotFailedError: BAD_CONFIG, the folder cannot be entered.
    """
    try:
        os.chdir(bot.directory)
    except OSError as error:
        raise BotFailedError(
            FailureClass.BAD_CONFIG, f"directory {bot.directory}: {error.strerror}"
        ) from None
    sys.path[:0] = [folder for folder in bot.app.search if folder not in sys.path]


def _place(error: BaseException) -> str:
    """Where in the app's code it was raised; nothing where that was in no file of its own."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if name != __file__ and not name.startswith("<frozen") and "importlib" not in name:
            place = f" ({name}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return place


def load_target(target: str, redact: Redactor) -> Any:
    """What ``module:name`` names: a function that takes the bot's context.

    Raises:
        BotFailedError: APP_IMPORT, it cannot be imported, for whatever reason, or is something else.
    """
    module, _, name = target.partition(":")
    try:
        with quick_imports():
            found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (Exception, SystemExit) as error:  # noqa: BLE001  a module may raise anything
        _log.exception("%s cannot be imported", target)
        reason = redact.line(f"{target}: {type(error).__name__}: {text_of(error)}{_place(error)}")
        raise BotFailedError(FailureClass.APP_IMPORT, reason) from None
    if not callable(found):
        raise BotFailedError(FailureClass.APP_IMPORT, f"{target} is not a function")
    if not _takes_one(found):
        last = name.rpartition(".")[2]
        words = f"{target} cannot be called with the bot's context alone: have it begin as `{last}(bot)`"
        raise BotFailedError(FailureClass.APP_IMPORT, words)
    return found


def _takes_one(function: Callable[..., object]) -> bool:
    try:
        inspect.signature(function).bind(None)
    except ValueError:  # it is not written in Python, and tells nothing
        return True
    except TypeError:
        return False
    return True


def find_program(name: str) -> str:
    """The path of a program to start.

    Raises:
        BotFailedError: APP_IMPORT, there is none.
    """
    path = shutil.which(name)
    if path is None:
        raise BotFailedError(FailureClass.APP_IMPORT, f"no program {name}, or it is not executable")
    return path


def check(bot: BotFile) -> None:
    """Import the bot's code and do no more.

    Raises:
        BotFailedError: APP_IMPORT or BAD_CONFIG.
    """
    logging.getLogger().addHandler(logging.NullHandler())
    enter_directory(bot)
    if bot.app.kind == "exec":
        find_program(bot.app.argv[0])
    else:
        load_target(bot.app.target, Redactor())
