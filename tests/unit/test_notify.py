"""Words to the supervisor: none is lost that could be taken, and none blocks."""

import socket

from bot_runner.notify import Notifier


def test_fields_come_as_lines_of_utf8(supervisor):
    assert Notifier(supervisor.getsockname()).send("READY=1", "STATUS=läuft ✓\nzweite")
    assert supervisor.recv(4096).decode() == "READY=1\nSTATUS=läuft ✓ zweite"


def test_more_time_is_asked_in_microseconds(supervisor):
    Notifier(supervisor.getsockname()).extend(1.5)
    assert supervisor.recv(4096) == b"EXTEND_TIMEOUT_USEC=1500000"


def test_a_reader_that_is_stuck_blocks_nothing_and_hears_again_when_it_reads(supervisor):
    notifier = Notifier(supervisor.getsockname())
    taken = sum(notifier.send("WATCHDOG=1") for _ in range(5000))
    assert taken < 5000
    for _ in range(taken):
        supervisor.recv(4096)
    assert notifier.send("WATCHDOG=1")


def test_a_reader_that_came_back_hears_again(short_dir):
    notifier = Notifier(str(short_dir / "n"))
    assert not notifier.send("READY=1")
    for word in ("READY=1", "STOPPING=1"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
            made.bind(str(short_dir / "n"))
            assert notifier.send(word)
            assert made.recv(100).decode() == word
        (short_dir / "n").unlink()


def test_an_abstract_socket_is_meant_by_an_at_sign(short_dir):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(f"\0{short_dir}")
        assert Notifier(f"@{short_dir}").send("READY=1")
        assert made.recv(100) == b"READY=1"


def test_the_environment_is_read_once_and_hidden_from_the_app(monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", "/x")
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert Notifier.from_environment().watchdog_s is None
    monkeypatch.setenv("NOTIFY_SOCKET", "/x")
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    assert Notifier.from_environment().watchdog_s == 3.0
    assert Notifier.from_environment().send("READY=1") is False


def test_an_empty_address_is_no_supervisor(monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", "")
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    notifier = Notifier.from_environment()
    assert notifier.watchdog_s is None
    assert not notifier.send("READY=1")
