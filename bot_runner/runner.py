"""One run of one bot, from the process's start to its exit."""

import asyncio
import faulthandler
import itertools
import logging
import os
import random
from contextlib import suppress
from pathlib import Path

from bot_runner import app_kinds, kernel, logs, own_exit, runs, stacks, token_source
from bot_runner.announcer import Announcer
from bot_runner.context import Context, Health, Run
from bot_runner.control import Control
from bot_runner.ending import FLUSH_S, Ending
from bot_runner.failure import BotFailedError, crashed, unusable
from bot_runner.heartbeats import beat
from bot_runner.held_lock import REASON, HeldLock
from bot_runner.judge import Judge
from bot_runner.keeper import Keeper
from bot_runner.levers import Interventions, Levers
from bot_runner.loading import enter_directory
from bot_runner.notify import Notifier
from bot_runner.place import MARGIN_S
from bot_runner.process import Usage
from bot_runner.redaction import Redactor
from bot_runner.side_loop import SideLoop
from bot_runner.signals import Signals
from bot_runner.start_slot import LONGEST_TURN_S, StartSlot
from bot_runner.stop import Stop
from bot_runner.stray import StrayOutput
from bot_runner.token_lock import TokenLock
from bot_runner.vitals import Vitals
from toolkit.botfile import BotFile
from toolkit.errors import RefusedError
from toolkit.health import Verdict, start_timeout_s
from toolkit.ipc.server import ControlServer
from toolkit.lifecycle import FailureClass, State
from toolkit.secrets import bot_id

SAMPLE_S = 5.0
_EARLY_S = (0.5, 1.0, 2.0)
CLOSE_S = 1.0
_log = logging.getLogger("bot_runner")


class Runner:
    """Holds the parts of one run together.

    Parameters:
        bot: the bot file.
        born: when the process began, on the monotonic clock.
        parent: the supervisor's process id, as it was then.
    """

    def __init__(self, bot: BotFile, born: float, parent: int) -> None:
        self._bot, self._parent = bot, parent
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        self._stop = Stop(self._loop)
        self._signals = Signals(self._stop.ask)
        self._redact = Redactor()
        self._notifier = Notifier.from_environment()
        self._announcer = Announcer(self._notifier, self._got_ready)
        self._vitals = Vitals(lambda: self._announcer.tell(self._vitals))
        self._usage = Usage(owns_children=bot.app.kind == "exec")
        self._writer = logs.LogWriter(Path(bot.files.log) if bot.files.log else None, bot.log)
        logs.install(self._writer, bot.log, self._redact)
        self._side = SideLoop()
        self._keeper = Keeper(Path(bot.files.run_record), bot.restart, born)
        self._levers = Levers()
        control = Control(
            bot=bot,
            vitals=self._vitals,
            usage=self._usage,
            keeper=self._keeper,
            stop=self._stop.ask,
            interventions=Interventions(bot=bot, levers=self._levers, remember=self._keeper.pause),
        )
        shared = bot.files.shared
        self._server = ControlServer(
            Path(bot.files.socket),
            bot.name,
            control.methods(),
            0o660 if shared else 0o600,
            # Bots of one fleet may share a group, and one must not command another.
            refused_group=os.getegid() if shared else None,
        )
        self._strays = [StrayOutput(number, self._writer, self._redact) for number in (1, 2)]
        self._ending = Ending(bot, born, self._stop, self._vitals, self._keeper, self._writer)
        self._held_lock = HeldLock(Path(bot.files.run_record).with_suffix(".stacks"))
        self._judge = Judge(self._vitals, bot.health, self._condemn, self._held_lock.put_off)
        self._lock: TokenLock | None = None
        self._slot = StartSlot()
        self._app_runs = False

    def run(self, complaints: list[str]) -> int:
        """Run the bot to its end.

        Parameters:
            complaints: what could not be done before there was a log; a line each.

        Returns:
            The exit code.

        Raises:
            BotFailedError: what cannot be; it is in the log and in the record, as far as that can be.
        """
        try:
            return self._to_its_end(complaints)
        except Exception as error:  # noqa: BLE001  whatever it is, it must not be lost in a pipe that none reads
            failure = self._ending.breaks(error, self._redact)
            with suppress(OSError):  # the app may have closed what is not its own
                for stray in self._strays:
                    stray.give_back()
            raise failure from None

    def _to_its_end(self, complaints: list[str]) -> int:
        faulthandler.enable(self._strays[1].original)
        self._signals.take()
        self._stop.listen(lambda: self._side.soon(self._ending.arm, self._side.loop))
        self._held_lock.watch()
        self._side.keep(self._watch(), self._unwatched)
        self._side.keep(self._judge.watch(), self._unwatched)
        self._begin()
        own_exit.tell(self._app_exits, self._keeper.dies)
        own_exit.refuse_exec(self._app_execs)
        self._levers.paused = self._keeper.record.paused
        for complaint in complaints:
            _log.warning("%s", complaint)
        main = self._loop.create_task(self._life(), name="bot")
        failure = self._drive(main)
        code = failure.failure.code if failure else 0
        self._ending.settle(self._loop)
        try:
            self._side.call(self._close(), CLOSE_S)
        except TimeoutError:
            _log.warning("the control socket is not closed: what answers it hangs, as on a disk that stalls")
        for stray in self._strays:
            stray.end()
        self._ending.flush(code)
        return code

    def _begin(self) -> None:
        stacks = self._held_lock.stacks
        if stacks:
            _log.error("the last run was deaf: %s\n%s", REASON, stacks)
        self._keeper.begin(REASON if stacks else "")

    def _app_exits(self, code: int) -> None:
        _log.error("the app ends its process by os._exit(%d)", code, stack_info=True)
        self._writer.flush(FLUSH_S)

    def _app_execs(self, path: str) -> None:
        _log.error(
            "the app tries to replace its process by exec: %s", self._redact.line(path), stack_info=True
        )
        reason = "the app tried to replace its process by exec: to start anew it ends, as by sys.exit"
        self._stop.fail(BotFailedError(FailureClass.APP_CRASHED, reason))

    def _got_ready(self) -> None:
        self._side.soon(self._usage.sample)
        self._slot.release()
        self._loop.call_soon_threadsafe(self._signals.take)

    def _condemn(self, verdict: Verdict) -> None:
        """End a bot that is deaf; what it was at is in the log, whatever its end looks like."""
        reason = "; ".join(verdict.reasons)
        _log.error("deaf: %s\n%s\n%s", reason, stacks.threads(), stacks.tasks(self._loop))
        self._stop.fail(BotFailedError(FailureClass.DEAF, reason))

    def _unwatched(self, error: BaseException) -> None:
        """End a bot that nobody watches any more: it could be deaf from now on, and look well."""
        _log.critical("bot-runner's own watch failed", exc_info=error)
        reason = self._redact.line(f"bot-runner's own watch failed: {type(error).__name__}: {error}")
        self._stop.fail(BotFailedError(FailureClass.TEMPORARY, reason))

    async def _watch(self) -> None:
        """Look at memory and processor time now and then, in the side loop, and read what the bot prints."""
        for stray in self._strays:
            stray.attach(self._side.loop)
        for number in itertools.count():
            self._announcer.look()
            self._usage.sample(memory_too=number <= len(_EARLY_S) or number % 2 == 0)
            await asyncio.sleep(_EARLY_S[number] if number < len(_EARLY_S) else SAMPLE_S)

    async def _close(self) -> None:
        for stray in self._strays:
            stray.detach(self._side.loop)
        await self._server.close()

    def _drive(self, main: "asyncio.Task[BotFailedError | None]") -> BotFailedError | None:
        """Turn the loop until the run is over, also where the app's code ends or stops the loop itself."""
        while True:
            try:
                return self._loop.run_until_complete(main)
            except (SystemExit, KeyboardInterrupt) as error:
                self._stop.fail(crashed(error, self._redact))
            except RuntimeError:
                if main.done():
                    raise
                self._stop.fail(BotFailedError(FailureClass.APP_CRASHED, "the app stopped the event loop"))

    async def _life(self) -> BotFailedError | None:
        """Everything from the first step to the hold before the exit; what failed, if anything did."""
        beats = asyncio.create_task(
            beat(
                self._vitals,
                self._notifier,
                look=self._signals.take,
                watched=self._bot.app.kind != "exec",
                start_s=start_timeout_s(self._bot.health, self._bot.stop_s),
            ),
            name="beat",
        )
        failure = await self._outcome()
        if failure is None:
            self._vitals.stops(self._stop.why)
        failure = self._keeper.end(failure)
        with suppress(asyncio.CancelledError):  # by the app, whose tasks are still there
            await self._ending.hold(failure)
        beats.cancel()
        return failure

    async def _outcome(self) -> BotFailedError | None:
        try:
            await self._work()
        except BotFailedError as failure:
            self._stop.fail(failure)
        except BaseException as error:
            if not self._app_runs:
                raise
            # The app may raise anything, or cancel this.
            self._stop.fail(crashed(error, self._redact))
        return self._stop.failure

    async def _work(self) -> None:
        """Start the bot and run it until it ends."""
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._listen(), self._side.loop))
        if self._bot.die_with_parent and not kernel.stop_with_parent(self._parent):
            self._stop.ask("the supervisor is gone")
        await self._pace()
        if self._stop.asked:
            return
        token = await self._resolve_token()
        if self._stop.asked:
            return
        if token:
            self._redact.learn(token)
        enter_directory(self._bot)
        if token and not await self._take_token(token):
            return
        if not await self._take_slot():
            return
        health = Health(self._vitals, self._redact, decides=self._bot.app.ready == "app")
        run = Run(
            bot=self._bot,
            token=token,
            context=Context(self._bot, token, health),
            vitals=self._vitals,
            stop=self._stop,
            redact=self._redact,
            levers=self._levers,
            own=self._usage.known.add,
            let_others_start=self._slot.release,
        )
        self._app_runs = True
        try:
            await app_kinds.load(self._bot.app.kind)(run)
        finally:
            self._slot.release()

    async def _resolve_token(self) -> str | None:
        """The token; a command that tells it is not waited for where the end is asked for."""
        if self._bot.token is None or self._bot.token.kind != "command":
            return token_source.resolve(self._bot)
        self._vitals.waits("the command that tells its token runs")
        found: list[str | None] = []

        async def ask() -> None:
            found.append(await asyncio.to_thread(token_source.resolve, self._bot))

        return found[0] if await self._stop.race(ask()) else None

    async def _listen(self) -> None:
        try:
            await self._server.start()
        except OSError as error:
            raise unusable("control socket", error) from None
        except RefusedError as error:
            raise BotFailedError(FailureClass.BAD_CONFIG, f"control socket: {error.message}") from None

    async def _pace(self) -> None:
        """Wait before a try that follows failures.

        Raises:
            BotFailedError: CRASH_LOOP, there were too many of them.
        """
        record, restart = self._keeper.record, self._bot.restart
        if runs.in_crash_loop(record, restart):
            raise runs.crash_loop(record)
        pause = runs.pause_s(record.failures, restart, random.random())  # noqa: S311  spreads restarts
        if not pause:
            return
        self._vitals.is_down(
            State.BACKOFF, f"{record.failures} runs in a row failed; the next try is in {pause:.1f} s"
        )
        if not await self._stop.wait(pause):
            self._vitals.waits("starting")
            self._keeper.begin_anew()

    async def _take_slot(self) -> bool:
        """Wait for a turn to start; False where the end was asked for meanwhile."""
        if not self._slot.try_take():
            self._vitals.waits(f"waiting for its turn: {self._slot.count} bots start at once on this machine")
            if not await self._stop.race(self._slot.take()):
                return False
        self._side.soon(self._side.loop.call_later, LONGEST_TURN_S, self._slot.release)
        return True

    async def _take_token(self, token: str) -> bool:
        """Become the one poller of this token; False where the end was asked for meanwhile.

        Raises:
            BotFailedError: CONFLICT, another process keeps it.
        """
        lock = self._lock = TokenLock(bot_id(token))
        if lock.try_take():
            return True
        wait_s = self._bot.stop_s + MARGIN_S

        def told() -> str:
            return f"{self._redact.line(lock.holder())} polls as bot {lock.bot_id}"

        self._vitals.waits(f"{told()}; waiting for its end")

        async def take() -> None:
            if not await lock.take(wait_s):
                raise BotFailedError(FailureClass.CONFLICT, told())

        return await self._stop.race(take())
