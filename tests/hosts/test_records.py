"""What members of the fleet's group write into its database, which root acts upon."""

import pytest

from tests.hosts.places import settle_in
from toolkit.place import SYSTEM_SUPERVISORD, SYSTEM_SYSTEMD

pytest_plugins = ("tests.hosts.fixtures",)

ADMIN = "admin"
WRITE = "import sqlite3, sys; sqlite3.connect(sys.argv[1], isolation_level=None).execute(*sys.argv[2:3])"


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(place, id=place.backend, marks=pytest.mark.xdist_group(f"records-{place.backend}"))
        for place in (SYSTEM_SUPERVISORD, SYSTEM_SYSTEMD)
    ],
)
def fleet(request, host):
    host.run("toolkit", "sandbox", "--detach", code=None)
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
