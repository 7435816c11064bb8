"""What `toolkit bot logs` reads of systemd's journal."""

import pytest

from tests.hosts.places import settle_in
from toolkit.place import SYSTEM_SYSTEMD, USER_SYSTEMD

pytest_plugins = ("tests.hosts.fixtures",)

RATE = "[Journal]\nRateLimitIntervalSec=1s\nRateLimitBurst=50\n"
FLOOD = """
import logging, threading, time
def flood():
    for number in range(2000):
        logging.getLogger("flood").warning("line %d", number)
    while True:
        time.sleep(0.3)
        logging.getLogger("flood").warning("slow")
threading.Timer(0.5, flood).start()
"""


@pytest.fixture(scope="module")
def sandbox(host):
    host.run("toolkit", "sandbox", "--detach")
    host.run("usermod", "-aG", "systemd-journal", "admin")
    # A user's services have the journal's own limit.
    host.write("/etc/systemd/journald.conf.d/rate.conf", RATE)
    host.sh("chmod 755 /etc/systemd/journald.conf.d; systemctl restart systemd-journald")


@pytest.mark.parametrize("place", [SYSTEM_SYSTEMD, USER_SYSTEMD], ids=str)
def test_lines_that_the_journal_dropped_are_told(host, sandbox, place, eventually):
    fleet = settle_in(host, place)
    code = f"{fleet.folder}/bots/echo.py"
    host.write(code, host.read(code) + FLOOD, 0o644, f"{fleet.user}:{fleet.user}")
    if place.mode == "system":
        folder = f"/etc/systemd/system/bot-{fleet.fleet}-.service.d"
        limit = "[Service]\nLogRateLimitIntervalSec=1s\nLogRateLimitBurst=50\n"
        host.sh('mkdir "$1"; printf %s "$2" > "$1/rate.conf"', folder, limit)
    fleet.run("up")

    def told():
        lines = fleet.log("bob")
        return [line["message"] for line in lines if (line["bot"], line["logger"]) == ("bob", "systemd")]

    dropped = eventually(lambda: [line for line in told() if line.startswith("Suppressed ")], 30)
    assert " messages from " in dropped[0]
    lines = fleet.log("bob")
    assert "flood" in {line["logger"] for line in lines}
    assert {line["bot"] for line in lines} == {"bob"}
    assert any(line["message"].startswith("Started ") for line in lines)
    fleet.run("down")
