"""What systemd makes of bots that hang or are killed, and what the toolkit tells of it."""

import time
from pathlib import Path

import pytest

from tests.hosts.image import OPT
from tests.hosts.places import settle_in
from toolkit.place import SYSTEM_SYSTEMD, USER_SYSTEMD

pytest_plugins = ("tests.hosts.fixtures",)

RUNNER = f"{OPT}/bin/bot-runner"
FAULTS = Path(__file__).parents[1] / "apps" / "faults_app.py"
LIMIT_S = 3.0
HANGS = f"""types:
  hangs:
    app: {{telegram: "faults_app:build"}}
    concurrency: 1
    stop_timeout: 1s
    health: {{loop: {LIMIT_S:g}s, poll: {LIMIT_S:g}s, handler: {LIMIT_S:g}s, stuck: {LIMIT_S:g}s}}
"""


@pytest.fixture(scope="module", params=[SYSTEM_SYSTEMD, USER_SYSTEMD], ids=str)
def fleet(host, host_sandbox, request):
    made = settle_in(host, request.param)
    # Volatile journals are not the user's own.
    host.run("usermod", "-aG", "systemd-journal", "admin")
    made.edit("types:\n", HANGS)
    made.edit("bots:\n", "bots:\n  dora: {type: hangs, token: {file: secrets/dora.token}}\n")
    owner = f"{made.user}:{made.user}"
    host.write(f"{made.folder}/secrets/dora.token", "4004:" + "d" * 35, 0o600, owner)
    host.write(f"{made.folder}/faults_app.py", FAULTS.read_text(), 0o644, owner)
    made.run("up")
    yield made
    made.run("down", code=None)


def test_a_bot_that_ends_without_a_word_is_restarted_and_its_status_tells_why(fleet, eventually):
    before = fleet.bots()["alice"]["pid"]
    words = "its process was killed"
    fleet.host.run("kill", "-KILL", before)
    eventually(lambda: fleet.bots()["alice"]["pid"] not in (None, before), 30)
    eventually(lambda: fleet.states()["alice"] == "RUNNING", 30)
    bot = fleet.json("bot", "status", "alice")["bots"][0]
    assert words in bot["last_exit"]["reason"]
    assert bot["last_exit"]["kind"] == "died"
    assert words in fleet.run("bot", "status", "alice").stdout


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("SIGSTOP", ("the watchdog killed it",)),
        ("/block", ("the watchdog killed it", "the event loop has been blocked")),
        ("/unpoll", ("the poller has ended",)),
        ("/hang", ("the handlers are stuck",)),
    ],
)
def test_a_bot_that_hangs_is_restarted_and_its_status_tells_why(fleet, eventually, tell_row, fault, words):
    before = fleet.bots()["dora"]["pid"]
    begun = time.monotonic()
    if fault == "SIGSTOP":
        fleet.host.run("kill", "-STOP", before)
    else:
        fleet.run("sandbox", "say", "dora", fault, "--wait", "0", code=None)
    fleet.host.sh('while [ -e "/proc/$1/exe" ]; do sleep 0.05; done', before)
    ended_s = time.monotonic() - begun
    eventually(lambda: fleet.states()["dora"] == "RUNNING", 30)
    back_s = time.monotonic() - begun
    bot = fleet.json("bot", "status", "dora")["bots"][0]
    assert bot["pid"] != before
    assert any(each in bot["last_exit"]["reason"] for each in words), bot["last_exit"]
    assert bot["last_exit"]["reason"] in fleet.run("bot", "status", "dora").stdout
    row = {
        "hang": fault,
        "place": str(fleet.place),
        "limit": f"{LIMIT_S:g} s",
        "ended after": f"{ended_s:.2f} s",
    }
    tell_row("hangs under systemd", row | {"back after": f"{back_s:.2f} s"})


@pytest.fixture
def runner_away(fleet):
    """A function that puts the runners' program back; until then no bot can begin."""
    fleet.host.run("mv", RUNNER, f"{RUNNER}.away")
    yield lambda: fleet.host.run("mv", f"{RUNNER}.away", RUNNER)
    fleet.host.run("mv", f"{RUNNER}.away", RUNNER, code=None)
    fleet.run("admin", "start-bot", "all", code=None)


@pytest.mark.parametrize("command", [("admin", "start-bot", "alice"), ("deploy",)], ids=" ".join)
def test_a_bot_that_systemd_gave_up_is_told_and_comes_back_when_it_is_mended(
    fleet, eventually, runner_away, command
):
    fleet.host.run("kill", "-KILL", fleet.bots()["alice"]["pid"])
    bot = eventually(lambda: (b := fleet.bots()["alice"])["state"] == "FAILED" and b, 90)
    assert bot["reason"].startswith("its process could not be set up: 203/EXEC")
    assert "systemd gave up after" in bot["reason"]
    assert "(start-limit-hit)" in bot["reason"]
    assert bot["hint"].endswith("when it is mended, `toolkit admin start-bot alice`")
    assert "start-limit-hit" in fleet.run("bot", "list").stdout
    told = fleet.run("bot", "status", "alice", code=3).stdout
    assert "start-limit-hit" in told
    assert "start-bot alice`" in told
    assert "start-limit-hit" in fleet.run("bot", "health", code=3).stdout
    (step,) = [step for step in fleet.json("plan", code=3)["steps"] if step["bot"] == "alice"]
    assert (step["action"], step["reason"]) == ("start", "is FAILED")
    # While it is not mended, to start it fails, in the same words.
    again = fleet.run(*command, code=None)
    assert again.returncode in (1, 3)
    assert "203/EXEC" in again.stdout + again.stderr
    eventually(lambda: fleet.states()["alice"] == "FAILED", 90)
    runner_away()
    fleet.run(*command)
    assert fleet.states()["alice"] == "RUNNING"


def test_a_bot_that_its_supervisor_would_never_kill_is_killed_in_its_own_time(fleet):
    host, unit = fleet.host, f"bot-{fleet.fleet}-carol.service"
    fleet.edit("  counter:\n", "  counter:\n    stop_timeout: 1s\n")
    fleet.run("deploy")
    systemctl = ("systemctl",) if fleet.place == SYSTEM_SYSTEMD else ("systemctl", "--user")
    folder = "/run/systemd" if fleet.place == SYSTEM_SYSTEMD else "/run/user/1000/systemd"
    drop_in = f"{folder}/{'system' if fleet.place == SYSTEM_SYSTEMD else 'user'}/{unit}.d"
    for command in (("admin", "stop-bot", "carol"), ("down",)):
        host.sh(
            'mkdir -p "$1"; printf "[Service]\\nTimeoutStopSec=infinity\\n" > "$1/never.conf"',
            drop_in,
            user=fleet.user,
        )
        host.run(*systemctl, "daemon-reload", user=fleet.user)
        # systemd lets go on what it stops.
        again_and_again = "while kill -STOP $1 2>/dev/null; do sleep 0.01; done"
        stopping = host.start("sh", "-c", again_and_again, "sh", fleet.bots()["carol"]["pid"])
        # It is given up by the test after 120 s.
        fleet.run(*command)
        stopping.communicate(timeout=30)
        host.run("rm", "-r", drop_in)
        host.run(*systemctl, "daemon-reload", user=fleet.user)
        fleet.run("up")
        fleet.run("admin", "start-bot", "carol")
