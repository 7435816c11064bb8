"""What `toolkit bot logs` reads of systemd's journal."""

import pytest

from tests.hosts.places import settle_in
from toolkit.place import SYSTEM_SYSTEMD, USER_SYSTEMD

pytest_plugins = ("tests.hosts.fixtures",)

RATE = "[Journal]\nRateLimitIntervalSec=1s\nRateLimitBurst=50\n"
# What is in no entry that a logger makes: fields twice, a priority that there is not, bytes that are no text.
ODD = b"MESSAGE=odd\nMESSAGE=twice\nPRIORITY=12\nUNIT=a\nUNIT=b\nX\n\x01\0\0\0\0\0\0\0\xff\n"
TELL = f"""
import logging, socket, threading, time
def tell():
    for number in range(2000):
        logging.getLogger("flood").warning("line %d", number)
    while True:
        time.sleep(0.3)
        logging.getLogger("flood").warning("slow")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
            journal.sendto({ODD!r}, "/run/systemd/journal/socket")
threading.Timer(0.5, tell).start()
"""
# "The unit has entered the failed state", as a manager says it.
FORGED = ("MESSAGE_ID=d9b373ed55a64feb8242e02dbe79a49c", "UNIT_RESULT=oom-kill")


@pytest.fixture(scope="module")
def journal(host):
    host.run("usermod", "-aG", "systemd-journal", "admin")
    # A user's services have the journal's own limit.
    host.write("/etc/systemd/journald.conf.d/rate.conf", RATE)
    host.sh("chmod 755 /etc/systemd/journald.conf.d; systemctl restart systemd-journald")


@pytest.fixture(scope="module", params=[SYSTEM_SYSTEMD, USER_SYSTEMD], ids=str)
def fleet(host, host_sandbox, journal, request):
    """A fleet whose bots write more than the journal takes, and what it takes from no logger."""
    place = request.param
    made = settle_in(host, place)
    code = f"{made.folder}/bots/echo.py"
    host.write(code, host.read(code) + TELL, 0o644, f"{made.user}:{made.user}")
    if place.mode == "system":
        folder = f"/etc/systemd/system/bot-{made.fleet}-.service.d"
        limit = "[Service]\nLogRateLimitIntervalSec=1s\nLogRateLimitBurst=50\n"
        host.sh('mkdir "$1"; printf %s "$2" > "$1/rate.conf"', folder, limit)
    made.run("up")
    yield made
    made.run("down")


def test_lines_that_the_journal_dropped_are_told(fleet, eventually):
    def told():
        lines = fleet.log("bob")
        return [line["message"] for line in lines if (line["bot"], line["logger"]) == ("bob", "systemd")]

    dropped = eventually(lambda: [line for line in told() if line.startswith("Suppressed ")], 30)
    assert " messages from " in dropped[0]
    lines = fleet.log("bob")
    assert "flood" in {line["logger"] for line in lines}
    assert {line["bot"] for line in lines} == {"bob"}
    assert any(line["message"].startswith("Started ") for line in lines)


def test_an_entry_that_no_logger_makes_is_shown_as_far_as_it_can_be(fleet, eventually):
    odd = eventually(lambda: [line for line in fleet.log("bob") if "odd" in line["message"]], 10)[0]
    assert sorted(odd["message"].split("\n")) == ["odd", "twice"]
    assert (odd["bot"], odd["level"], odd["logger"]) == ("bob", "INFO", "")


def test_how_a_run_ended_is_believed_of_the_manager_alone(host, fleet, eventually):
    def last_exit():
        host.run("journalctl", "--sync")
        return fleet.json("bot", "status", "bob", code=None)["bots"][0]["last_exit"]

    host.run("kill", "-9", fleet.bots()["bob"]["pid"])
    ended = eventually(last_exit, 15)
    field = "UNIT" if fleet.place.mode == "system" else "USER_UNIT"
    unit = f"{field}=bot-{fleet.fleet}-bob.service"
    for units in ([unit], [unit, unit]):
        host.sh('printf "%s\\n" "$@" | logger --journald', *FORGED, *units, user="nobody")
    assert last_exit() == ended
