"""The same commands, states, JSON and exit codes in every place where a fleet can run."""

import pytest

from tests.hosts.places import Operator, settle_in
from toolkit.place import PLACES

pytest_plugins = ("tests.hosts.fixtures",)

ALL = ("alice", "bob", "carol")
RUNNING = dict.fromkeys(ALL, "RUNNING")


@pytest.fixture(scope="module", params=PLACES, ids=str)
def operator(host, host_sandbox, request):
    """One fleet in each place, deployed once; each test leaves it with all bots running."""
    made = settle_in(host, request.param)
    assert made.run("up").stdout == "revision 1: 3 start; 3 of 3 running\n"
    yield made
    made.run("down", code=None)


@pytest.fixture(autouse=True)
def all_run(operator: Operator):
    assert operator.states() == RUNNING
    yield
    operator.run("admin", "start-bot", "all", code=None)


def test_what_the_list_tells(operator):
    for name, bot in operator.bots().items():
        assert bot["backend"] == operator.place.backend
        assert bot["ready"] is True
        assert bot["reason"] == ""
        assert bot["restarts"] == 0
        assert bot["failure"] is None
        assert bot["username"].startswith("sandbox"), name
        assert bot["memory_bytes"] > 1e6
        assert operator.host.out("cat", f"/proc/{bot['pid']}/comm").startswith("bot-runner")


def test_a_second_deploy_touches_nothing(operator):
    before = operator.bots()
    assert operator.run("plan").stdout == "3 no-op\n"
    report = operator.json("deploy")
    assert report["revision"] is None
    assert {bot["pid"] for bot in before.values()} == {bot["pid"] for bot in operator.bots().values()}


def test_a_stop_is_kept_until_a_start(operator):
    assert operator.run("admin", "stop-bot", "alice").stdout == "alice: STOPPED\n"
    bot = operator.bots()["alice"]
    assert (bot["state"], bot["reason"], bot["pid"], bot["ready"]) == ("STOPPED", "", None, False)
    operator.run("deploy")
    operator.run("bot", "health")
    assert operator.states() == RUNNING | {"alice": "STOPPED"}
    operator.run("down")
    operator.run("up")
    assert operator.states() == RUNNING | {"alice": "STOPPED"}
    assert operator.run("admin", "start-bot", "alice").stdout == "alice: RUNNING\n"


def test_a_restart_is_another_process(operator):
    before = operator.bots()
    assert operator.run("admin", "restart-bot", "bob").stdout == "bob: RUNNING\n"
    after = operator.bots()
    assert after["bob"]["pid"] != before["bob"]["pid"]
    assert after["alice"]["pid"] == before["alice"]["pid"]
    assert after["bob"]["restarts"] == 0


def test_a_lost_control_socket_is_told_at_once_and_made_anew_by_a_restart(operator):
    find = "find /run /srv /home -path '*/bob/control.sock' -print -delete"
    socket = operator.host.out("sh", "-c", find).strip()
    words = f"its control socket {socket} is not there"
    assert words in operator.run("admin", "pause-bot", "bob", "--wait", "600", code=3).stdout
    assert operator.bots()["bob"]["reason"].endswith(words)
    assert operator.run("admin", "restart-bot", "bob").stdout == "bob: RUNNING\n"


def test_a_killed_bot_comes_back_and_says_so(operator, eventually):
    pid = operator.bots()["alice"]["pid"]
    operator.host.run("kill", "-KILL", pid)
    eventually(lambda: operator.bots()["alice"]["pid"] not in (pid, None) and operator.states() == RUNNING)
    bot = operator.bots()["alice"]
    assert bot["restarts"] == 1
    assert bot["last_exit"]["kind"] == "died"
    operator.run("admin", "restart-bot", "alice")
    assert operator.bots()["alice"]["restarts"] == 0


def test_a_change_restarts_the_bots_that_it_is_about(operator):
    before = operator.bots()
    operator.edit("greeting: Ahoy", "greeting: Moin")
    done = operator.run("plan", code=3)
    assert "config.greeting changed" in done.stdout
    report = operator.json("deploy")
    assert {step["bot"]: step["action"] for step in report["steps"]} == {
        "alice": "no-op",
        "bob": "restart",
        "carol": "no-op",
    }
    after = operator.bots()
    assert {name for name in ALL if after[name]["pid"] != before[name]["pid"]} == {"bob"}


def test_a_refused_token_is_quarantined_until_it_is_mended(operator):
    operator.run("sandbox", "fault", "alice", "*", 401)
    done = operator.run("admin", "restart-bot", "alice", code=3)
    assert done.stdout.startswith("alice: QUARANTINED: token refused")
    bot = operator.bots()["alice"]
    assert (bot["state"], bot["failure"], bot["ready"]) == ("QUARANTINED", "TOKEN_REFUSED", False)
    operator.run("bot", "status", "alice", code=3)
    operator.run("bot", "health", code=3)
    assert operator.run("plan").stdout.endswith("3 no-op\n")
    assert operator.run("admin", "stop-bot", "alice").stdout == "alice: STOPPED\n"
    operator.run("bot", "status", "alice")
    operator.run("sandbox", "heal", "alice")
    assert operator.run("admin", "start-bot", "alice").stdout == "alice: RUNNING\n"


def test_a_runner_that_cannot_begin_is_told_with_its_last_words(operator, eventually):
    host, pid = operator.host, operator.bots()["alice"]["pid"]
    path = host.out("sh", "-c", f"tr '\\0' '\\n' < /proc/{pid}/cmdline | tail -n1")
    good, owner, mode = host.read(path), *host.out("stat", "-c", "%U:%G %a", path).split()
    host.write(path, "{}", int(mode, 8), owner)
    done = operator.run("admin", "restart-bot", "alice", code=3)
    assert done.stdout.startswith("alice: QUARANTINED: bad configuration")
    eventually(lambda: operator.bots()["alice"]["pid"] is None)
    told = operator.run("bot", "status", "alice", code=3).stdout
    assert f"bad configuration: {path}: not a bot file" in told
    assert "`toolkit deploy`" in told
    host.write(path, good, int(mode, 8), owner)
    assert operator.run("admin", "start-bot", "alice").stdout == "alice: RUNNING\n"


def test_a_bot_that_dies_at_its_start_is_retried(operator, eventually):
    code = f"{operator.folder}/bots/echo.py"
    good = operator.host.read(code)
    owner = operator.host.out("stat", "-c", "%U:%G", code)
    operator.host.write(code, "import os\nos.abort()\n", 0o644, owner)
    operator.run("admin", "restart-bot", "alice", "--wait", 1, code=3)
    bot = eventually(lambda: (b := operator.bots()["alice"])["state"] == "BACKOFF" and b)
    assert bot["ready"] is False
    assert bot["reason"]
    operator.host.write(code, good, 0o644, owner)
    assert operator.run("admin", "start-bot", "alice").stdout == "alice: RUNNING\n"


FALLS = """
import logging, os, threading
class Fall(logging.Handler):
    def emit(self, record):
        if record.getMessage() == "RUNNING":
            threading.Timer(0.2, os._exit, [1]).start()
logging.getLogger("bot_runner").addHandler(Fall())
"""


def test_a_bot_that_falls_once_it_is_ready_is_no_success(operator, eventually):
    code = f"{operator.folder}/bots/echo.py"
    good = operator.host.read(code)
    owner = operator.host.out("stat", "-c", "%U:%G", code)
    operator.host.write(code, good + FALLS, 0o644, owner)
    try:
        done = operator.run("admin", "restart-bot", "all", code=3)
        assert done.stdout.startswith("alice: ")
        assert "it ended right after it was ready" in done.stdout
        assert "stopped there: 2 not restarted" in done.stderr
        operator.run("admin", "stop-bot", "alice")
        done = operator.run("admin", "start-bot", "alice", code=3)
        assert "it ended right after it was ready" in done.stdout
        operator.edit("greeting: ", "greeting: New ")
        report = operator.json("deploy", code=3)
        assert "it ended right after it was ready" in report["bots"][-1]["reason"]
    finally:
        operator.host.write(code, good, 0o644, owner)
        operator.edit("greeting: New ", "greeting: ")
        operator.run("admin", "restart-bot", "all", code=None)
    operator.run("deploy")


def test_an_app_that_cannot_be_imported_is_not_tried_again(operator, eventually):
    code = f"{operator.folder}/bots/echo.py"
    good = operator.host.read(code)
    owner = operator.host.out("stat", "-c", "%U:%G", code)
    operator.host.write(code, "import no_such_module\n", 0o644, owner)
    done = operator.run("admin", "restart-bot", "alice", code=3)
    assert done.stdout.startswith("alice: QUARANTINED: ")
    assert "no_such_module" in done.stdout
    # Under supervisord the process is held for its first second.
    bot = eventually(lambda: (b := operator.bots()["alice"])["pid"] is None and b)
    assert (bot["state"], bot["failure"], bot["restarts"]) == ("QUARANTINED", "APP_IMPORT", 0)
    operator.host.write(code, good, 0o644, owner)
    assert operator.run("admin", "start-bot", "alice").stdout == "alice: RUNNING\n"


def test_a_bot_that_left_the_fleet_is_removed(operator):
    text = operator.host.read(operator.file)
    operator.edit("  carol:\n", "  dora:\n")
    report = operator.json("deploy")
    assert [(step["bot"], step["action"]) for step in report["steps"]] == [
        ("carol", "remove"),
        ("alice", "no-op"),
        ("bob", "no-op"),
        ("dora", "start"),
    ]
    assert set(operator.states()) == {"alice", "bob", "dora"}
    operator.host.write(operator.file, text, 0o644, f"{operator.user}:{operator.user}")
    operator.run("deploy")
    assert operator.states() == RUNNING


def test_down_and_up(operator):
    assert operator.json("down") == {"version": 1, "fleet": operator.fleet, "was_running": True}
    assert set(operator.states().values()) == {"STOPPED"}
    assert operator.json("down")["was_running"] is False
    told = operator.run("bot", "status", code=3).stdout
    assert told.count("  hint: ") == len(RUNNING), told
    operator.run("up")
    assert operator.states() == RUNNING


def test_all_bots_stop_and_the_supervisor_goes_on(operator):
    operator.run("admin", "shutdown-system")
    assert set(operator.states().values()) == {"STOPPED"}
    assert operator.json("system", "info")["supervisor_running"] is True
    operator.run("deploy")
    assert operator.states() == RUNNING


def test_the_log(operator):
    lines = operator.log("alice")
    last = [line for line in lines if line["message"] == "RUNNING"][-1]
    assert (last["bot"], last["level"], last["logger"]) == ("alice", "INFO", "bot_runner")
    text = operator.run("bot", "logs", "alice", "bob", "-n", 0, "--grep", "bot_runner: RUNNING").stdout
    assert {line.split()[1] for line in text.splitlines()} == {"alice", "bob"}
    assert len(operator.run("bot", "logs", "-n", 2).stdout.splitlines()) == 2
    assert operator.run("bot", "logs", "--since", "2999-01-01T00:00Z").stdout == ""


def test_what_is_picked_is_told(operator):
    info = operator.json("system", "info")
    assert (info["backend"], info["mode"]) == (operator.place.backend, operator.place.mode)
    assert info["backend_reason"] == "the fleet file says so"
    assert "alice" in operator.host.run("sh", "-c", info["control"], user=operator.user, code=None).stdout


def test_a_bot_that_is_not_there(operator):
    assert operator.run("admin", "stop-bot", "nobody", code=2).stderr.count("error: ") == 1
