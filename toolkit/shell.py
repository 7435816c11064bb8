"""The one place where the toolkit starts programs: as lists, never through a shell."""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import ToolkitError

# After a kill, what still holds the pipes is a process that left the group: it is not waited for.
_LAST_READ_S = 0.5
# What has closed its output ends soon.
_END_S = 10.0
_CHUNK = 1 << 20
# Bytes of errors that are kept, to be told.
_SAID = 4096


@dataclass(frozen=True, slots=True)
class CompletedCommand:
    """A program that has ended.

    Parameters:
        argv: what was run.
        code: its exit code; the negative number of the signal that ended it.
        stdout: its output, UTF-8 with other bytes replaced.
        stderr: its errors, likewise.
    """

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str


def run(
    argv: Sequence[str],
    *,
    timeout_s: float,
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
    input: str | None = None,  # noqa: A002, the word of subprocess
) -> CompletedCommand:
    """Run a program to its end and take what it prints.

    Parameters:
        argv: the program, looked up on PATH, and its arguments.
        timeout_s: seconds after which the program and its whole process group are killed.
        env: the whole environment; this process's own if None.
        cwd: the working folder; this process's own if None.
        input: what it reads; nothing if None.

    Raises:
        ToolkitError: the program cannot be started or ran out of time. Its arguments and output, which
            may hold a secret, are not in the message.
    """
    with _starting(argv):
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            cwd=cwd,
            start_new_session=True,
        )
    stdout, stderr = _output(process, argv[0], timeout_s, None if input is None else input.encode())
    return CompletedCommand(tuple(argv), process.returncode, _text(stdout), _text(stderr))


def lines(argv: Sequence[str], silent_s: float | None = None) -> Generator[list[str], None, None]:
    """What a program prints, in the batches of whole lines that it comes in.

    Parameters:
        argv: the program, looked up on PATH, and its arguments.
        silent_s: seconds that it may print nothing; None for ever.

    Yields:
        Lines without their ends. Whoever closes the generator before its end ends the program.

    Raises:
        ToolkitError: the program cannot be started, was silent for too long, or failed; with its own words.
    """
    with _starting(argv):
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    try:
        rest, said = b"", bytearray()
        for data in _chunks(process, argv[0], silent_s, said):
            *whole, rest = (rest + data).split(b"\n")
            if whole:
                yield [_text(line) for line in whole]
        _, errors = _output(process, argv[0], _END_S, None)
        if process.returncode:
            words = " ".join(_text(bytes(said) + errors).split()) or f"ended with {process.returncode}"
            raise ToolkitError(f"{argv[0]}: {words[:500]}")
    finally:
        if process.poll() is None:
            _kill(process)
        for pipe in (process.stdout, process.stderr):
            if pipe:
                pipe.close()


def _chunks(
    process: subprocess.Popen[bytes], program: str, silent_s: float | None, said: bytearray
) -> Iterator[bytes]:
    """What it prints, as it comes. Its errors are read too, as a full pipe would stop it.

    Parameters:
        said: gets the first of its errors.
    """
    with selectors.DefaultSelector() as pipes:
        for pipe in filter(None, (process.stdout, process.stderr)):
            pipes.register(pipe, selectors.EVENT_READ)
        heard = time.monotonic()
        while True:
            left = None if silent_s is None else heard + silent_s - time.monotonic()
            ready = [key.fd for key, _ in pipes.select(left)] if left is None or left > 0 else []
            if not ready:
                raise ToolkitError(f"{program} said nothing for {silent_s:g} s")
            for fd in ready:
                data = os.read(fd, _CHUNK)
                if process.stdout and fd == process.stdout.fileno():
                    if not data:
                        return
                    yield data
                    heard = time.monotonic()
                elif data:
                    said += data[: max(0, _SAID - len(said))]
                else:
                    pipes.unregister(fd)


@contextmanager
def _starting(argv: Sequence[str]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # subprocess names in `filename` what failed: the program or the working folder.
        what = f": {error.filename}" if error.filename and str(error.filename) != argv[0] else ""
        raise ToolkitError(f"cannot start {argv[0]}: {error.strerror or error}{what}") from None
    except ValueError as error:  # a NUL byte
        raise ToolkitError(f"cannot start {argv[0]!r}: {error}") from None


def _output(
    process: subprocess.Popen[bytes], program: str, timeout_s: float, data: bytes | None
) -> tuple[bytes, bytes]:
    try:
        return process.communicate(data, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        _kill(process)
        raise ToolkitError(f"{program} did not end within {timeout_s:g} s and was killed") from None
    except BaseException:  # an interrupt must not leave the program behind
        _kill(process)
        raise


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    try:
        process.communicate(timeout=_LAST_READ_S)
    except subprocess.TimeoutExpired:
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:
                pipe.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LAST_READ_S)


def _text(data: bytes) -> str:
    return data.decode(errors="replace")
