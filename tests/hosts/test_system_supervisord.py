"""A fleet as a guest in a machine's supervisord, of Debian's package and of PyPI's, beside others."""

from collections.abc import Iterator

import pytest

from tests.hosts import image
from tests.hosts.container import Container
from tests.hosts.guest import Guest
from tests.hosts.image import OPT

pytest_plugins = ("tests.hosts.fixtures",)

OTHERS = "[program:web]\ncommand=/bin/sleep 100000\n"
CONNECT = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"


@pytest.fixture(scope="module", params=["debian", "pypi"])
def guest(request, containers_run) -> Iterator[Guest]:
    host = Container(image.with_toolkit())
    try:
        made = Guest(host, request.param)
        host.write(f"{made.units}/web{made.suffix}", OTHERS)
        made.ctl("update")
        made.run("up")
        yield made
    finally:
        host.kill()


def test_bots_run_as_their_user_and_operators_alone_reach_them(guest):
    host = guest.host
    assert set(guest.states().values()) == {"RUNNING"}
    for pid in guest.pids().values():
        assert host.out("stat", "-c", "%U", f"/proc/{pid}") == "bots"
    environ = host.sh("tr '\\0' '\\n' < /proc/$1/environ", guest.pids()["alice"])
    assert "HOME=/var/lib/bot-toolkit/demo/bots/alice" in environ.splitlines()
    socket = "/run/bot-toolkit/demo/alice/control.sock"
    connect = [f"{OPT}/bin/python", "-c", CONNECT, socket]
    assert host.run(*connect, user="admin", code=None).returncode != 0
    host.run("usermod", "-aG", "bot-demo", "admin")
    host.run(*connect, user="admin")
    host.run("runuser", "-u", "nobody", "--", "cat", "/var/lib/bot-toolkit/demo/botfiles/alice.json", code=1)
    host.run("runuser", "-u", "bots", "--", "cat", "/var/lib/bot-toolkit/demo/records/fleet.db", code=1)


def test_what_keeps_the_service_from_starting_again_and_who_may_command_it_is_told(guest):
    host, broken, socket = guest.host, f"{guest.units}/broken{guest.suffix}", "/run/supervisor.sock"
    host.write(broken, "[program:x]\nuser=no-such-user\ncommand=/bin/true\n")
    faults = guest.verify()
    host.run("rm", broken)
    assert list(faults) == [":supervisor"], faults
    assert "its next start would fail" in faults[":supervisor"]
    assert broken in faults[":supervisor"]
    host.run("chmod", "777", socket)
    faults = guest.failed()
    guest.do(faults[":supervisor"]["hint"])
    assert list(faults) == [":supervisor"], faults
    assert f"{socket} has mode 0777: everyone may command it" in faults[":supervisor"]["found"]
    assert guest.verify() == {}


def test_a_change_restarts_what_it_touches_and_nothing_of_others(guest):
    before, others = guest.pids(), guest.ctl("pid", "web")
    guest.host.write(f"{guest.units}/web{guest.suffix}", OTHERS.replace("100000", "200000"))
    guest.edit("greeting: Ahoy", "greeting: Moin")
    guest.run("deploy")
    after = guest.pids()
    assert {bot for bot in before if before[bot] != after[bot]} == {"bob"}
    assert guest.ctl("pid", "web") == others
    assert guest.states()["bob"] == "RUNNING"


def test_a_unit_of_anothers_that_cannot_be_read_is_named_and_nothing_is_done(guest):
    broken = f"{guest.units}/broken{guest.suffix}"
    guest.host.write(broken, "[program:broken]\nautostart=perhaps\n")
    guest.edit("greeting: Hello", "greeting: Hei")
    before = guest.pids()
    error = guest.run("deploy", code=1).stderr
    assert "broken" in error
    assert "hint: nothing was installed" in error
    guest.host.run("rm", broken)
    assert guest.pids() == before
    guest.run("deploy")


def test_a_stop_by_hand_and_the_end_of_the_fleet_outlive_the_service(guest, eventually):
    service = "supervisor" if guest.place == "debian" else "supervisord"
    guest.run("admin", "stop-bot", "carol")
    guest.host.run("systemctl", "restart", service)
    guest.wait('toolkit -f "$1" bot health alice bob')
    assert guest.states()["carol"] == "STOPPED"
    guest.run("down")
    eventually(lambda: "RUNNING" in guest.ctl("status", "web"))
    assert set(guest.states().values()) == {"STOPPED"}
    guest.host.run("systemctl", "restart", service)
    guest.wait('toolkit -f "$1" system info --json | grep "running.: true"')
    assert set(guest.states().values()) == {"STOPPED"}
    guest.run("up")
    assert guest.states() == {"alice": "RUNNING", "bob": "RUNNING", "carol": "STOPPED"}
    guest.run("admin", "start-bot", "carol")
    assert guest.verify() == {}


def test_who_is_not_root_is_refused_and_told(guest):
    error = guest.run("deploy", user="admin", code=None)
    assert error.returncode in (2, 4), error
    refused = guest.run("admin", "stop-bot", "alice", user="admin", code=4)
    assert "hint: " in refused.stderr
    assert guest.states()["alice"] == "RUNNING"


def test_a_bot_of_no_fleet_any_more_is_removed_and_anothers_of_such_a_name_stays(guest):
    other = f"{guest.units}/demo-dave{guest.suffix}"
    guest.host.write(other, "[program:demo-dave]\ncommand=/bin/sleep 100000\n")
    guest.ctl("update", "demo-dave")
    stranger = guest.ctl("pid", "demo-dave")
    text = guest.host.read("/srv/demo/fleet.yaml")
    guest.host.write("/srv/demo/fleet.yaml", text[: text.index("  carol:")])
    guest.run("deploy")
    assert sorted(guest.bots()) == ["alice", "bob"]
    assert stranger.strip().isdecimal()
    assert guest.ctl("pid", "demo-dave") == stranger
    assert "no such" in guest.ctl("status", "demo-carol")
    guest.host.run("test", "-e", guest.unit("carol"), code=1)
    guest.host.run("test", "-e", other)
