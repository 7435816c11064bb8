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
def fleet(host):
    host.run("toolkit", "sandbox", "--detach", code=None)
    made = settle_in(host, USER_SYSTEMD)
    yield made
    host.run("loginctl", "disable-linger", "admin")


def test_a_user_who_lingers_needs_neither_a_session_nor_the_variable(fleet):
    done = by_sudo(fleet, "up")
    assert "session" not in done.stderr
    assert by_sudo(fleet, "bot", "health")
    fleet.run("down")
    fleet.host.run("rm", "-r", fleet.folder)


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
