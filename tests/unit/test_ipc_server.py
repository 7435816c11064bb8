"""The control socket's server against peers that misbehave."""

import asyncio
import contextlib
import json
import os
import select
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toolkit.errors import RefusedError
from toolkit.ipc import protocol
from toolkit.ipc.client import ask_many
from toolkit.ipc.listening import listening_socket, made
from toolkit.ipc.protocol import FrameDecoder, Request, RpcError, call
from toolkit.ipc.server import Bounds, ControlServer

BOUNDS = Bounds(connections=3, frame_s=0.2, answer_s=0.3, idle_s=0.6)
SECRET = "123456:" + "s3cret_token-" * 3


async def _slow(_: dict[str, Any]) -> object:
    await asyncio.sleep(60)
    return None


def _refuses(_: dict[str, Any]) -> object:
    raise RpcError(protocol.REFUSED, "not now")


def _fails(_: dict[str, Any]) -> object:
    raise ValueError(SECRET)


METHODS = {
    "echo": lambda params: params,
    "big": lambda _: "x" * 900_000,
    "too_big": lambda _: "x" * protocol.MAX_FRAME,
    "odd": lambda _: {1, 2},
    "fails": _fails,
    "refuses": _refuses,
    "slow": _slow,
}


@pytest.fixture
def path(short_dir: Path) -> Iterator[Path]:
    """A socket that a server in another thread answers."""
    with served(short_dir / "s") as made:
        yield made


@contextlib.contextmanager
def served(path: Path, more_methods: dict[str, Any] | None = None, **more: Any) -> Iterator[Path]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = ControlServer(path, "alice", METHODS | (more_methods or {}), 0o660, BOUNDS, **more)
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(5)
    try:
        yield path
    finally:
        asyncio.run_coroutine_threadsafe(server.close(), loop).result(5)
        asyncio.run_coroutine_threadsafe(_rest(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
    assert not path.exists()


async def _rest() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.contextmanager
def peer(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as made:
        made.settimeout(10)
        made.connect(str(path))
        yield made


def answers(made: socket.socket, count: int = 1) -> list[dict[str, Any]]:
    """So many answers, or fewer where the server hung up, which is a reset where it had bytes to read."""
    decoder, found = FrameDecoder(), []
    with contextlib.suppress(ConnectionResetError):
        while len(found) < count and (data := made.recv(65536)):
            found += [json.loads(payload) for payload in decoder.feed(data)]
    return found


def code(answer: dict[str, Any]) -> int:
    return answer["error"]["code"]


def works(path: Path) -> bool:
    with peer(path) as made:
        made.sendall(call(Request(7, "echo", {"a": 1})))
        return answers(made) == [{"jsonrpc": "2.0", "id": 7, "result": {"a": 1}, "bot": "alice"}]


def test_calls_are_answered_in_turn_also_cut_into_bytes(path):
    with peer(path) as made:
        made.sendall(call(Request(1, "echo")) + call(Request("two", "echo", {"x": None})))
        assert [answer["id"] for answer in answers(made, 2)] == [1, "two"]
        for byte in call(Request(3, "echo")):
            made.sendall(bytes([byte]))
        assert answers(made)[0]["id"] == 3


def test_a_call_that_is_meant_for_another_is_refused(path):
    """A bot may lay its sibling's socket, by another name for the same file, in the place of its own."""
    evil = path.with_name("evil")
    evil.hardlink_to(path)
    told = ask_many({"mallory": evil, "alice": path}, "echo", {"a": 1}, timeout_s=5)
    evil.unlink()
    assert told["alice"] == {"a": 1}
    assert told["mallory"].code == protocol.REFUSED
    with peer(path) as made:
        made.sendall(call(Request(1, "echo", bot="mallory")) + call(Request(2, "echo")))
        refused, older = answers(made, 2)
    assert refused["error"]["message"] == "bot alice got what was meant for 'mallory'"
    assert older["result"] == {}  # a caller that names nobody, as those before did


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("nothing", protocol.METHOD_NOT_FOUND),
        ("fails", protocol.INTERNAL_ERROR),
        ("odd", protocol.INTERNAL_ERROR),
        ("refuses", protocol.REFUSED),
        ("slow", protocol.TIMEOUT),
        ("too_big", protocol.OVERSIZE),
    ],
)
def test_what_cannot_be_answered_gets_its_code_and_the_connection_goes_on(path, method, expected):
    with peer(path) as made:
        made.sendall(call(Request(1, method)))
        (answer,) = answers(made)
        assert (answer["id"], code(answer)) == (1, expected)
        assert SECRET not in json.dumps(answer)
        made.sendall(call(Request(2, "echo")))
        assert answers(made)[0]["id"] == 2


def test_a_call_after_its_deadline_is_not_done(short_dir):
    done = []
    methods = {"do": lambda params: done.append(params["what"])}
    with served(short_dir / "s", methods) as path, peer(path) as made:
        made.sendall(call(Request(1, "do", {"what": "late"}, time.monotonic() - 0.001)))
        made.sendall(call(Request(2, "do", {"what": "in time"}, time.monotonic() + 60)))
        late, in_time = answers(made, 2)
    assert (code(late), in_time["result"]) == (protocol.TIMEOUT, None)
    assert "not done" in late["error"]["message"]
    assert done == ["in time"]


def test_a_notification_is_done_and_not_answered(path):
    with peer(path) as made:
        for method in ("echo", "fails", "nothing"):
            made.sendall(call(Request(None, method)))
        made.sendall(call(Request(2, "echo")))
        assert answers(made)[0]["id"] == 2


def test_a_frame_of_garbage_is_told_and_the_connection_goes_on(path):
    with peer(path) as made:
        made.sendall((3).to_bytes(4, "big") + b"{{{" + call(Request(2, "echo")))
        garbage, good = answers(made, 2)
        assert (garbage["id"], code(garbage), good["id"]) == (None, protocol.PARSE_ERROR, 2)


def test_an_oversize_frame_is_told_and_hung_up_on(path):
    with peer(path) as made:
        made.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert [code(answer) for answer in answers(made, 2)] == [protocol.OVERSIZE]
    assert works(path)


def test_half_a_frame_is_told_at_its_deadline_however_slowly_it_grows(path):
    with peer(path) as made:
        made.sendall(b"\0\0\1\0")
        stop = threading.Event()

        def drip() -> None:
            with contextlib.suppress(OSError):
                while not stop.wait(0.05):
                    made.sendall(b" ")

        thread = threading.Thread(target=drip)
        thread.start()
        found = answers(made, 2)
        stop.set()
        thread.join()
        assert [code(answer) for answer in found] == [protocol.TIMEOUT]
    assert works(path)


def test_a_peer_that_sends_nothing_is_hung_up_on(path):
    with peer(path) as made:
        assert answers(made) == []


def test_a_peer_that_does_not_read_is_dropped(path):
    with peer(path) as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with contextlib.suppress(OSError):
            for number in range(50):
                made.sendall(call(Request(number, "big")))
        assert works(path)
        hung_up = select.poll()
        hung_up.register(made, 0)
        # With POLLERR where what it had sent was not read to the end.
        assert [events & select.POLLHUP for _, events in hung_up.poll(5000)] == [select.POLLHUP]
        with contextlib.suppress(ConnectionResetError):
            assert len(answers(made, 50)) < 50


def test_too_many_connections_are_told_so(path):
    with peer(path) as one, peer(path) as two, peer(path) as three:
        for made in (one, two, three):
            made.sendall(call(Request(1, "echo")))
            assert answers(made)[0]["id"] == 1
        with peer(path) as four:
            assert [code(answer) for answer in answers(four, 2)] == [protocol.BUSY]
        one.sendall(call(Request(2, "echo")))
        assert answers(one)[0]["id"] == 2


def test_the_mode_is_as_asked(path):
    assert path.stat().st_mode & 0o777 == 0o660


def test_a_dead_socket_is_replaced_and_a_living_one_refused(short_dir):
    first = listening_socket(short_dir / "s", 0o600)
    with pytest.raises(RefusedError):
        listening_socket(short_dir / "s", 0o600)
    first.close()
    listening_socket(short_dir / "s", 0o600).close()
    assert [entry.name for entry in short_dir.iterdir()] == ["s"]


def test_a_socket_that_a_process_made_is_known_also_when_it_was_taken_away(short_dir):
    path = short_dir / "s"
    with listening_socket(path, 0o600):
        assert made({path: os.getpid(), short_dir / "x" / "s": os.getpid()}) == {path}
        assert made({path: 1}) == set()
        path.rename(path.with_name(f".{os.getpid()}"))
        assert made({path: os.getpid()}) == set(), "it is just being made"
        path.with_name(f".{os.getpid()}").unlink()
        assert made({path: os.getpid()}) == {path}
    assert made({path: os.getpid()}) == set()


ASK = """
import socket, sys
peer = socket.socket(socket.AF_UNIX)
peer.settimeout(10)
peer.connect(sys.argv[1])
peer.sendall(bytes.fromhex(sys.argv[2]))
sys.stdout.write(peer.recv(65536).hex())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be others")
@pytest.mark.parametrize(
    ("user", "group", "groups", "allowed"),
    [(1234, 5678, [], False), (1234, 4321, [5678], True), (0, 5678, [], True), (0, 0, [], True)],
    ids=["a sibling", "an operator", "root in the group", "root"],
)
def test_a_process_of_the_refused_group_may_not_call(short_dir, user, group, groups, allowed):
    with served(short_dir / "s", refused_group=5678) as path:
        short_dir.chmod(0o755)
        os.chown(path, 0, 5678)
        done = subprocess.run(
            ["/usr/bin/python3", "-c", ASK, str(path), call(Request(1, "echo", {"a": 1})).hex()],
            user=user,
            group=group,
            extra_groups=groups,
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
    (payload,) = FrameDecoder().feed(bytes.fromhex(done.stdout))
    answer = json.loads(payload)
    if allowed:
        assert answer["result"] == {"a": 1}
    else:
        assert answer["error"]["code"] == protocol.REFUSED
        assert "each other" in answer["error"]["message"]


CROWD = """
import socket, sys
peers = [socket.socket(socket.AF_UNIX) for _ in range(20)]
for peer in peers:
    peer.connect(sys.argv[1])
print("here", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be others")
def test_peers_that_may_not_call_keep_nobody_out(short_dir):
    with served(short_dir / "s", refused_group=5678) as path:
        short_dir.chmod(0o755)
        os.chown(path, 0, 5678)
        crowd = subprocess.Popen(
            ["/usr/bin/python3", "-c", CROWD, str(path)],
            user=1234,
            group=5678,
            extra_groups=[],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        with crowd:
            assert crowd.stdout
            assert crowd.stdout.readline() == b"here\n"
            assert works(path)
            assert works(path)
