"""``bot-runner BOTFILE``: the process that a unit starts."""

import os
import sys
import time

_BORN, _PARENT = time.monotonic(), os.getppid()

from pathlib import Path  # noqa: E402  the clock and the parent come first

from bot_runner.failure import BotFailedError  # noqa: E402
from toolkit import botfile  # noqa: E402
from toolkit.botfile import BotFile  # noqa: E402
from toolkit.errors import ToolkitError  # noqa: E402
from toolkit.lifecycle import FailureClass  # noqa: E402

USAGE = "usage: bot-runner [--check] BOTFILE"
_USAGE_CODE = 64  # EX_USAGE of sysexits.h


def _load(path: Path) -> BotFile:
    try:
        return botfile.load(path)
    except ToolkitError as error:
        raise BotFailedError(FailureClass.BAD_CONFIG, error.message) from None


def _run(bot: BotFile, path: Path) -> int:
    """Take the bot's place on this machine and run it.

    Raises:
        BotFailedError: the place cannot be taken, or the runner's own threads cannot be started.
    """
    from bot_runner.place import enter
    from bot_runner.runner import Runner
    from bot_runner.threads import needed

    complaints = enter(bot, path)
    with needed(bot.limits):
        runner = Runner(bot, _BORN, _PARENT)
    return runner.run(complaints)


def _fail(failure: BotFailedError, name: str, hold_s: float) -> int:
    sys.stderr.write(f"error: {failure.reason}\nhint: {failure.failure.hint(name)}\n")
    sys.stderr.flush()
    time.sleep(max(0.0, hold_s - (time.monotonic() - _BORN)))
    return failure.failure.code


def main(arguments: list[str] | None = None) -> int:
    """Run a bot, or with ``--check`` import its code only; the exit code."""
    *options, name = (sys.argv[1:] if arguments is None else arguments) or [""]
    if name in ("-h", "--help"):
        sys.stdout.write(f"{USAGE}\n\nRuns one bot by its bot file; --check imports the bot's code only.\n")
        return 0
    if not name or name.startswith("-") or options not in ([], ["--check"]):
        sys.stderr.write(USAGE + "\n")
        return _USAGE_CODE
    # The bot file would say it, if it can be read.
    hold_s, bot_name = 0.0 if options else botfile.SUPERVISORD_HOLD_S, "BOT"
    path = Path(name).absolute()
    try:
        bot = _load(path)
        bot_name = bot.name
        if options:
            from bot_runner.loading import check

            check(bot)
            return 0
        hold_s = bot.hold_s
        return _run(bot, path)
    except BotFailedError as failure:
        return _fail(failure, bot_name, hold_s)


if __name__ == "__main__":
    sys.exit(main())
