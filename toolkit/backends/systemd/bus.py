"""One connection to a message bus: every call has a deadline, many go out at once, signals are kept.

Messages are made and read by jeepney; the socket is our own, so that sending has a deadline too.
The protocol: https://dbus.freedesktop.org/doc/dbus-specification.html
"""

import socket
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from jeepney.auth import BEGIN, make_auth_external
from jeepney.low_level import HeaderFields, Message, MessageType, Parser, SizeLimitError
from jeepney.wrappers import DBusAddress, new_method_call

from toolkit.backends import NotRunningError
from toolkit.backends.deadline import limit
from toolkit.errors import BackendError, RefusedError

BUS = "org.freedesktop.DBus"
# dbus-daemon's system.conf allows 128 pending replies to one connection, busctl and systemctl of the same
# user among them as other connections; beyond it a call fails.
MAX_PENDING = 64
# Signals are hints: who waits for one also looks for himself.
MAX_SIGNALS = 4096
_PERMIT = (
    "run it as root, or have root put the rule of `toolkit render --polkit` in place for the fleet's group"
)
# What a bus says that was started anew, before systemd has come back to it.
_AWAY = tuple(f"{BUS}.Error.{name}" for name in ("NameHasNoOwner", "NoReply", "ServiceUnknown", "Spawn."))
_READ = 1 << 18
_DENIED = (
    f"{BUS}.Error.AccessDenied",
    f"{BUS}.Error.AuthFailed",
    f"{BUS}.Error.InteractiveAuthorizationRequired",
)


class LostError(NotRunningError):
    """The connection broke. What was asked may or may not have been done."""


class FaultError(BackendError):
    """The one who was called answered with an error.

    Parameters:
        name: the error's D-Bus name.
        text: its words.
    """

    def __init__(self, name: str, text: str, what: str) -> None:
        super().__init__(f"systemd refused {what}: {text or name}")
        self.name = name
        self.text = text


class DeniedError(RefusedError):
    """The caller may not do this: D-Bus's or polkit's policy says so."""


# The body of an answer, or the error that stands for it.
Answer = tuple[Any, ...] | FaultError | DeniedError


@dataclass(frozen=True, slots=True)
class Call:
    """A method call.

    Parameters:
        path: of the object.
        signature: of the body, in D-Bus's own letters.
        destination: the bus name of the one who is called.
    """

    path: str
    interface: str
    member: str
    signature: str = ""
    body: tuple[Any, ...] = ()
    destination: str = "org.freedesktop.systemd1"

    def message(self) -> Message:
        """The call as jeepney sends it."""
        to = DBusAddress(self.path, bus_name=self.destination, interface=self.interface)
        return new_method_call(to, self.member, self.signature or None, self.body)

    @property
    def words(self) -> str:
        """Method and the unit or object that it is about."""
        about = next((part for part in self.body if isinstance(part, str) and part), "")
        return f"{self.member} {about}".strip()


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal that arrived."""

    member: str
    body: tuple[Any, ...]


class Bus:
    """A connection that is made by the first call, and anew after it was lost.

    Parameters:
        socket_path: the bus's socket; with a NUL first where it is an abstract one.
        timeout_s: seconds for calls that name no other.
        hint: what to do where the bus cannot be reached.
        systemctl: the command that asks the same manager, for hints.
        manager_runs: tells whether the manager runs, also where its bus cannot be reached.
        subscribed: whether this connection, if there is one, gets the manager's signals.
        was_up: whether there ever was a connection.
    """

    def __init__(
        self,
        socket_path: str,
        timeout_s: float,
        hint: str = "",
        systemctl: str = "systemctl",
        manager_runs: Callable[[], bool] = lambda: False,
    ) -> None:
        self.signals: deque[Signal] = deque(maxlen=MAX_SIGNALS)
        self.subscribed = self.was_up = False
        self._path, self._timeout_s, self._hint, self.systemctl = socket_path, timeout_s, hint, systemctl
        self.manager_runs = manager_runs
        self._sock: socket.socket | None = None
        self._parser = Parser()
        self._serials = count(1)

    def call(self, call: Call, timeout_s: float | None = None) -> tuple[Any, ...]:
        """The body of one answer.

        Raises:
            FaultError, DeniedError, LostError, NotRunningError, BackendError: no answer in time.
        """
        (answer,) = self.many([call], timeout_s)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def many(self, calls: Sequence[Call], timeout_s: float | None = None) -> list[Answer]:
        """The bodies of many answers, asked for together; an error stands where one was the answer.

        Parameters:
            timeout_s: seconds for all of them.
        """
        deadline = time.monotonic() + (timeout_s or self._timeout_s)
        answers: list[Answer] = []
        try:
            self._connect(deadline)
            for start in range(0, len(calls), MAX_PENDING):
                answers += self._exchange(calls[start : start + MAX_PENDING], deadline)
        except TimeoutError:
            self.close()
            what = calls[0].words if calls else "anything"
            raise BackendError(
                f"systemd gave no answer to {what} within {timeout_s or self._timeout_s:g} s",
                f"is it busy? see `{self.systemctl} list-jobs`",
            ) from None
        except BaseException:
            self.close()
            raise
        return answers

    def wait_signal(self, deadline: float) -> bool:
        """Wait until a signal is there.

        Parameters:
            deadline: by the monotonic clock.

        Returns:
            Whether one came in time.

        Raises:
            LostError: the connection broke, or there was none.
        """
        try:
            while not self.signals:
                self._receive(deadline)
        except TimeoutError:
            return False
        except BaseException:
            self.close()
            raise
        return True

    def close(self) -> None:
        """Let the connection go, and the signals that came by it."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None
        self._parser = Parser()
        self.signals.clear()
        self.subscribed = False

    def _connect(self, deadline: float) -> None:
        """Connect, authenticate and say hello, in one round trip as sd-bus does."""
        if self._sock is not None:
            return
        sock = socket.socket(socket.AF_UNIX)
        weakref.finalize(self, sock.close)
        limit(sock, deadline)
        try:
            sock.connect(self._path)
        except TimeoutError:
            raise
        except PermissionError as error:
            raise DeniedError(f"{self._path}: {error.strerror}", self._hint) from None
        except OSError as error:
            where = self._path.replace("\0", "@", 1)
            raise NotRunningError(f"no message bus at {where}: {error.strerror}", self._hint) from None
        self._sock = sock
        hello = Call("/org/freedesktop/DBus", BUS, "Hello", destination=BUS)
        serial = next(self._serials)
        self._send(b"\0" + make_auth_external() + BEGIN + hello.message().serialise(serial), deadline)
        self._authenticated(deadline)
        answer = self._answers({serial: hello}, deadline)[serial]
        if isinstance(answer, Exception):
            raise answer
        self.was_up = True

    def _authenticated(self, deadline: float) -> None:
        data = bytearray()
        while (end := data.find(b"\r\n")) < 0:
            data += self._read(deadline)
        line = bytes(data[:end])
        if not line.startswith(b"OK "):
            raise DeniedError(f"{self._path}: the bus takes no calls of this user", self._hint)
        self._parser.add_data(bytes(data[end + 2 :]))

    def _exchange(self, calls: Sequence[Call], deadline: float) -> list[Answer]:
        sent = {next(self._serials): call for call in calls}
        self._send(b"".join(call.message().serialise(serial) for serial, call in sent.items()), deadline)
        answers = self._answers(sent, deadline)
        if any(isinstance(one, FaultError) and one.name.startswith(_AWAY) for one in answers.values()):
            raise LostError("systemd is not on the message bus", self._hint)
        return [answers[serial] for serial in sent]

    def _answers(self, sent: dict[int, Call], deadline: float) -> dict[int, Answer]:
        answers: dict[int, Answer] = {}
        while len(answers) < len(sent):
            message = self._receive(deadline)
            if message is not None:
                serial = message.header.fields.get(HeaderFields.reply_serial)
                if serial in sent:
                    answers[serial] = _answer(message, sent[serial])
        return answers

    def _receive(self, deadline: float) -> Message | None:
        """The next message; None where it was a signal, which is kept."""
        try:
            while (message := self._parser.get_next_message()) is None:
                self._parser.add_data(self._read(deadline))
        except (ValueError, LookupError, AssertionError, SizeLimitError) as error:
            raise LostError(f"{self._path}: the bus sent what cannot be read: {error}") from None
        if message.header.message_type is not MessageType.signal:
            return message
        self.signals.append(Signal(str(message.header.fields.get(HeaderFields.member)), message.body))
        return None

    def _send(self, data: bytes, deadline: float) -> None:
        sock = self._live()
        limit(sock, deadline)
        try:
            sock.sendall(data)
        except TimeoutError:
            raise
        except OSError as error:
            raise LostError(f"the message bus hung up: {error.strerror}", self._hint) from None

    def _read(self, deadline: float) -> bytes:
        sock = self._live()
        limit(sock, deadline)
        try:
            data = sock.recv(_READ)
        except TimeoutError:
            raise
        except OSError as error:
            raise LostError(f"the message bus hung up: {error.strerror}", self._hint) from None
        if not data:
            raise LostError("the message bus hung up", self._hint)
        return data

    def _live(self) -> socket.socket:
        if self._sock is None:
            raise LostError("the connection to the message bus is gone", self._hint)
        return self._sock


def _answer(message: Message, call: Call) -> Answer:
    if message.header.message_type is not MessageType.error:
        body: tuple[Any, ...] = message.body
        return body
    name = str(message.header.fields.get(HeaderFields.error_name))
    text = str(message.body[0]) if message.body else ""
    if name in _DENIED:
        return DeniedError(f"not permitted: {call.words}: {text}", _PERMIT)
    return FaultError(name, text, call.words)
