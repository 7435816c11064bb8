"""Bots are asked at once, and each kind of silence is told from the others."""

import os
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import pytest

from toolkit import shell
from toolkit.ipc import protocol
from toolkit.ipc.client import Failure, FailureKind, UnreachableError, ask, ask_many

Answer = Callable[[bytes], bytes | None]


class Bots:
    """Sockets that answer, all served by one thread: an answer is bytes, None keeps silent, b"" hangs up."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[protocol.Request] = []
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def bot(self, name: str, answer: Answer, backlog: int = 100) -> Path:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.folder / name))
        listener.listen(backlog)
        self._selector.register(listener, selectors.EVENT_READ, ("listener", answer))
        return self.folder / name

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wake.send(b"x")
        self._thread.join()

    def close(self) -> None:
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()
        self._wake.close()
        self._selector.close()

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._woken:
                    return
                kind, answer = key.data
                if kind == "listener":
                    talk, _ = key.fileobj.accept()
                    self._selector.register(talk, selectors.EVENT_READ, (protocol.FrameDecoder(), answer))
                else:
                    self._answer(key.fileobj, kind, answer)

    def _answer(self, talk: socket.socket, decoder: protocol.FrameDecoder, answer: Answer) -> None:
        data = talk.recv(65536)
        for payload in decoder.feed(data):
            self.asked.append(protocol.parse_request(payload))
            reply = answer(payload)
            if reply:
                talk.sendall(reply)
            elif reply == b"":
                data = b""
        if not data:
            self._selector.unregister(talk)
            talk.close()


@pytest.fixture
def bots(short_dir) -> Iterator[Bots]:
    made = Bots(short_dir)
    yield made
    made.close()


def well(_: bytes) -> bytes:
    return protocol.result(1, {"state": "RUNNING"})


def test_one_bot_is_asked_and_answers(bots):
    path, before = bots.bot("alice", well), time.monotonic()
    with bots:
        assert ask("alice", path, "status", {"full": True}, timeout_s=5) == {"state": "RUNNING"}
    (asked,) = bots.asked
    assert asked == protocol.Request(1, "status", {"full": True}, asked.deadline, "alice")
    assert before < asked.deadline < time.monotonic() + 5


def test_null_is_an_answer(bots):
    path = bots.bot("alice", lambda _: protocol.result(1, None))
    with bots:
        assert ask("alice", path, "stop", timeout_s=5) is None


def test_all_are_asked_at_once_and_answered_in_order(bots):
    paths = {f"bot{number}": bots.bot(f"bot{number}", well) for number in range(100)}
    with bots:
        answers = ask_many(paths, "status", timeout_s=10)
    assert list(answers) == list(paths)
    assert all(answer == {"state": "RUNNING"} for answer in answers.values())


def test_each_kind_of_silence_is_told(bots):
    refused = socket.socket(socket.AF_UNIX)
    refused.bind(str(bots.folder / "refused"))
    paths = {
        "well": bots.bot("well", well),
        "silent": bots.bot("silent", lambda _: None),
        "half": bots.bot("half", lambda _: well(_)[:9]),
        "hangs-up": bots.bot("hangs-up", lambda _: b""),
        "garbage": bots.bot("garbage", lambda _: b"\0\0\0\3abc"),
        "oversize": bots.bot("oversize", lambda _: b"\x7f\0\0\0"),
        "fault": bots.bot("fault", lambda _: protocol.failure(1, protocol.RpcError(protocol.BUSY, "busy"))),
        "refused": bots.folder / "refused",
        "absent": bots.folder / "absent",
        "long": bots.folder / ("x" * 200),
    }
    with bots:
        answers = ask_many(paths, "status", timeout_s=0.4)
    refused.close()
    kinds = {name: answer.kind for name, answer in answers.items() if isinstance(answer, Failure)}
    assert kinds == {
        "silent": FailureKind.HUNG,
        "half": FailureKind.HUNG,
        "hangs-up": FailureKind.PROTOCOL,
        "garbage": FailureKind.PROTOCOL,
        "oversize": FailureKind.PROTOCOL,
        "fault": FailureKind.PROTOCOL,
        "refused": FailureKind.NOT_RUNNING,
        "absent": FailureKind.NOT_RUNNING,
        "long": FailureKind.NOT_RUNNING,  # its length is no hindrance
    }
    assert answers["well"] == {"state": "RUNNING"}
    assert (answers["fault"].code, answers["fault"].message) == (protocol.BUSY, "busy")
    assert answers["oversize"].code == protocol.OVERSIZE
    assert "0.4 s" in answers["silent"].message


def test_a_bot_that_answers_byte_by_byte_does_not_stretch_the_deadline(bots):
    path = bots.folder / "slow"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        dripping = threading.Thread(target=drip, args=(listener,))
        dripping.start()
        with pytest.raises(UnreachableError, match=r"no answer within 0\.3 s") as caught:
            ask("alice", path, "status", timeout_s=0.3)
        dripping.join()
    assert caught.value.failure.kind is FailureKind.HUNG


def drip(listener: socket.socket) -> None:
    talk, _ = listener.accept()
    with talk, suppress(BrokenPipeError):
        for byte in protocol.result(1, "x" * 1000):
            talk.send(bytes([byte]))
            time.sleep(0.02)


def test_no_permission_is_told(bots):
    path = bots.bot("alice", well)
    path.chmod(0)
    with bots, ordinary_user():
        answers = ask_many({"alice": path}, "status", timeout_s=5)
    assert answers["alice"].kind is FailureKind.FORBIDDEN


def test_a_link_to_the_socket_of_another_is_refused(bots):
    path = bots.bot("bob", well)
    link = path.with_name("evil")
    link.symlink_to("bob")
    with bots:
        answers = ask_many({"evil": link, "bob": path}, "pause", timeout_s=5)
    assert answers["bob"] == {"state": "RUNNING"}
    assert answers["evil"].kind is FailureKind.PROTOCOL
    assert f"{link} is a link" in answers["evil"].message
    assert len(bots.asked) == 1


def test_an_answer_of_another_bot_is_none(bots):
    named = bots.bot("alice", lambda _: protocol.result(1, {"paused": True}, "alice"))
    fault = protocol.RpcError(protocol.BUSY, "busy")
    paths = {
        "alice": named,
        "bob": named,
        "carol": bots.bot("carol", lambda _: protocol.failure(1, fault, "dave")),
        "old": bots.bot("old", well),
    }
    with bots:
        answers = ask_many(paths, "pause", timeout_s=5)
    assert answers["alice"] == {"paused": True}
    assert answers["old"] == {"state": "RUNNING"}  # a runner before this member names itself nowhere
    assert answers["bob"].code == protocol.REFUSED
    assert answers["bob"].message == "another bot answers in the place of bob: alice"
    assert "another bot" in answers["carol"].message
    assert sorted(call.bot for call in bots.asked) == ["alice", "bob", "carol", "old"]


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Root may connect to any socket: put its rights aside for a while."""
    user = os.geteuid()
    os.seteuid(65534 if user == 0 else user)
    try:
        yield
    finally:
        os.seteuid(user)


def test_ask_raises_what_the_bot_answered(bots):
    path = bots.bot("alice", lambda _: protocol.failure(1, protocol.RpcError(-32601, "no method nope")))
    with bots, pytest.raises(protocol.RpcError, match="alice: no method nope") as caught:
        ask("alice", path, "nope", timeout_s=5)
    assert caught.value.code == protocol.METHOD_NOT_FOUND


def test_ask_raises_that_a_bot_is_not_running(bots):
    with bots, pytest.raises(UnreachableError, match=r"its control socket .*absent is not there") as caught:
        ask("alice", bots.folder / "absent", "status", timeout_s=5)
    assert caught.value.failure.kind is FailureKind.NOT_RUNNING


def test_a_large_question_is_sent_in_parts(bots):
    path = bots.bot("alice", lambda payload: protocol.result(1, len(payload)))
    with bots:
        assert ask("alice", path, "push", {"config": "x" * 900_000}, timeout_s=10) > 900_000


def test_a_question_over_the_limit_is_refused_before_it_is_sent(bots):
    with bots, pytest.raises(protocol.RpcError, match="at most"):
        ask("alice", bots.bot("alice", well), "push", {"config": "x" * protocol.MAX_FRAME}, timeout_s=5)


def test_a_full_backlog_is_tried_again(bots):
    with socket.socket(socket.AF_UNIX) as listener:
        path = bots.folder / "busy"
        listener.bind(str(path))
        listener.listen(0)
        with socket.socket(socket.AF_UNIX) as first:
            first.connect(str(path))
            answers = ask_many({"busy": path}, "status", timeout_s=0.2)
            assert answers["busy"].kind is FailureKind.HUNG
        served = threading.Timer(0.1, serve, (listener, 2))
        served.start()
        assert ask("alice", path, "status", timeout_s=10) == {"state": "RUNNING"}
        served.join()


def serve(listener: socket.socket, times: int) -> None:
    for _ in range(times):
        talk, _ = listener.accept()
        with talk:
            if talk.recv(65536):
                talk.sendall(well(b""))


def test_more_bots_than_files_may_be_open(bots):
    for number in range(150):
        bots.bot(f"bot{number}", well)
    code = (
        "import resource, sys; from pathlib import Path; from toolkit.ipc.client import ask_many;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (50, 50));"
        "paths = {path.name: path for path in Path(sys.argv[1]).iterdir()};"
        "answers = ask_many(paths, 'status', timeout_s=20).values();"
        "print(sum(answer == {'state': 'RUNNING'} for answer in answers))"
    )
    with bots:
        done = shell.run([sys.executable, "-c", code, str(bots.folder)], timeout_s=40)
    assert (done.stdout, done.stderr) == ("150\n", "")


def test_nothing_stays_open(bots):
    paths = {"silent": bots.bot("silent", lambda _: None), "well": bots.bot("well", well)}
    with bots:
        before = len(os.listdir("/proc/self/fd"))
        ask_many(paths, "status", timeout_s=0.1)
        # The serving thread may still hold its own ends of the two connections.
        assert len(os.listdir("/proc/self/fd")) <= before + 2
