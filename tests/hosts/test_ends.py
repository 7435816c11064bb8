"""What systemd makes of bots that hang or are killed, and what the toolkit tells of it."""

import pytest

from tests.hosts.places import settle_in
from toolkit.place import SYSTEM_SYSTEMD, USER_SYSTEMD

pytest_plugins = ("tests.hosts.fixtures",)


@pytest.fixture(scope="module")
def sandbox(host):
    host.run("toolkit", "sandbox", "--detach")


@pytest.fixture(scope="module", params=[SYSTEM_SYSTEMD, USER_SYSTEMD], ids=str)
def fleet(host, sandbox, request):
    made = settle_in(host, request.param)
    # Volatile journals are not the user's own.
    host.run("usermod", "-aG", "systemd-journal", "admin")
    made.edit("  echo:\n", "  echo:\n    health: {loop: 3s}\n")
    made.run("up")
    yield made
    made.run("down", code=None)


@pytest.mark.parametrize(
    ("signal", "words"), [("STOP", "the watchdog killed it"), ("KILL", "its process was killed")]
)
def test_a_bot_that_ends_without_a_word_is_restarted_and_its_status_tells_why(
    fleet, eventually, signal, words
):
    before = fleet.bots()["alice"]["pid"]
    fleet.host.run("kill", f"-{signal}", before)
    eventually(lambda: fleet.bots()["alice"]["pid"] not in (None, before), 30)
    eventually(lambda: fleet.states()["alice"] == "RUNNING", 30)
    bot = fleet.json("bot", "status", "alice")["bots"][0]
    assert words in bot["last_exit"]["reason"]
    assert bot["last_exit"]["kind"] == "died"
    assert words in fleet.run("bot", "status", "alice").stdout
