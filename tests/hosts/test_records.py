"""What members of the fleet's group, and bots, write where root reads."""

import pytest

from tests.hosts.places import SERVICE_USER, settle_in
from toolkit.place import SYSTEM_SUPERVISORD, SYSTEM_SYSTEMD

pytest_plugins = ("tests.hosts.fixtures",)

ADMIN = "admin"
WRITE = "import sqlite3, sys; sqlite3.connect(sys.argv[1], isolation_level=None).execute(*sys.argv[2:3])"

EVIL = [
    "[Service]",
    "User=root",
    "ExecStart=/srv/evil/bot-runner x",
    "[program:x]",
    "user=root",
    "command=/srv/evil/bot-runner x",
]


@pytest.fixture(scope="module", params=[SYSTEM_SUPERVISORD, SYSTEM_SYSTEMD], ids=lambda place: place.backend)
def fleet(request, host, host_sandbox):
    made = settle_in(host, request.param)
    made.run("up")
    host.run("usermod", "-aG", f"bot-{made.fleet}", ADMIN)
    return made


def records(fleet):
    return f"/var/lib/bot-toolkit/{fleet.fleet}/records"


def write(fleet, sql):
    fleet.host.run("python3", "-c", WRITE, f"{records(fleet)}/fleet.db", sql, user=ADMIN)


@pytest.mark.parametrize("name", ["x/../victim", "-x"])
def test_a_name_that_no_fleet_can_have_is_refused_and_nothing_is_removed(fleet, name):
    host = fleet.host
    before = {bot: facts["pid"] for bot, facts in fleet.bots().items()}
    write(fleet, f"INSERT INTO applied SELECT '{name}', type, backend, '', '', revision FROM applied LIMIT 1")
    for command in (("deploy",), ("plan",), ("bot", "list"), ("admin", "stop-bot", "all")):
        done = fleet.run(*command, code=1)
        assert f"{records(fleet)}/fleet.db: its table `applied` has a bot named '{name}'" in done.stderr
        assert f"move fleet.db* out of {records(fleet)}" in done.stderr
    host.sh('mkdir -p /root/away; mv "$1"/fleet.db* /root/away', records(fleet))
    assert fleet.run("deploy").stdout == "revision 1: 3 no-op\n"
    assert {bot: facts["pid"] for bot, facts in fleet.bots().items()} == before
    assert fleet.run("plan").stdout == "3 no-op\n"


def test_what_the_database_says_of_a_unit_has_verify_run_nothing(fleet):
    host = fleet.host
    if fleet.place == SYSTEM_SUPERVISORD:
        host.run("systemctl", "enable", "supervisor.service")
    host.sh('mkdir -p /srv/evil; printf "#!/bin/sh\\nid -un > /srv/evil/ran\\n" > /srv/evil/python')
    host.sh("chmod 755 /srv/evil/python; chmod 777 /srv/evil")
    evil = "\n".join(EVIL)
    write(fleet, f"UPDATE content SET text = '{evil}' WHERE text LIKE '%bot-runner%'")
    done = fleet.run("verify", "--json", code=3)
    host.run("test", "!", "-e", "/srv/evil/ran")
    assert "was edited" in done.stdout
    assert "/srv/evil/python" not in done.stdout
    host.sh('mkdir -p /root/away; mv "$1"/fleet.db* /root/away', records(fleet))
    fleet.run("deploy")
    fleet.run("verify")


def test_what_a_bot_puts_into_the_place_of_its_log_or_its_dead_letters_is_not_read_by_root(fleet):
    if fleet.place != SYSTEM_SUPERVISORD:
        pytest.skip("under systemd a bot has no log of its own, and its folder is out of its user's reach")
    host, home = fleet.host, f"/var/lib/bot-toolkit/{fleet.fleet}/bots/alice"
    fleet.run("admin", "stop-bot", "alice")
    host.sh(
        'cd "$1"; rm alice.log; ln -s /etc/shadow alice.log',
        f"/var/log/bot-toolkit/{fleet.fleet}/alice",
        user=SERVICE_USER,
    )
    host.sh('mkdir -p "$1/spool/dead"; mkfifo "$1/spool/dead/7.json"', home, user=SERVICE_USER)
    done = fleet.run("bot", "logs", code=1)
    assert "root:" not in done.stdout
    assert "bob " in done.stdout
    assert "alice.log is a symbolic link, not a file\nhint: remove it, and see who made it" in done.stderr
    done = fleet.run("bot", "dead-letters", code=1)
    assert f"alice: update 7: {home}/spool/dead/7.json is a named pipe" in done.stderr
    log = f"/var/log/bot-toolkit/{fleet.fleet}/alice/alice.log"
    host.sh('rm "$1" "$2"', log, f"{home}/spool/dead/7.json")
    fleet.run("admin", "start-bot", "alice")


def test_what_a_member_writes_into_the_database_becomes_no_command_and_no_look_elsewhere(fleet):
    write(fleet, "UPDATE meta SET value = '/home/admin/fleet.yaml' WHERE key = 'fleet_file'")
    for command in ("down", "deploy"):
        told = fleet.run(command, code=4).stderr
        assert "is deployed from /home/admin/fleet.yaml, not from" in told
        assert "-f /home" not in told
    assert fleet.run("deploy", "--take-over").stdout.startswith("nothing to do")
    write(fleet, "UPDATE content SET text = replace(text, 'alice.token', 'evil.token')")
    assert "evil" not in fleet.run("verify", code=None).stdout
    assert "3 no-op" in fleet.run("deploy").stdout
    assert fleet.run("deploy").stdout.startswith("nothing to do")
    write(fleet, "UPDATE revision_file SET path = '../../../../etc/shadow' WHERE path LIKE '%tmpfiles.d%'")
    assert "names /etc/shadow, which is no file of this fleet" in fleet.run("verify", code=1).stderr
    fleet.run("deploy")
    assert "no file of this fleet" not in fleet.run("verify", code=None).stderr


def test_no_file_that_a_member_names_is_looked_at_and_no_user_is_told_as_a_command(fleet):
    write(
        fleet, f"UPDATE meta SET value = replace(value, '{fleet.file}', '/etc/shadow') WHERE key = 'sources'"
    )
    assert fleet.json("bot", "list")["undeployed"] == []
    assert fleet.file in fleet.json("verify", "--expected")["sources"]
    assert "shadow" not in fleet.run("verify", "--expected").stdout
    write(fleet, "UPDATE content SET text = replace(text, '/control.sock', '/passwd')")
    assert "names files of alice that are not its own" in fleet.run("verify", code=1).stderr
    fleet.run("deploy")
    secret = f"{fleet.folder}/secrets/alice.token"
    write(fleet, f"UPDATE content SET text = replace(text, 'user={SERVICE_USER}', 'user=mallory; reboot')")
    fleet.host.run("chmod", "644", secret)
    told = fleet.json("verify", code=3)["checks"]
    fleet.host.run("chmod", "600", secret)
    assert not [one for one in told if "mallory" in one["hint"]]
    fleet.run("deploy")
    fleet.run("verify")


def test_a_member_may_plan_and_put_nothing_in_force(fleet):
    before = {bot: facts["pid"] for bot, facts in fleet.bots().items()}
    if fleet.place == SYSTEM_SUPERVISORD:
        for command in ("plan", "deploy", "up", "down"):
            fleet.run(command, code=4, user=ADMIN)
        return
    assert fleet.run("plan", user=ADMIN).stdout == "3 no-op\n"
    assert fleet.run("deploy", user=ADMIN).stdout.startswith("nothing to do")
    fleet.run("down", code=4, user=ADMIN)
    fleet.edit("greeting: Hello", "greeting: Moin")
    fleet.run("plan", code=3, user=ADMIN)
    assert "Permission denied" in fleet.run("deploy", code=4, user=ADMIN).stderr
    fleet.run("verify")
    assert {bot: facts["pid"] for bot, facts in fleet.bots().items()} == before
    fleet.run("deploy")
    fleet.run("verify")
