"""What the bot prints: read from pipes into its log, so that no full disk and no unread pipe blocks it."""

import asyncio
import contextlib
import os
import string
import sys
import time

from bot_runner.logs import Line, LogWriter
from bot_runner.redaction import Redactor

MAX_PIECE = 8192
# No token is longer; so much of a long line is kept back, that a token is never cut in two.
KEPT_BACK = 256
_OF_TOKENS = f"{string.ascii_letters}{string.digits}_:-".encode()


class LineCutter:
    """Cuts a byte stream into lines without secrets, the longest of them into pieces."""

    def __init__(self, redact: Redactor) -> None:
        self._redact = redact
        self._buffer = b""

    def feed(self, data: bytes) -> list[str]:
        """Take bytes as they come; give the lines that are whole."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        texts = [self._redact(line.decode("utf-8", "replace")) for line in lines]
        while len(self._buffer) > MAX_PIECE + 2 * KEPT_BACK:
            # What may be the beginning of a token is not looked at before the rest of it is there.
            begun = max(len(self._buffer.rstrip(_OF_TOKENS)), len(self._buffer) - KEPT_BACK)
            clean = self._redact(self._buffer[:begun].decode("utf-8", "surrogateescape"))
            known = clean.encode("utf-8", "surrogateescape")
            piece = known[: max(0, min(MAX_PIECE, len(known) - KEPT_BACK))]
            texts.append(piece.decode("utf-8", "replace"))
            self._buffer = known[len(piece) :] + self._buffer[begun:]
        return [text.rstrip("\r") for text in texts if text.strip()]

    def rest(self) -> list[str]:
        """What came after the last line's end."""
        rest, self._buffer = self._buffer, b""
        return self.feed(rest + b"\n") if rest else []


class StrayOutput:
    """One of the process's standard streams, led into the log.

    Parameters:
        number: 1 or 2, the stream's file descriptor.
        writer: where its lines go.
        redact: takes secrets out of them.
    """

    def __init__(self, number: int, writer: LogWriter, redact: Redactor) -> None:
        self._number, self._writer = number, writer
        self._name, self._level = ("stdout", "INFO") if number == 1 else ("stderr", "WARNING")
        self._cutter = LineCutter(redact)
        self.original = os.dup(number)
        self._pipe, end = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._pipe, False)
        os.dup2(end, number)
        os.close(end)
        # Now, as an app that leaks descriptors leaves none for the end.
        self._nowhere = os.open(os.devnull, os.O_WRONLY)
        # A new stream: the old one may believe that it can seek.
        self._old = getattr(sys, self._name)
        self._stream = open(number, "w", 1, "utf-8", "backslashreplace", closefd=False)  # noqa: SIM115
        setattr(sys, self._name, self._stream)

    def give_back(self) -> None:
        """Let the stream lead where it led before: nothing reads the pipe any more."""
        setattr(sys, self._name, self._old)
        os.dup2(self.original, self._number)

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Read it from now on in this loop; to be called in the loop's own thread."""
        loop.add_reader(self._pipe, self._read, loop)

    def detach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Read it no more in that loop; to be called in the loop's own thread."""
        loop.remove_reader(self._pipe)

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self.drain():
            loop.remove_reader(self._pipe)

    def drain(self, longest: int = 65536) -> bool:
        """Take what is there, up to so many bytes; whether the pipe is still open."""
        try:
            data = os.read(self._pipe, longest)
        except BlockingIOError:
            return True
        self._put(self._cutter.feed(data) if data else self._cutter.rest())
        return bool(data)

    def _put(self, lines: list[str]) -> None:
        now = time.time()
        for line in lines:
            self._writer.put(Line(now, self._level, self._name, line))

    def end(self) -> None:
        """Log what is left, and hear no more; to be called after ``detach``.

        What the app prints from here on, at Python's own exit, could hold its token and goes nowhere.
        """
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()
        setattr(sys, self._name, self._old)
        os.dup2(self._nowhere, self._number)
        self.drain()
        self._put(self._cutter.rest())
