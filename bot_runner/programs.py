"""The one place where the runner starts programs."""

import asyncio
import errno
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO, cast

from bot_runner.failure import BotFailedError
from toolkit.lifecycle import FailureClass

# Between fork and exec only a process without threads may run Python: so a small one is started, which asks
# the kernel to end it with the runner, gives signals the meaning back that Python takes away, and becomes
# the program. What it writes to the pipe is why it could not; the pipe closes when it has.
_TRAMPOLINE = """
import ctypes, os, signal, sys
parent, pipe, program, *argv = sys.argv[1:]
os.set_inheritable(int(pipe), False)
ctypes.CDLL(None).prctl(1, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)
if os.getppid() != int(parent): os._exit(1)
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
try: os.execv(program, argv)
except OSError as error: os.write(int(pipe), error.strerror.encode())
os._exit(127)
"""


class Program:
    """A program that runs, in a session of its own, and dies with the runner.

    Parameters:
        path: the program's file.
        argv: its arguments, the first being its own name.
        environ: its environment.

    Raises:
        BotFailedError: APP_IMPORT, it cannot be executed; BAD_CONFIG, what it is to be told is too long;
            TEMPORARY, no process can be started.
    """

    def __init__(self, path: str, argv: Sequence[str], environ: Mapping[str, str]) -> None:
        reading, writing = os.pipe2(os.O_CLOEXEC)
        command = [sys.executable, "-ISc", _TRAMPOLINE, str(os.getpid()), str(writing), path, *argv]
        with open(reading, "rb") as pipe:
            try:
                self._child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    env=environ,
                    start_new_session=True,
                    pass_fds=(writing,),
                )
            except OSError as error:
                raise _unstarted(path, error) from None
            finally:
                os.close(writing)
            why = pipe.read().decode()
        if why:
            self._child.wait()
            raise BotFailedError(FailureClass.APP_IMPORT, f"{path} cannot be executed: {why}")

    @property
    def pid(self) -> int:
        """The program's process id, and its session's."""
        return self._child.pid

    def signal(self, number: signal.Signals) -> None:
        """Signal all of the program's session: a shell does not pass signals on."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, number)

    async def ended(self) -> int:
        """Wait for the end, by a pidfd: no thread, no polling. Its exit code, negative for a signal."""
        loop, event = asyncio.get_running_loop(), asyncio.Event()
        descriptor = os.pidfd_open(self._child.pid)
        try:
            loop.add_reader(descriptor, event.set)
            await event.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        return self._child.wait()


def _unstarted(path: str, error: OSError) -> BotFailedError:
    if error.errno == errno.E2BIG:
        reason = (
            f"{path}: its arguments or its configuration are too long for a program: 128 KiB each at most"
        )
        return BotFailedError(FailureClass.BAD_CONFIG, reason)
    return BotFailedError(FailureClass.TEMPORARY, f"{path} cannot be started: {error.strerror}")


def output(argv: Sequence[str], within_s: float, at_most: int) -> bytes:
    """What a program prints.

    Parameters:
        argv: the program, looked up on PATH, and its arguments.
        within_s: seconds after which it is killed.
        at_most: bytes after which it is killed.

    Raises:
        BotFailedError: TEMPORARY, it failed or took too long; BAD_CONFIG, it cannot start or prints more.
    """
    end = time.monotonic() + within_s
    nothing = subprocess.DEVNULL
    try:
        child = subprocess.Popen(argv, stdin=nothing, stdout=subprocess.PIPE, stderr=nothing, bufsize=0)
    except OSError as error:
        raise BotFailedError(FailureClass.BAD_CONFIG, f"{argv[0]}: {error.strerror}") from None
    with child:
        try:
            printed = _read(cast("IO[bytes]", child.stdout), end, at_most)
            code = child.wait(max(0.0, end - time.monotonic()))
        except (TimeoutError, subprocess.TimeoutExpired):
            reason = f"{argv[0]} took longer than {within_s:g} s"
            raise BotFailedError(FailureClass.TEMPORARY, reason) from None
        except OverflowError:
            reason = f"{argv[0]} prints more than {at_most} bytes"
            raise BotFailedError(FailureClass.BAD_CONFIG, reason) from None
        finally:
            child.kill()
    if code:
        raise BotFailedError(FailureClass.TEMPORARY, f"{argv[0]} failed with code {code}")
    return printed


def _read(stream: IO[bytes], end: float, at_most: int) -> bytes:
    """All of a pipe.

    Raises:
        TimeoutError: it was not closed by then.
        OverflowError: there is more.
    """
    poll, data = select.poll(), b""
    poll.register(stream, select.POLLIN)
    while len(data) <= at_most:
        if not poll.poll(max(0.0, end - time.monotonic()) * 1000):
            raise TimeoutError
        piece = os.read(stream.fileno(), at_most + 1 - len(data))
        if not piece:
            return data
        data += piece
    raise OverflowError
