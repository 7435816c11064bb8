"""Any coroutine function, called with the bot's context."""

import asyncio
import inspect
import logging
from collections.abc import Coroutine
from typing import Any

from bot_runner.context import Run
from bot_runner.failure import BotFailedError, crashed
from bot_runner.loading import load_target
from toolkit.lifecycle import FailureClass

UNWILLING_S = 0.5
_log = logging.getLogger(__name__)


async def _ended_by_itself(main: Coroutine[Any, Any, object], run: Run) -> None:
    """Run the app's main function; its end, while nobody asked for it, is a failure.

    A supervisor restarts a bot that returns, whatever it returns: only the class makes the pauses grow.
    """
    try:
        await main
    except BaseException as error:  # noqa: BLE001  the app's own code may raise anything
        if not run.stop.asked:
            raise crashed(error, run.redact) from None
        if isinstance(error, Exception):
            _log.exception("the app failed while it was ending")
    else:
        if not run.stop.asked:
            reason = "main returned though nobody asked it to end"
            raise BotFailedError(FailureClass.APP_CRASHED, reason)


async def _stop(task: "asyncio.Task[None]", run: Run) -> None:
    """Tell the app to end. Where it left no callback for that, cancelling is the telling."""
    seconds = run.stop.remaining(run.bot.stop_s)
    try:
        async with asyncio.timeout(seconds):
            await run.tell_stop()
    except TimeoutError:
        _log.error("a callback given to on_stop took longer than %g s", seconds)
    if run.context.stop_callbacks:
        await asyncio.wait({task}, timeout=run.stop.remaining(run.bot.stop_s))
    if not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=run.stop.remaining(run.bot.stop_s) + UNWILLING_S)
    if not task.done():
        _log.error("the app did not end within %g s", run.bot.stop_s)


async def run(run: Run) -> None:
    """Run an ``async`` bot until it is asked to end.

    Raises:
        BotFailedError: it cannot be imported, failed, or returned though nobody asked it to end.
    """
    target = run.bot.app.target
    with run.vitals.app_works("loading the app"):
        main = load_target(target, run.redact)(run.context)
    if not inspect.iscoroutine(main):
        raise BotFailedError(FailureClass.APP_IMPORT, f"{target} is not a coroutine function")
    run.vitals.waits("the app has not said that it is ready")
    task = asyncio.create_task(_ended_by_itself(main, run), name="app")
    await asyncio.sleep(0)
    run.let_others_start()
    if run.bot.app.ready == "start" and not task.done():
        run.vitals.is_ready()
    asked = asyncio.create_task(run.stop.wait())
    await asyncio.wait({task, asked}, return_when=asyncio.FIRST_COMPLETED)
    if not run.stop.asked:
        asked.cancel()
        task.result()
    run.vitals.stops(run.stop.why)
    await _stop(task, run)
