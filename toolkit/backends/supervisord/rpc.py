"""Calls to supervisord over its Unix socket: one kept connection, each call with a deadline."""

import socket
import time
import weakref
from collections.abc import Sequence
from typing import Any

from toolkit.backends import HungError, NotRunningError, SocketGoneError
from toolkit.backends.deadline import limit
from toolkit.backends.supervisord import codec
from toolkit.backends.supervisord.reach import Reach
from toolkit.errors import BackendError, RefusedError

# Faults of supervisor.xmlrpc.Faults that are acted on.
SHUTDOWN_STATE = 6
BAD_NAME = 10
SPAWN_ERROR = 50
NOT_RUNNING = 70
ALREADY_STARTED = 60
ALREADY_ADDED = 90
STILL_RUNNING = 91
_HINTS = {
    SHUTDOWN_STATE: "it is ending: wait until it has gone, then try again",
    BAD_NAME: "it does not know this program: run `toolkit deploy`",
    20: "the unit's command does not exist: is bot-runner installed in the type's Python?",
    21: "the unit's command cannot be executed: see its permissions",
    SPAWN_ERROR: "see the bot's logs",
    STILL_RUNNING: "stop the bot first",
    92: "nothing was changed: mend the file named or take it away, then try again",
}

MAX_ANSWER = 64 * 1024 * 1024
# A spawn forks within the call; so many at once keep each call well under its deadline.
_CHUNK = 50

Call = tuple[Any, ...]


class FaultError(BackendError):
    """The supervisor answered that it will not.

    Parameters:
        code: one of supervisor.xmlrpc.Faults.
        text: the supervisor's own words.
        call: method and parameters.
    """

    def __init__(self, code: int, text: str, call: Call) -> None:
        method = call[0].partition(".")[2]
        what = f"{method} {call[1]}" if isinstance(call[-1], str | bool) and len(call) > 1 else method
        super().__init__(f"supervisord refused {what}: {text}", _HINTS.get(code, ""))
        self.code = code


class Rpc:
    """A supervisord's XML-RPC interface.

    Parameters:
        reach: where its socket lies, and what to say of it.
        timeout_s: seconds for one call where the call names none.
    """

    def __init__(self, reach: Reach, timeout_s: float) -> None:
        self._reach = reach
        self._timeout_s = timeout_s
        self._sock: socket.socket | None = None

    def __call__(self, method: str, *params: Any, timeout_s: float | None = None) -> Any:
        """One call's result.

        Raises:
            FaultError, NotRunningError, SocketGoneError, HungError, BackendError.
            RefusedError: no permission.
        """
        value, is_fault = codec.decode(
            self._exchange(codec.encode(method, params), timeout_s or self._timeout_s)
        )
        if is_fault:
            raise FaultError(int(value["faultCode"]), str(value["faultString"]), (method, *params))
        return value

    def many(self, calls: Sequence[Call]) -> list[Any]:
        """The results of many calls in few round trips; a FaultError stands where one failed."""
        results: list[Any] = []
        for start in range(0, len(calls), _CHUNK):
            chunk = calls[start : start + _CHUNK]
            packed = [{"methodName": method, "params": list(params)} for method, *params in chunk]
            for call, value in zip(chunk, self("system.multicall", packed), strict=True):
                results.append(_fault_or(value, call))
        return results

    def close(self) -> None:
        """Let the connection go; the next call makes another."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def _exchange(self, body: bytes, timeout_s: float) -> bytes:
        head = (
            f"POST /RPC2 HTTP/1.1\r\nHost: localhost\r\n{_authorization(self._reach.login)}"
            f"Content-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        deadline = time.monotonic() + timeout_s
        kept = self._sock is not None
        try:
            return self._send(head.encode() + body, deadline)
        except (TimeoutError, BlockingIOError):  # the latter: its backlog is full
            self.close()
            raise self._hung(timeout_s) from None
        except (ConnectionError, FileNotFoundError) as error:
            # A kept connection may be to a supervisord that has gone; the calls used here can be repeated.
            self.close()
            if kept:
                return self._exchange(body, timeout_s)
            raise self._nobody(error) from None
        except OSError as error:
            self.close()
            raise self._unreachable(error) from None
        except BaseException:
            self.close()
            raise

    def _send(self, request: bytes, deadline: float) -> bytes:
        if self._sock is None:
            self._sock = socket.socket(socket.AF_UNIX)
            # Not __del__: in a cycle, such as with a kept traceback, the socket may be finalized before it.
            weakref.finalize(self, self._sock.close)
            limit(self._sock, deadline)
            self._sock.connect(str(self._reach.socket))
        limit(self._sock, deadline)
        self._sock.sendall(request)
        return _receive(self._sock, deadline)

    def _hung(self, timeout_s: float) -> HungError:
        return HungError(
            f"{self._reach.name} gave no answer within {timeout_s:g} s",
            f"it is stopped or busy; its process id is in {self._reach.pidfile}:"
            " `kill -CONT` wakes a stopped one",
        )

    def _nobody(self, error: OSError) -> BackendError:
        """Nobody listens: it does not run, or its socket was taken away."""
        reach = self._reach
        pid = reach.living()
        if pid is None:
            return NotRunningError(f"{reach.name} is not running", reach.start_hint)
        lost = "is gone" if isinstance(error, FileNotFoundError) else "is not its own any more"
        return SocketGoneError(
            f"{reach.name} runs (pid {pid}), but its socket {reach.socket} {lost}", reach.lost_hint
        )

    def _unreachable(self, error: OSError) -> Exception:
        where = f"{self._reach.socket}: {error.strerror or error}"
        if isinstance(error, PermissionError):
            return RefusedError(where, self._reach.permission_hint)
        return BackendError(where)


def _authorization(login: str) -> str:
    """The header of RFC 7617 that a socket with a password asks for."""
    if not login:
        return ""
    import base64  # which hardly any socket asks for

    return f"Authorization: Basic {base64.b64encode(login.encode()).decode()}\r\n"


def _receive(sock: socket.socket, deadline: float) -> bytes:
    """The body of one HTTP answer."""
    data = bytearray()
    while (end := data.find(b"\r\n\r\n")) < 0:
        data += _more(sock, deadline)
    lines = data[:end].decode("latin-1").split("\r\n")
    status = lines[0].split(" ", 2)
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    length = fields.get("content-length", "")
    if status[1:2] == ["401"]:
        raise RefusedError(
            "supervisord asks for a password", "name it in [supervisorctl] of its configuration"
        )
    if status[1:2] != ["200"] or not length.isdecimal() or int(length) > MAX_ANSWER:
        raise BackendError(f"supervisord answered {lines[0]!r}", "see its log")
    del data[: end + 4]
    while len(data) < int(length):
        data += _more(sock, deadline)
    return bytes(data)


def _more(sock: socket.socket, deadline: float) -> bytes:
    limit(sock, deadline)
    data = sock.recv(65536)
    if not data:
        raise ConnectionResetError
    return data


def _fault_or(value: Any, call: Call) -> Any:
    if isinstance(value, dict) and "faultCode" in value:
        return FaultError(int(value["faultCode"]), str(value["faultString"]), call)
    return value
