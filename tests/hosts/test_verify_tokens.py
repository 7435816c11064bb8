"""`toolkit verify --hosts` on real hosts: tokens, token files, and bots that are on their way."""

from collections.abc import Iterator

import pytest

from tests.hosts.guest import FLEET, Guest

pytest_plugins = ("tests.hosts.fixtures",)

SECRET = "/srv/demo/secrets/alice.token"
DROP_IN = "/etc/systemd/system/bot-demo-alice.service.d/token.conf"


@pytest.fixture(scope="module", params=["debian", "systemd"])
def guest(request, containers_run) -> Iterator[Guest]:
    from tests.hosts import image
    from tests.hosts.container import Container

    host = Container(image.with_toolkit())
    try:
        made = Guest(host, request.param)
        made.run("up")
        assert made.verify() == {}
        yield made
    finally:
        host.kill()


def test_a_token_in_a_file_of_the_fleet_is_told(guest):
    before = guest.host.read(FLEET)
    guest.host.sh('printf "# %s\\n" "$(cat "$1")" >> "$2"', SECRET, FLEET)
    faults = guest.verify()
    guest.host.write(FLEET, before)
    assert list(faults) == [":no-token"], faults
    assert FLEET in faults[":no-token"]


def test_a_copy_of_a_token_that_everyone_can_read_is_told(guest):
    copies = ["/srv/demo/notes.txt", "/srv/demo/bots/settings.py"]
    guest.host.sh('token=$1; shift; for f; do cp "$token" "$f"; chmod 644 "$f"; done', SECRET, *copies)
    guest.host.sh('cp "$1" "$1.old"; chmod 644 "$1.old"', SECRET)
    faults = guest.verify()
    guest.host.run("rm", f"{SECRET}.old", *copies)
    assert list(faults) == [":no-token"], faults
    assert all(path in faults[":no-token"] for path in copies)
    assert f"{SECRET}.old" not in faults[":no-token"], "nobody can enter its folder"
    assert guest.verify() == {}


def test_a_secret_behind_a_link_is_judged_by_what_it_leads_to(guest):
    kept = f"{SECRET}.kept"
    guest.host.sh('mv "$1" "$2"; ln -s "$2" "$1"', SECRET, kept)
    before = guest.verify()
    guest.host.run("chmod", "644", kept)
    faults = guest.failed()
    guest.do(faults["alice:secret"]["hint"])
    after = guest.verify()
    guest.host.run("mv", kept, SECRET)
    assert (before, after, list(faults)) == ({}, {}, ["alice:secret"])


def test_a_secret_that_holds_no_token_is_told_and_can_be_given_anew(guest):
    token = guest.host.read(SECRET)
    guest.host.sh('echo "a token" > "$1"', SECRET)
    faults = guest.failed()
    guest.do(faults["alice:secret"]["hint"], typed=token)
    assert list(faults) == ["alice:secret"], faults
    assert faults["alice:secret"]["found"] == f"{SECRET} holds no bot token"
    assert guest.verify() == {}


def test_a_secret_that_was_taken_away_is_told_and_can_be_given_anew(guest):
    token = guest.host.read(SECRET)
    guest.host.run("rm", SECRET)
    faults = guest.failed()
    guest.do(faults["alice:secret"]["hint"], typed=token)
    assert list(faults) == ["alice:secret"], faults
    assert guest.verify() == {}


def test_a_token_in_a_drop_in_is_told_as_one(guest):
    if guest.place != "systemd":
        pytest.skip("supervisord has no such thing")
    host = guest.host
    host.write(DROP_IN, f"[Service]\nEnvironment=TOKEN={host.read(SECRET)}\n")
    host.run("chmod", "755", DROP_IN.rpartition("/")[0])
    host.run("systemctl", "daemon-reload")
    faults = guest.failed()
    guest.do(faults["alice:no-token"]["hint"])
    assert list(faults) == ["alice:no-token"], faults
    assert guest.verify() == {}


def test_a_bot_that_just_restarts_and_a_deploy_at_work_are_waited_for(guest):
    guest.edit("greeting: Hello", "greeting: Moin")
    deploy = guest.host.start("toolkit", "-f", FLEET, "deploy")
    faults = guest.verify()
    output, error = deploy.communicate(timeout=120)
    assert deploy.returncode == 0, output + error
    assert faults == {}
    guest.host.run("kill", "-9", guest.pids()["alice"])
    assert guest.verify() == {}
