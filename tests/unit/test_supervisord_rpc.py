"""The XML-RPC that supervisord speaks, held against the standard library's, and answers that are none."""

import dataclasses
import os
import socket
import threading
import time
import xmlrpc.client
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.backends.supervisord import codec
from toolkit.backends.supervisord.private import PrivateDaemon
from toolkit.backends.supervisord.reach import Reach
from toolkit.backends.supervisord.rpc import FaultError, HungError, NotRunningError, Rpc
from toolkit.errors import BackendError, RefusedError
from toolkit.paths import FleetPaths

# XML 1.0 has no characters for controls, and turns \r into \n.
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"))
INTEGERS = st.integers(-(2**31), 2**31 - 1)
VALUES = st.recursive(
    st.booleans() | INTEGERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(st.lists(VALUES, max_size=4))
def test_calls_are_read_by_the_standard_library(params):
    read, method = xmlrpc.client.loads(codec.encode("system.multicall", params).decode())
    assert (list(read), method) == (params, "system.multicall")


@given(VALUES | st.floats(allow_nan=False, allow_infinity=False))
def test_answers_of_the_standard_library_are_read(value):
    body = xmlrpc.client.dumps((value,), methodresponse=True).encode()
    assert codec.decode(body) == (value, False)


def test_a_fault_is_told_from_an_answer():
    body = xmlrpc.client.dumps(xmlrpc.client.Fault(92, "CANT_REREAD: <x>")).encode()
    assert codec.decode(body) == ({"faultCode": 92, "faultString": "CANT_REREAD: <x>"}, True)


def test_a_value_without_a_type_is_text():
    assert codec.decode(
        b"<methodResponse><params><param><value>a b</value></param></params></methodResponse>"
    ) == (
        "a b",
        False,
    )


@given(st.binary(max_size=200) | TEXT.map(str.encode))
def test_garbage_is_a_clean_error(body):
    with pytest.raises(BackendError, match="cannot be read"):
        codec.decode(body)


@given(st.data())
def test_a_damaged_answer_is_a_value_or_a_clean_error(data):
    body = xmlrpc.client.dumps(({"a": [1, "b", True]},), methodresponse=True)
    start, end = sorted((data.draw(st.integers(0, len(body))), data.draw(st.integers(0, len(body)))))
    with suppress(BackendError):
        codec.decode((body[:start] + body[end:]).encode())


@pytest.fixture
def paths(short_dir) -> FleetPaths:
    made = FleetPaths("demo", short_dir)
    made.supervisor_socket.parent.mkdir()
    return made


def reach(paths: FleetPaths) -> Reach:
    return PrivateDaemon(paths).reach


class Server:
    """Takes one connection after another and gives each to a function."""

    def __init__(self, paths: FleetPaths, *talks: Callable[[socket.socket], object]) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(paths.supervisor_socket))
        self._listener.listen()
        self._listener.settimeout(10)
        self._thread = threading.Thread(target=self._serve, args=(talks,))

    def _serve(self, talks: tuple[Callable[[socket.socket], object], ...]) -> None:
        for talk in talks:
            connection, _ = self._listener.accept()
            with connection:
                talk(connection)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        self._listener.close()


def answer(value: object, head: bytes = b"HTTP/1.1 200 OK") -> bytes:
    body = xmlrpc.client.dumps((value,), methodresponse=True).encode()
    return head + b"\r\nContent-length: %d\r\n\r\n" % len(body) + body


def replying(*replies: bytes) -> Callable[[socket.socket], None]:
    def talk(connection: socket.socket) -> None:
        for reply in replies:
            connection.recv(65536)
            connection.sendall(reply)

    return talk


def test_one_connection_serves_many_calls(paths):
    with Server(paths, replying(answer(1), answer(2))):
        rpc = Rpc(reach(paths), 5)
        assert [rpc("a.b"), rpc("a.b")] == [1, 2]


def test_a_kept_connection_that_was_closed_is_made_anew(paths):
    with Server(paths, replying(answer(1)), replying(answer(2))):
        rpc = Rpc(reach(paths), 5)
        assert [rpc("a.b"), rpc("a.b")] == [1, 2]


def drip(connection: socket.socket) -> None:
    with suppress(BrokenPipeError):
        for byte in answer("x" * 500):
            connection.send(bytes([byte]))
            time.sleep(0.02)


def test_an_answer_that_comes_byte_by_byte_does_not_stretch_the_deadline(paths):
    with Server(paths, drip), pytest.raises(HungError, match=r"no answer within 0\.4 s"):
        Rpc(reach(paths), 0.4)("a.b")


@pytest.mark.parametrize(
    "reply",
    [
        answer(1, b"HTTP/1.1 500 Internal Server Error"),
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<a/>",
        b"\r\n\r\n",
    ],
)
def test_an_answer_that_is_none_is_a_clean_error(paths, reply):
    with Server(paths, replying(reply)), pytest.raises(BackendError, match=r"supervisord (answered|gave)"):
        Rpc(reach(paths), 5)("a.b")


def test_an_error_leaves_no_half_read_connection(paths):
    with Server(paths, replying(answer(1, b"HTTP/1.1 400 Bad")), replying(answer(2))):
        rpc = Rpc(reach(paths), 5)
        with pytest.raises(BackendError, match="400"):
            rpc("a.b")
        assert rpc("a.b") == 2


def test_a_fault_is_raised_alone_and_returned_among_many(paths):
    fault = {"faultCode": 10, "faultString": "BAD_NAME: x"}
    alone = xmlrpc.client.dumps(xmlrpc.client.Fault(10, "BAD_NAME: x")).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(alone)
    with Server(paths, replying(head + alone, answer([1, fault]))):
        rpc = Rpc(reach(paths), 5)
        with pytest.raises(FaultError, match="refused startProcess x: BAD_NAME: x") as caught:
            rpc("supervisor.startProcess", "x", False)
        assert caught.value.code == 10
        one, error = rpc.many([("supervisor.getPID",), ("supervisor.startProcess", "x", False)])
        assert one == 1
        assert isinstance(error, FaultError)


def test_no_socket_and_a_refusing_one_are_not_running(paths):
    with pytest.raises(NotRunningError, match="fleet demo is not running"):
        Rpc(reach(paths), 5)("a.b")
    Server(paths)._listener.close()
    with pytest.raises(NotRunningError):
        Rpc(reach(paths), 5)("a.b")


def test_no_permission_is_refused(paths):
    paths.home.chmod(0o711)
    with Server(paths):
        paths.supervisor_socket.chmod(0)
        user = os.geteuid()
        # Root may connect to any socket: its rights are put aside.
        os.seteuid(65534 if user == 0 else user)
        try:
            with pytest.raises(RefusedError, match="Permission denied"):
                Rpc(reach(paths), 5)("a.b")
        finally:
            os.seteuid(user)


def test_a_password_is_sent_and_never_shown(paths):
    asked = []

    def talk(connection):
        asked.append(connection.recv(65536))
        connection.sendall(answer(1))

    with_login = dataclasses.replace(reach(paths), login="admin:thus far")
    with Server(paths, talk):
        assert Rpc(with_login, 5)("a.b") == 1
    assert b"\r\nAuthorization: Basic YWRtaW46dGh1cyBmYXI=\r\n" in asked[0]
    assert "thus far" not in repr(with_login)


def test_a_refused_password_is_said(paths):
    refusal = b"HTTP/1.1 401 Unauthorized\r\nContent-length: 0\r\n\r\n"
    with Server(paths, replying(refusal)), pytest.raises(RefusedError, match="asks for a password"):
        Rpc(reach(paths), 5)("a.b")
