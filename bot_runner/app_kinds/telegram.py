"""A python-telegram-bot application, from its factory to its end.

The steps of ``Application.run_polling`` are done here one by one, as that ends a process at the first network
error, tells nothing of readiness, and drains without bound.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from bot_runner import threads
from bot_runner.context import Run
from bot_runner.failure import BotFailedError, crashed
from bot_runner.loading import quick_imports
from toolkit import spool
from toolkit.health import has_stalled
from toolkit.lifecycle import FailureClass

with quick_imports():
    from telegram.error import InvalidToken, NetworkError, RetryAfter

    from bot_runner.application import build
    from bot_runner.delivery import Delivery
    from bot_runner.faults import SHUT_DOWN, Fault, Tries, Words, classify, is_shut_down
    from bot_runner.handover import Handover
    from bot_runner.intake import Intake
    from bot_runner.processing import AnyApplication, End
    from bot_runner.watched import watch

T = TypeVar("T")
CALL_S = 30.0
# What the hooks and the last calls may take together after the handlers' time is over.
HOOKS_S = 1.0
PAUSED = "an operator paused it"
_log = logging.getLogger(__name__)


class Session:
    """One application's life under the runner."""

    def __init__(self, run: Run, application: AnyApplication) -> None:
        self._run, self._app = run, application
        folder, once = spool.folder_in(Path(run.bot.files.state)), run.bot.delivery == "at-most-once"
        self._delivery = delivery = Delivery(folder, run.vitals, at_most_once=once)
        self._handover = Handover(application.bot, application.update_queue, delivery, run.vitals)
        self._words = words = Words(run.bot.endpoint, run.redact)
        self._intake = Intake(
            application.bot, delivery, self._handover, run.vitals, words, run.context.allowed_updates
        )
        self._polling: asyncio.Task[None] | None = None
        self._handing: asyncio.Task[None] | None = None
        self._turned = asyncio.Event()
        loop = asyncio.get_running_loop()
        run.levers.turned = lambda: loop.call_soon_threadsafe(self._turned.set)
        run.levers.unfinished = lambda: self._handover.unfinished
        run.context.attempts = delivery.attempt
        watch(application, run.vitals, self._handover, self._ends_itself, run.bot.concurrency)

    def _ends_itself(self, by: str) -> None:
        reason = f"the app ended itself by {by}"
        self._run.stop.fail(BotFailedError(FailureClass.APP_CRASHED, reason))

    async def bring_up(self) -> None:
        """Start, up to where the token is accepted, a poll was answered and the application runs.

        Raises:
            BotFailedError: TOKEN_REFUSED; TEMPORARY, or BAD_UPSTREAM for a 404, where the app's hook met a
                fault on the way to the API.
        """
        app, bot = self._app, self._app.bot
        with threads.needed(self._run.bot.limits):
            await self._delivery.open()
        self._run.levers.spool = self._delivery.spool
        await self._insist("getMe", bot.initialize)
        self._run.vitals.username = bot.username
        with self._run.vitals.app_works("initialize"):
            await app.initialize()
        if app.post_init:
            await self._hook_of_start(app.post_init)
        await self._insist("deleteWebhook", lambda: bot.delete_webhook(drop_pending_updates=False))
        await self._insist("getUpdates", self._intake.probe)
        await app.start()

    async def last(self) -> None:
        """Take updates, or none while an operator wants a pause, until the poller ends by a failure.

        Raises:
            BotFailedError: what ended it; DEAF where nothing is known.
        """
        while True:
            self._turned.clear()
            if self._run.levers.paused:
                await self._stay_paused()
            else:
                await self._take_updates()

    async def _take_updates(self) -> None:
        """Take updates until an operator turns something; the first time with those that an earlier run left.

        Raises:
            BotFailedError: the poller ended.
        """
        if self._handing is None:
            self._handover.take_left()
            self._handing = asyncio.create_task(self._handover.run(), name="handover")
            soon = asyncio.get_running_loop().call_soon_threadsafe
            self._run.levers.take_back = lambda *letter: soon(self._handover.take_back, *letter)
        if self._polling is None:
            self._polling = self._run.vitals.poller = asyncio.create_task(self._intake.run(), name="intake")
            await asyncio.sleep(0)
        self._run.vitals.is_ready()
        turned = asyncio.create_task(self._turned.wait())
        try:
            await asyncio.wait({self._polling, turned}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            turned.cancel()
        if self._polling.done():
            raise _end_of(self._polling)

    async def _stay_paused(self) -> None:
        """Take no more, finish what was taken, and wait until an operator turns something.

        Raises:
            BotFailedError: the poller had ended by itself, or does not end.
        """
        vitals, poller = self._run.vitals, self._polling
        vitals.is_ready()
        if poller is not None:
            poller.cancel()
            await asyncio.wait({poller}, timeout=HOOKS_S)
            if not poller.cancelled():
                raise _end_of(poller)
            self._polling = vitals.poller = None
            self._intake.rests()
        busy = self._handover.unfinished
        vitals.pauses(f"{PAUSED}; what was taken is being finished" if busy else PAUSED)
        turned = asyncio.create_task(self._turned.wait())
        finished = asyncio.create_task(self._handover.finished())
        try:
            await asyncio.wait({turned, finished}, return_when=asyncio.FIRST_COMPLETED)
            if not turned.done():
                # Not cut off: a call that reaches the Bot API after the next poll ends that with a 409.
                await self._intake.confirm()
                vitals.pauses(PAUSED)
            await turned
        finally:
            turned.cancel()
            finished.cancel()

    async def _insist(self, name: str, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call until it succeeds; only a refused token ends that."""
        tries = Tries()
        while True:
            try:
                async with asyncio.timeout(CALL_S):
                    return await call()
            except Exception as error:  # noqa: BLE001  an answer that makes no sense may raise anything
                fault = classify(error)
                if fault is Fault.REFUSED:
                    raise BotFailedError(FailureClass.TOKEN_REFUSED, self._words(name, fault)) from None
                if is_shut_down(error):
                    raise BotFailedError(FailureClass.APP_CRASHED, SHUT_DOWN) from None
                self._run.let_others_start()
                self._run.vitals.waits(self._words(name, fault, error))
                pause = tries.pause_s(error, fault)
            await asyncio.sleep(pause)

    async def _hook_of_start(self, hook: Callable[[Any], Awaitable[object]]) -> None:
        """Call post_init once: it is not made to be repeated, so a fault on the way ends the process."""
        try:
            with self._run.vitals.app_works("post_init"):
                await hook(self._app)
        except (NetworkError, RetryAfter, InvalidToken) as error:
            fault = classify(error)
            if fault is Fault.REFUSED:
                raise
            _log.warning("post_init failed", exc_info=error)
            if fault is Fault.MISROUTED:
                raise BotFailedError(FailureClass.BAD_UPSTREAM, self._words("post_init", fault)) from None
            reason = self._run.redact.line(f"post_init: {error}")
            raise BotFailedError(FailureClass.TEMPORARY, reason) from None

    async def take_down(self) -> None:
        """Stop: intake first, then let handlers finish, then the hooks; each within its time."""
        was_running = self._app.running
        await self._stop_intake()
        # A callback that hangs takes no time from the handlers.
        told = asyncio.create_task(self._step("on_stop", self._run.tell_stop()))
        if was_running:
            await self._drain()
        await told
        if was_running:
            await self._step("confirming updates", self._intake.confirm())
            await self._hook("post_stop", self._app.post_stop)
        self._delivery.close()
        await self._step("shutdown", self._app.shutdown())
        await self._step("shutdown", self._app.bot.shutdown())
        await self._hook("post_shutdown", self._app.post_shutdown)

    async def _stop_intake(self) -> None:
        self._run.levers.take_back = None
        tasks = {task for task in (self._polling, self._handing) if task is not None}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=HOOKS_S)

    async def _drain(self) -> None:
        stop_s = self._run.bot.stop_s
        if has_stalled(self._run.vitals.sample(), self._run.bot.health):
            stop_s = 0.0
        stopping = asyncio.create_task(self._app.stop())
        done, _ = await asyncio.wait({stopping}, timeout=self._run.stop.remaining(stop_s))
        if done:
            if error := stopping.exception():
                _log.error("the application did not stop well", exc_info=error)
            return
        _log.error(
            "%d updates were not handled within %g s; they stay in the spool and come first next time",
            self._handover.unfinished,
            stop_s,
        )
        failure = self._run.stop.failure
        # What a deaf bot has in its handlers may be what made it deaf.
        deaf = failure is not None and failure.failure is FailureClass.DEAF
        self._handover.cut_is = End.DIED if deaf else End.CUT
        cut = {stopping, *filter(_is_applications, asyncio.all_tasks())}
        for task in cut:
            task.cancel()
        await asyncio.wait(cut, timeout=self._some_time())

    async def _hook(self, name: str, hook: Callable[[Any], Awaitable[object]] | None) -> None:
        if hook:
            await self._step(name, hook(self._app))

    async def _step(self, name: str, work: Awaitable[object]) -> None:
        """One step of the end, within its time; its failure stops no further step."""
        seconds = self._some_time()
        try:
            async with asyncio.timeout(seconds):
                await work
        except TimeoutError:
            _log.error("%s took longer than %.1f s", name, seconds)
        except (Exception, SystemExit):  # noqa: BLE001  the app's own code may raise anything
            _log.exception("%s failed", name)

    def _some_time(self) -> float:
        """Seconds for a step of the end: what is left to the bot, then the half of what is left to its hooks.

        So those that hang leave time to each that follows, and all of them together end in time.
        """
        stop, stop_s = self._run.stop, self._run.bot.stop_s
        return max(stop.remaining(stop_s), stop.remaining(stop_s + HOOKS_S) / 2)


def _end_of(poller: "asyncio.Task[None]") -> BotFailedError:
    """What the end of the poller means; nobody but a pause or the bot's end is to end it."""
    if not poller.done():
        return BotFailedError(FailureClass.DEAF, "the poller does not end")
    if poller.cancelled():
        return BotFailedError(FailureClass.DEAF, "the poller has ended: something cancelled it")
    error = poller.exception()
    if isinstance(error, BotFailedError):
        return error
    _log.error("the poller has ended", exc_info=error)
    return BotFailedError(FailureClass.DEAF, "the poller has ended")


def _is_applications(task: "asyncio.Task[Any]") -> bool:
    """python-telegram-bot names its tasks: the fetcher of the queue, and each update's."""
    return task.get_name().startswith("Application:")


async def run(run: Run) -> None:
    """Run a ``telegram`` bot until it is asked to end.

    Raises:
        BotFailedError: it cannot be made.
    """
    with run.vitals.app_works("loading the app"):
        session = Session(run, build(run))
    try:
        if await run.stop.race(session.bring_up()):
            await run.stop.race(session.last())
    except BotFailedError as failure:
        run.stop.fail(failure)
    except BaseException as error:  # noqa: BLE001  the app may raise anything, or cancel this
        run.stop.fail(crashed(error, run.redact))
    run.vitals.stops(run.stop.why)
    await session.take_down()
