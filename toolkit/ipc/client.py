"""Ask bots over their control sockets: one or all at once, under one deadline, without threads."""

import errno
import os
import selectors
import socket
import stat
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from toolkit.errors import ToolkitError
from toolkit.ipc import protocol

_READ_SIZE = 65536
# A full backlog gives no event to wait for: unix(7), EAGAIN.
_BACKLOG_PAUSE_S = 0.005
# Of a question's time, what is left for the way back once the bot has begun to answer.
_WAY_BACK = 0.1


class FailureKind(StrEnum):
    """Why a bot gave no answer."""

    NOT_RUNNING = "not running"
    HUNG = "hung"
    FORBIDDEN = "forbidden"
    PROTOCOL = "protocol"


@dataclass(frozen=True, slots=True)
class Failure:
    """What came in place of an answer.

    Parameters:
        kind: what to make of it.
        message: what happened.
        code: the error's code in the control protocol, 0 where there was none.
    """

    kind: FailureKind
    message: str
    code: int = 0


class UnreachableError(ToolkitError):
    """A bot that cannot be asked; ``failure`` tells why."""

    def __init__(self, path: Path, failure: Failure) -> None:
        names_it = failure.kind is FailureKind.NOT_RUNNING
        super().__init__(failure.message if names_it else f"{path}: {failure.message}")
        self.failure = failure


def ask(bot: str, path: Path, method: str, params: dict[str, Any] | None = None, *, timeout_s: float) -> Any:
    """One bot's answer.

    Parameters:
        bot: its name.
        path: its control socket.
        method: what to ask, one of the control protocol's methods.
        params: the method's parameters.
        timeout_s: seconds for all of it.

    Raises:
        RpcError: the bot answered an error, or what is no answer.
        UnreachableError: it is not running, hangs, or may not be asked.
    """
    answer = ask_many({bot: path}, method, params, timeout_s=timeout_s)[bot]
    if not isinstance(answer, Failure):
        return answer
    if answer.kind is FailureKind.PROTOCOL and answer.code:
        raise protocol.RpcError(answer.code, f"{path}: {answer.message}")
    raise UnreachableError(path, answer)


def ask_many(
    requests: Mapping[str, Path],
    method: str,
    params: dict[str, Any] | None = None,
    *,
    timeout_s: float,
    lapses: bool = True,
) -> dict[str, Any | Failure]:
    """Ask many bots the same at once.

    Parameters:
        requests: each bot's name → its control socket.
        method: what to ask, one of the control protocol's methods.
        params: the method's parameters.
        timeout_s: seconds for all of them together.
        lapses: whether a bot that comes to it later than that, as one that was stopped may, is not to do it.

    Returns:
        Name → the answer or a Failure, in the order of the requests.

    Raises:
        RpcError: OVERSIZE, the parameters do not fit a frame.
    """
    return Asked(requests, method, params, timeout_s=timeout_s, lapses=lapses).answers()


class Asked:
    """A question that is on its way to many bots, so that other work can be done while they answer.

    Parameters:
        requests, method, params, timeout_s, lapses: as for ``ask_many``; the time runs from here.

    Raises:
        RpcError: OVERSIZE, the parameters do not fit a frame.
    """

    def __init__(
        self,
        requests: Mapping[str, Path],
        method: str,
        params: dict[str, Any] | None = None,
        *,
        timeout_s: float,
        lapses: bool = True,
    ) -> None:
        until = time.monotonic() + timeout_s * (1 - _WAY_BACK) if lapses else None
        question = protocol.Request(1, method, params or {}, until)
        calls = {bot: protocol.call(replace(question, bot=bot)) for bot in requests}
        self._requests, self._timeout_s = requests, timeout_s
        self._deadline = time.monotonic() + timeout_s
        self._selector = selectors.DefaultSelector()
        self._round = _Round(self._selector, requests, calls)
        self._round.open()

    def answers(self) -> dict[str, Any | Failure]:
        """Name → the answer or a Failure, in the order of the requests. Ends the question: call it once."""
        try:
            self._round.run(self._deadline)
        finally:
            self._round.close()
            self._selector.close()
        silent = Failure(FailureKind.HUNG, f"no answer within {self._timeout_s:g} s")
        return {name: self._round.answers.get(name, silent) for name in self._requests}


class _Talk:
    """One connection: what is still to be sent, and what has come."""

    __slots__ = ("decoder", "name", "sock", "unsent")

    def __init__(self, name: str, sock: socket.socket, call: bytes) -> None:
        self.name = name
        self.sock = sock
        self.unsent = call
        self.decoder = protocol.FrameDecoder()

    def send(self) -> bool:
        """Send what the socket takes; whether all is sent."""
        self.unsent = self.unsent[self.sock.send(self.unsent) :]
        return not self.unsent

    def receive(self) -> Any:
        """The answer once it is whole, ``_PENDING`` before."""
        data = self.sock.recv(_READ_SIZE)
        if not data:
            return Failure(FailureKind.PROTOCOL, "it closed the connection without an answer")
        payloads = self.decoder.feed(data)
        return protocol.parse_answer(payloads[0], self.name) if payloads else _PENDING


_PENDING = object()


class _Round:
    """All the talks of one question; as many at once as there are file descriptors."""

    def __init__(
        self, selector: selectors.BaseSelector, requests: Mapping[str, Path], calls: Mapping[str, bytes]
    ) -> None:
        self.answers: dict[str, Any] = {}
        self._selector, self._requests = selector, requests
        self._waiting = deque(requests.items())
        self._calls = calls
        self._talks: set[_Talk] = set()
        self._room = len(requests)

    def run(self, deadline: float) -> None:
        while True:
            self.open()
            left = deadline - time.monotonic()
            if left <= 0 or not (self._waiting or self._talks):
                return
            if self._waiting and len(self._talks) < self._room:
                left = min(left, _BACKLOG_PAUSE_S)
            for key, _ in self._selector.select(left):
                self._advance(key.data)

    def close(self) -> None:
        for talk in self._talks:
            talk.sock.close()

    def open(self) -> None:
        """Connect to those that wait, each tried once."""
        for _ in range(min(len(self._waiting), self._room - len(self._talks))):
            name, path = self._waiting.popleft()
            try:
                sock = _connect(path)
            except BlockingIOError:
                self._waiting.append((name, path))
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE) and self._talks:
                    # The others come as these end.
                    self._room = len(self._talks)
                    self._waiting.appendleft((name, path))
                    return
                self.answers[name] = _failure(error, path)
            else:
                self._begin(_Talk(name, sock, self._calls[name]))

    def _begin(self, talk: _Talk) -> None:
        self._talks.add(talk)
        self._selector.register(talk.sock, selectors.EVENT_WRITE, talk)
        self._advance(talk)

    def _advance(self, talk: _Talk) -> None:
        """Send or receive what can be; end the talk at its answer or failure."""
        try:
            if not talk.unsent:
                answer = talk.receive()
            else:
                answer = _PENDING
                if talk.send():
                    self._selector.modify(talk.sock, selectors.EVENT_READ, talk)
        except BlockingIOError:
            return
        except protocol.RpcError as error:
            answer = Failure(FailureKind.PROTOCOL, error.message, error.code)
        except OSError as error:
            answer = _failure(error, self._requests[talk.name])
        if answer is not _PENDING:
            self._end(talk, answer)

    def _end(self, talk: _Talk, answer: Any) -> None:
        self.answers[talk.name] = answer
        self._selector.unregister(talk.sock)
        talk.sock.close()
        self._talks.discard(talk)


def _connect(path: Path) -> socket.socket:
    """Connect to a socket itself: a bot may lay a link to another's in the place of its own."""
    place = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if stat.S_ISLNK(os.fstat(place).st_mode):
            raise OSError(errno.ELOOP, f"{path} is a link: remove it, and see who made it")
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            sock.connect(f"/proc/self/fd/{place}")
        except BaseException:
            sock.close()
            raise
        return sock
    finally:
        os.close(place)


def _failure(error: OSError, path: Path) -> Failure:
    words = error.strerror or str(error)
    if error.errno == errno.ECONNREFUSED:
        return Failure(FailureKind.NOT_RUNNING, f"nobody listens on its control socket {path}")
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return Failure(FailureKind.NOT_RUNNING, f"its control socket {path} is not there")
    if error.errno in (errno.EACCES, errno.EPERM):
        return Failure(FailureKind.FORBIDDEN, "no permission to connect to its control socket")
    return Failure(FailureKind.PROTOCOL, words)
