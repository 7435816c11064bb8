"""Any program: in a session of its own, told its configuration, heard on a notify socket of its own."""

import asyncio
import json
import os
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path

from bot_runner.context import Run
from bot_runner.failure import BotFailedError, unusable
from bot_runner.loading import find_program
from bot_runner.programs import Program
from toolkit.lifecycle import FailureClass

_LARGEST_MESSAGE = 65536
KILLED_S = 1.0


def environment(run: Run, notify_socket: Path) -> dict[str, str]:
    """What the program finds in its environment; its token only where the bot file names a variable."""
    bot = run.bot
    own = {
        "BOT_NAME": bot.name,
        "BOT_TYPE": bot.type,
        "BOT_FLEET": bot.fleet,
        "BOT_STATE": bot.files.state,
        "BOT_CONFIG": json.dumps(bot.config, ensure_ascii=False),
        "NOTIFY_SOCKET": str(notify_socket),
        # sd_watchdog_enabled(3): it may send WATCHDOG=1, and if it does, is held to it.
        "WATCHDOG_USEC": str(int(bot.health.loop_s * 1e6)),
    }
    if bot.app.token_env and run.token:
        own[bot.app.token_env] = run.token
    return {**os.environ, **own}


class NotifySocket:
    """Where the program says how it is: sd_notify(3).

    Parameters:
        path: the socket; it lies in the bot's own runtime folder.
        run: takes what is said.
    """

    def __init__(self, path: Path, run: Run) -> None:
        self._path, self._run = path, run
        self._deadline: asyncio.TimerHandle | None = None
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(str(path))
        path.chmod(0o600)
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    def _read(self) -> None:
        with suppress(BlockingIOError):
            for line in self._socket.recv(_LARGEST_MESSAGE).decode("utf-8", "replace").splitlines():
                self._take(*line.partition("=")[::2])

    def _take(self, name: str, value: str) -> None:
        vitals = self._run.vitals
        if name == "READY" and value == "1" and not self._run.stop.asked:
            self._run.context.health.ready()
        elif name == "STATUS":
            vitals.says(self._run.redact.line(value))
        elif name == "STOPPING" and value == "1":
            vitals.stops("the program says that it is stopping")
            self._deadline = self._deadline or asyncio.get_running_loop().call_later(
                self._run.bot.stop_s, self._overdue
            )
        elif name == "WATCHDOG" and value == "1":
            vitals.last_beat = time.monotonic()

    def _overdue(self) -> None:
        """Nobody else watches a program that says that it ends."""
        reason = f"the program said that it is stopping, and did not end within {self._run.bot.stop_s:g} s"
        self._run.stop.fail(BotFailedError(FailureClass.APP_CRASHED, reason))

    def close(self) -> None:
        """Hear no more."""
        if self._deadline:
            self._deadline.cancel()
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        self._path.unlink(missing_ok=True)


def _words(code: int) -> str:
    if code >= 0:
        return f"the program ended with code {code}"
    try:
        return f"the program was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"the program was ended by signal {-code}"


async def _stop(program: Program, ended: "asyncio.Task[int]", run: Run) -> None:
    program.signal(signal.SIGTERM)
    await asyncio.wait({ended}, timeout=run.stop.remaining(run.bot.stop_s))
    if not ended.done():
        run.context.logger.error("the program did not end within %g s and is killed", run.bot.stop_s)
        program.signal(signal.SIGKILL)
        await asyncio.wait({ended}, timeout=KILLED_S)


async def run(run: Run) -> None:
    """Run an ``exec`` bot until it is asked to end.

    Its own exit codes are never classes: an end that nobody asked for is a crash, whatever the code.

    Raises:
        BotFailedError: it cannot be started, or ended though nobody asked for it.
    """
    run.vitals.waits("starting the program")
    argv = run.bot.app.argv
    path = find_program(argv[0])
    notify_socket = Path(run.bot.files.socket).with_name("notify.sock")
    try:
        notify = NotifySocket(notify_socket, run)
    except OSError as error:
        raise unusable(notify_socket, error) from None
    try:
        program = Program(path, argv, environment(run, notify_socket))
        run.own(program.pid)
        ended = asyncio.create_task(program.ended())
        if run.bot.app.ready == "start":
            run.vitals.is_ready()
        else:
            run.vitals.waits("the program has not said READY=1")
        await run.stop.race(asyncio.shield(ended))
        if not run.stop.asked:
            raise BotFailedError(FailureClass.APP_CRASHED, _words(ended.result()))
        run.vitals.stops(run.stop.why)
        await _stop(program, ended, run)
    finally:
        notify.close()
