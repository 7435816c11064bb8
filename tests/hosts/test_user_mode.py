"""A fleet under a user's own systemd, with and without a session of that user."""

import subprocess

import pytest

from tests.hosts.places import settle_in
from toolkit.place import USER_SYSTEMD

pytest_plugins = ("tests.hosts.fixtures",)

NOTE = "note: the bots end with the last session of admin: `loginctl enable-linger admin` keeps them"
FOLDER = "/run/user/1000"


def by_sudo(fleet, *argv, code=0):
    """Run a command as sudo, cron and Ansible do: without the name of the user's runtime folder."""
    return fleet.host.run(
        *("env", "-u", "XDG_RUNTIME_DIR", "toolkit", "-f", fleet.file), *argv, user="admin", code=code
    )


@pytest.fixture
def fleet(host, host_sandbox):
    made = settle_in(host, USER_SYSTEMD)
    yield made
    made.run("down")
    host.run("rm", "-r", made.folder)
    host.run("loginctl", "disable-linger", "admin")


def test_a_user_who_lingers_needs_neither_a_session_nor_the_variable(fleet):
    done = by_sudo(fleet, "up")
    assert "session" not in done.stderr
    assert by_sudo(fleet, "bot", "health")


def test_bots_of_a_user_who_does_not_linger_end_with_the_last_session(fleet, eventually):
    host = fleet.host
    with subprocess.Popen(
        [*host.ssh("admin"), "echo in; cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as session:
        try:
            assert session.stdout.readline() == b"in\n"
            host.run("loginctl", "disable-linger", "admin")
            for command in ("up", "deploy"):
                assert NOTE in fleet.run(command).stderr
            assert NOTE in fleet.run("deploy", "--json").stderr
            assert set(fleet.states().values()) == {"RUNNING"}
        finally:
            session.stdin.close()
            assert session.wait(20) == 0
    eventually(lambda: host.run("test", "-e", FOLDER, code=None).returncode, 30)
    done = by_sudo(fleet, "deploy", code=1)
    assert f"error: no message bus at {FOLDER}/bus: " in done.stderr
    assert (
        "hint: the user has no manager while logged out: `loginctl enable-linger admin` keeps one"
        in done.stderr
    )
    assert set(fleet.states().values()) == {"STOPPED"}
    host.run("loginctl", "enable-linger", "admin")
    eventually(lambda: set(fleet.states().values()) == {"RUNNING"}, 30)


@pytest.mark.parametrize(
    "variable", ["XDG_RUNTIME_DIR=/run/user/0", "DBUS_SESSION_BUS_ADDRESS=unix:path=/run/none"]
)
def test_a_bus_that_is_looked_for_elsewhere_is_told_with_what_finds_it(fleet, variable):
    def here(*argv, code=0, before=""):
        line = f'export {variable}; {before or ":"}; exec toolkit -f "$@"'
        return fleet.host.run("sh", "-euc", line, "sh", fleet.file, *argv, user="admin", code=code)

    fleet.run("up")
    before = fleet.pids()
    for command in ("down", "up", "plan"):
        told = here(command, code=1).stderr
        assert "error: systemd runs, but: no message bus at " in told
        hint = told.partition("hint: ")[2]
        mends = hint.partition("`")[2].partition("`")[0]
    assert here("plan", before=mends).stdout == "3 no-op\n"
    assert fleet.pids() == before
    assert here("down", before=mends).stdout == "fleet user is down\n"
