"""The bot's log: redacted where a line is made, written by a thread, so that no disk blocks the bot."""

import contextlib
import logging
import os
import queue
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from bot_runner.redaction import Redactor
from bot_runner.state_log import SELDOM_S
from toolkit.botfile import Log
from toolkit.clock import rfc3339

MAX_QUEUED = 10_000
MAX_LINE = 64 * 1024
_BATCH = 100
# The form of lines for systemd's journal, which keeps the time itself.
JOURNAL = "journal"
_PRIORITIES = {"CRITICAL": 2, "ERROR": 3, "WARNING": 4, "INFO": 6, "DEBUG": 7}
# INFO lines of these hold a URL with the token for every call.
QUIET = ("httpx", "httpcore")
# Write a stack and the whole answer for each that they cannot read: a proxy's page, all through an outage.
TALKATIVE = ("telegram.request.BaseRequest", "telegram.ext.ExtBot")


class Line(NamedTuple):
    """One line to be written, already without secrets."""

    created: float
    level: str
    logger: str
    message: str
    exception: str = ""


def render(line: Line, form: str) -> bytes:
    """The line as the file holds it: a JSON object, or text whose further lines are indented.

    For the journal each line of the text has its priority before it: sd-daemon(3).
    """
    if form == "json":
        body = {
            "ts": rfc3339(line.created),
            "level": line.level,
            "logger": line.logger,
            "message": line.message,
        }
        if line.exception:
            body["exception"] = line.exception
        return msgspec.json.encode(body) + b"\n"
    text = f"{line.message}\n{line.exception}" if line.exception else line.message
    if form == JOURNAL:
        priority = f"<{_PRIORITIES.get(line.level, 6)}>"
        return f"{priority}{line.logger}: {text}".replace("\n", f"\n{priority}    ").encode() + b"\n"
    head = f"{rfc3339(line.created)} {line.level} {line.logger}: "
    return (head + text.replace("\n", "\n    ") + "\n").encode()


def _writable(text: str) -> str:
    """The text cut to a bound, without lone surrogates, which UTF-8 cannot hold."""
    return text[:MAX_LINE].encode("utf-8", "backslashreplace").decode()


class RotatingFile:
    """A file that starts anew when it is full and keeps a few of its predecessors.

    Parameters:
        path: the file.
        max_bytes: size at which it is rotated; 0 for never.
        keep: how many rotated files stay.

    When something else moved the file away, the next line begins a new one.
    """

    def __init__(self, path: Path, max_bytes: int, keep: int) -> None:
        self._path, self._max, self._keep = str(path), max_bytes, keep
        self._file: int | None = None
        self._size = 0

    def write(self, data: bytes) -> None:
        """Append, rotating first where the file would grow too long.

        Raises:
            OSError: the disk is full or the folder cannot be written.
        """
        file = self._opened()
        if self._max and self._size and self._size + len(data) > self._max:
            self._rotate()
            file = self._opened()
        while data:
            written = os.write(file, data)
            self._size += written
            data = data[written:]

    def close(self) -> None:
        """Close the file, if it is open."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _opened(self) -> int:
        if self._file is not None:
            with contextlib.suppress(OSError):
                on_disk, here = os.stat(self._path), os.fstat(self._file)
                if (on_disk.st_dev, on_disk.st_ino) == (here.st_dev, here.st_ino):
                    return self._file
            self.close()
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        self._size = os.fstat(self._file).st_size
        return self._file

    def _rotate(self) -> None:
        self.close()
        for number in range(self._keep - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                os.rename(f"{self._path}.{number}", f"{self._path}.{number + 1}")
        if self._keep:
            os.rename(self._path, f"{self._path}.1")
        else:
            os.unlink(self._path)


class Journal:
    """Systemd's journal, which reads what this process was started with as standard error."""

    def __init__(self) -> None:
        self._stream = os.dup(2)

    def write(self, data: bytes) -> None:
        """Write all of it.

        Raises:
            OSError: the journal does not read any more.
        """
        while data:
            data = data[os.write(self._stream, data) :]


class LogWriter:
    """A bounded queue and the thread that empties it into a file. What does not fit is counted and said.

    Parameters:
        path: the log file; None for systemd's journal.
        log: its form and rotation, of which the journal has its own.
    """

    def __init__(self, path: Path | None, log: Log) -> None:
        self._file = RotatingFile(path, log.max_bytes, log.keep) if path else Journal()
        self._form = log.format if path else JOURNAL
        # A SimpleQueue may be used in a signal handler; its bound is kept by `put`.
        self._queue: queue.SimpleQueue[Line | threading.Event] = queue.SimpleQueue()
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def put(self, line: Line) -> None:
        """Take a line to write. Never blocks and never raises."""
        if self._queue.qsize() >= MAX_QUEUED:
            self._dropped += 1
        else:
            self._queue.put(line)

    def flush(self, timeout: float) -> bool:
        """Wait until what was taken so far is written; whether it was, within so many seconds."""
        done = threading.Event()
        self._queue.put(done)
        return done.wait(timeout)

    def _run(self) -> None:
        while True:
            # What waits already is written at once, in pieces small enough to rotate well.
            batch: list[bytes] = []
            done: threading.Event | None = None
            while done is None and len(batch) < _BATCH and not (batch and self._queue.empty()):
                item = self._queue.get()
                if isinstance(item, threading.Event):
                    done = item
                else:
                    batch.append(self._rendered(item))
            self._write(b"".join(batch), len(batch))
            if done is not None or self._queue.empty():
                self._say_dropped()
            if done is not None:
                done.set()

    def _rendered(self, line: Line) -> bytes:
        try:
            return render(line, self._form)
        except Exception as error:  # noqa: BLE001  a record may hold anything, and the thread has to live
            text = f"a line of {line.logger!r} cannot be written: {type(error).__name__}"
            return render(Line(time.time(), "ERROR", "bot_runner", text), self._form)

    def _write(self, data: bytes, lines: int) -> None:
        try:
            if lines:
                self._file.write(data)
        except OSError:
            self._dropped += lines

    def _say_dropped(self) -> None:
        if self._dropped:
            text = f"{self._dropped} log lines were lost: too many at once, or the disk was full"
            line = render(Line(time.time(), "WARNING", "bot_runner", text), self._form)
            with contextlib.suppress(OSError):
                self._file.write(line)
                self._dropped = 0


class QueueHandler(logging.Handler):
    """Hands records to the writer, as text without secrets."""

    def __init__(self, writer: LogWriter, redact: Redactor) -> None:
        super().__init__()
        self._writer, self._redact = writer, redact
        self._exceptions = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        """Take one record; a record that cannot be formatted says so instead of raising."""
        try:
            message = record.getMessage()
        except Exception as error:  # noqa: BLE001  the arguments' own __str__ may raise anything
            message = f"{record.msg!r} (cannot be formatted: {type(error).__name__})"
        exception = record.exc_text or ""
        if record.exc_info and not exception:
            exception = self._exceptions.formatException(record.exc_info)
        if record.stack_info:
            exception += "\n" + record.stack_info
        self._writer.put(
            Line(
                record.created,
                _writable(record.levelname),
                _writable(record.name),
                _writable(self._redact(message)),
                _writable(self._redact(exception.strip())) if exception else "",
            )
        )


class Seldom(logging.Filter):
    """Lets an error from one place of the code pass once in a while; what is no error passes always."""

    def __init__(self) -> None:
        super().__init__()
        self._passed: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be written."""
        place, now = (record.pathname, record.lineno), time.monotonic()
        if record.levelno < logging.ERROR:
            return True
        passes = now - self._passed.get(place, float("-inf")) >= SELDOM_S
        if passes:
            self._passed[place] = now
        return passes


def _redacting_factory(redact: Redactor) -> Any:
    """Makes records that hold no secret, so that handlers which the app adds cannot write one either."""
    plain = logging.getLogRecordFactory()
    exceptions = logging.Formatter()

    def make(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = plain(*args, **kwargs)
        with contextlib.suppress(Exception):  # a message that cannot be formatted is its handler's trouble
            message = record.getMessage()
            clean = redact(message)
            if clean != message:
                record.msg, record.args = clean, None
        if record.exc_info and record.exc_info[0] is not None:
            text = exceptions.formatException(record.exc_info)
            clean = redact(text)
            if clean != text:
                record.exc_text = clean
        return record

    return make


def install(writer: LogWriter, log: Log, redact: Redactor) -> None:
    """Send all logging of this process to the writer, at the level that the bot file asks for."""
    logging.setLogRecordFactory(_redacting_factory(redact))
    logging.raiseExceptions = False
    root = logging.getLogger()
    root.handlers[:] = [QueueHandler(writer, redact)]
    root.setLevel(log.level)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in TALKATIVE:
        logging.getLogger(name).addFilter(Seldom())
    logging.captureWarnings(capture=True)
