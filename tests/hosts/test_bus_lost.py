"""Whole commands, while the message bus is restarted under them again and again."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.hosts.places import Operator, settle_in
from toolkit.place import SYSTEM_SYSTEMD

pytest_plugins = ("tests.hosts.fixtures",)

NO_LIMIT = "/etc/systemd/system/dbus.service.d/limit.conf"
ALL = ("alice", "bob", "carol")


@pytest.fixture(scope="module")
def fleet(host, host_sandbox) -> Operator:
    host.write(NO_LIMIT, "[Unit]\nStartLimitIntervalSec=0\n")
    host.sh("chmod 755 /etc/systemd/system/dbus.service.d; systemctl daemon-reload")
    return settle_in(host, SYSTEM_SYSTEMD)


@contextmanager
def restarting(host) -> Iterator[list[float]]:
    """Restart the bus at random moments; gives when, which is told for whoever has to find a fault."""
    at: list[float] = []
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(random.uniform(0.1, 0.8)):
            host.run("systemctl", "restart", "dbus.service")
            at.append(time.monotonic())

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield at
    finally:
        over.set()
        thread.join()


def test_commands_outlive_the_bus(fleet, eventually):
    host = fleet.host
    with restarting(host) as at:
        fleet.run("deploy")
        before = fleet.bots()
        assert {bot["state"] for bot in before.values()} == {"RUNNING"}
        fleet.edit("  echo:\n", "  echo:\n    stop_timeout: 9s\n    limits: {tasks: 64}\n")
        fleet.edit("  counter:\n", "  counter:\n    stop_timeout: 9s\n")
        report = fleet.json("deploy")
        assert {step["bot"]: step["action"] for step in report["steps"]} == dict.fromkeys(ALL, "restart")
        fleet.edit("tasks: 64", "tasks: 65")
        report = fleet.json("deploy")
        assert [step["action"] for step in report["steps"]] == ["live limit", "live limit", "no-op"]
        assert fleet.run("admin", "restart-bot", "all").stdout.count(": RUNNING\n") == len(ALL)
        assert fleet.run("admin", "stop-bot", "all").stdout.count(": STOPPED\n") == len(ALL)
        assert fleet.run("admin", "start-bot", "all").stdout.count(": RUNNING\n") == len(ALL)
        after = fleet.bots()
    assert len(at) > len(ALL)
    assert all(after[bot]["pid"] != before[bot]["pid"] for bot in ALL)
    assert {bot["restarts"] for bot in after.values()} == {0}
    assert fleet.run("plan").stdout.endswith("3 no-op\n")
    host.run("systemctl", "is-active", "--quiet", f"bot-{fleet.fleet}.target")


def test_a_fleet_whose_bus_is_gone_is_not_called_down(fleet):
    host = fleet.host
    fleet.run("up")
    before = fleet.pids()
    host.run("systemctl", "stop", "dbus.socket", "dbus.service")
    try:
        for command in (
            *(["down"], ["up"], ["deploy"], ["plan"], ["admin", "shutdown-system"]),
            *(["admin", verb, "alice"] for verb in ("stop-bot", "start-bot", "restart-bot")),
        ):
            told = fleet.run(*command, code=1).stderr
            assert "error: systemd runs, but: no message bus at /run/dbus/system_bus_socket" in told, command
            assert "`systemctl start dbus.socket`" in told
        bots = fleet.bots()
        assert {bot["supervisor"] for bot in bots.values()} == {"socket gone"}
        assert all("no message bus at" in bot["reason"] for bot in bots.values())
        assert fleet.json("system", "info")["supervisor_running"] is True
        checks = fleet.json("verify", code=3)["checks"]
        (failed,) = [one for one in checks if one["outcome"] == "failed"]
        assert (failed["check"], failed["hint"]) == ("supervisor", "`systemctl start dbus.socket`")
    finally:
        host.run("systemctl", "start", "dbus.socket")
    assert fleet.run("plan").stdout == "3 no-op\n"
    assert fleet.pids() == before
    fleet.run("down")
