"""Tokens as systemd's credentials: they reach their bots, and nobody else."""

import pytest

from tests.hosts.guest import Guest

pytest_plugins = ("tests.hosts.fixtures",)

# All that the form of a credential's name leaves that is odd.
NAME = "-alice_1.token@x"
STORE = f"/etc/credstore/{NAME}"
PASSED = f"/run/credentials/bot-demo-alice.service/{NAME}"
# The files in which a secret, $1, stands: what a deploy writes and systemd tells, and process $2, the bot's.
LOOK = """\
systemctl show bot-demo-alice.service > /tmp/shown; systemctl cat bot-demo-alice.service >> /tmp/shown
systemctl status bot-demo-alice.service >> /tmp/shown
journalctl -q -u bot-demo-alice.service >> /tmp/shown || :
grep -rlsF -- "$1" /tmp/shown /etc/systemd /run/systemd /run/bot-toolkit /run/credentials /srv/demo \
    /var/lib/bot-toolkit /var/log /etc/credstore "/proc/$2/environ" "/proc/$2/cmdline" || :
rm /tmp/shown
"""


@pytest.fixture(scope="module")
def guest(host):
    made = Guest(host, "systemd")
    host.sh('mkdir -m 700 -p /etc/credstore; mv /srv/demo/secrets/alice.token "$1"; chmod 600 "$1"', STORE)
    made.edit("{file: secrets/alice.token}", f"{{credential: {NAME}}}")
    made.run("up")
    return made


def secret(guest):
    return guest.host.read(STORE).strip().partition(":")[2]


def test_the_bot_gets_its_token_and_works(guest):
    # The Bot API took the token, and answered a poll.
    assert guest.states()["alice"] == "RUNNING"
    assert guest.verify() == {}


def test_nobody_else_can_read_it(guest):
    host, pid = guest.host, guest.pids()["alice"]
    assert host.run("grep", "-qF", "--", secret(guest), PASSED)
    # Root finds it where it was put and where systemd passes it on, and nowhere else.
    assert host.sh(LOOK, secret(guest), pid).splitlines() == [PASSED, STORE]
    assert host.sh(LOOK, secret(guest), pid, user="admin") == ""
    uid, gid = host.out("stat", "-c", "%u %g", f"/proc/{guest.pids()['bob']}").split()
    sibling = ("setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups")
    for path in (PASSED, STORE):
        assert "denied" in host.run(*sibling, "cat", path, code=1).stderr
        assert "denied" in host.run("cat", path, user="admin", code=1).stderr


def test_one_that_is_not_there_is_told(guest):
    guest.host.run("mv", STORE, "/root/kept")
    done = guest.run("admin", "restart-bot", "alice", code=None)
    told = guest.run("bot", "status", "alice", code=None)
    guest.host.run("mv", "/root/kept", STORE)
    assert done.returncode != 0, done.stdout
    assert "credential" in told.stdout.lower(), told.stdout + done.stderr
    guest.run("admin", "restart-bot", "alice")
    assert guest.states()["alice"] == "RUNNING"


def test_a_rotated_one_is_taken_at_the_next_start(guest):
    new = guest.host.read(STORE).strip()[:-1] + "Z"
    guest.host.write(STORE, new, 0o600)
    guest.run("admin", "restart-bot", "alice")
    assert guest.host.read(PASSED) == new
