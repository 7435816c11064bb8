"""Bots under a real systemd: they work in their sandbox, and reach nothing that is not theirs."""

import json

import pytest

from tests.hosts.guest import failed_checks

pytest_plugins = ("tests.hosts.fixtures",)

FLEET = """
version: 1
fleet: box
backend: systemd
mode: system
types:
  plain: &plain
    app: {async: "bots:main"}
    environment: {PERCENT: "100% $HOME ${HOME} \\"x\\" it's \\\\ é", LINES: "a\\n[Service]\\n  b"}
  homely: {<<: *plain, needs: [home]}
  handy: {<<: *plain, needs: [devices]}
  quick: {<<: *plain, needs: [jit]}
  busy: {<<: *plain, needs: [subprocess]}
  fenced: {<<: *plain, limits: {ip_allow: [149.154.160.0/20, localhost]}}
bots:
  alice: {type: plain, token: {file: secrets/alice}}
  bob: {type: plain, token: {file: secrets/bob}}
  homely: {type: homely}
  handy: {type: handy}
  quick: {type: quick}
  busy: {type: busy}
  fenced: {type: fenced}
"""
# It tells by its state folder what it found, and goes on.
APP = """
import asyncio, json, os, pathlib

def tried(act):
    try:
        return repr(act())
    except Exception as error:
        return type(error).__name__ + ": " + str(getattr(error, "strerror", error))

async def main(context):
    found = {
        "token": context.token,
        "home": os.environ["HOME"],
        "values": [os.environ["PERCENT"], os.environ["LINES"]],
        "secret in environment": any("S3cr3t" in value for value in os.environ.values()),
        "stdin": os.read(0, 100).decode(),
        "run": tried(lambda: open("/run/x", "w")),
        "srv": tried(lambda: open("/srv/x", "w")),
        "token file": tried(lambda: open("/srv/box/secrets/alice").read()),
        "records": tried(lambda: os.listdir("/var/lib/bot-toolkit/box/records")),
        "bot files": tried(lambda: os.listdir("/var/lib/bot-toolkit/box/botfiles")),
        "sibling's": tried(lambda: open("/var/lib/bot-toolkit/box/botfiles/bob.json").read()),
        "bot file": tried(lambda: open("/var/lib/bot-toolkit/box/botfiles/alice.json", "a")),
        "processes": sum(name.isdigit() for name in os.listdir("/proc")),
        "homes": tried(lambda: os.listdir("/home")),
    }
    pathlib.Path(context.state, "found.json").write_text(json.dumps(found))
    await asyncio.sleep(10**6)
"""
ASK = """
import json, sys
from pathlib import Path
from toolkit.ipc.client import ask
try:
    print(ask("alice", Path(sys.argv[1]), "status", timeout_s=10)["state"])
except Exception as error:
    print(error)
"""
RATINGS = {"alice": 1.1, "homely": 1.2, "handy": 1.3, "quick": 1.1, "busy": 1.2, "fenced": 1.0}


@pytest.fixture(scope="module")
def fleet(host):
    """A host on which a fleet was deployed, and what its bots found."""
    host.sh("mkdir -p /srv/box/secrets; chmod 755 /srv/box; chmod 700 /srv/box/secrets")
    host.write("/srv/box/fleet.yaml", FLEET)
    host.write("/srv/box/bots.py", APP)
    for number, bot in enumerate(("alice", "bob")):
        host.write(f"/srv/box/secrets/{bot}", f"12345{number}:{'S3cr3t-t0ken_' * 3}\n", 0o600)
    host.run("toolkit", "-f", "/srv/box/fleet.yaml", "deploy")
    return host


def found(host, bot):
    return json.loads(host.read(f"/var/lib/bot-toolkit/box/bots/{bot}/found.json"))


def as_bot(host, bot, *command):
    """Run a command as the bot's own user and group, outside of its sandbox."""
    pid = host.out("systemctl", "show", "--value", "-p", "MainPID", f"bot-box-{bot}.service")
    user, group = host.out("stat", "-c", "%u %g", f"/proc/{pid}").split()
    return host.run("setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", *command, code=None)


def ask(host, bot, *prefix):
    socket = f"/run/bot-toolkit/box/{bot}/control.sock"
    return host.run(*prefix, "/opt/bot-toolkit/bin/python", "-c", ASK, socket, code=None).stdout


def test_values_reach_the_bot_unchanged(fleet):
    assert found(fleet, "alice")["values"] == [
        '100% $HOME ${HOME} "x" it\'s \\ é',
        "a\n[Service]\n  b",
    ]


def test_the_token_reaches_the_bot_and_stands_nowhere_else(fleet):
    seen = found(fleet, "alice")
    assert seen["token"].startswith("123450:S3cr3t")
    assert (seen["stdin"], seen["secret in environment"]) == ("", False)
    assert "PermissionError" in seen["token file"]
    unit = fleet.out("systemctl", "show", "bot-box-alice.service")
    assert "S3cr3t" not in unit


def test_a_bot_reaches_nothing_that_is_not_its_own(fleet):
    seen = found(fleet, "alice")
    assert seen["home"] == "/var/lib/bot-toolkit/box/bots/alice"
    for place in ("run", "srv"):
        assert "Read-only file system" in seen[place]
    for place in ("records", "bot file", "homes"):
        assert "Error: " in seen[place], place
    assert seen["bot files"] == "['alice.json']"
    assert seen["sibling's"].startswith("FileNotFoundError")
    assert seen["processes"] == 1
    assert "Error" not in found(fleet, "homely")["homes"]


def test_each_bot_has_a_user_of_its_own(fleet):
    users = fleet.out("ps", "-eo", "user:40,args").splitlines()
    runners = {line.split()[0] for line in users if "bot-runner" in line}
    assert runners == {"bot-box-bob", *(f"bot-box-{bot}" for bot in RATINGS)}


@pytest.mark.parametrize("bot", RATINGS)
def test_the_sandbox_is_as_tight_as_the_documents_say(fleet, bot):
    report = fleet.run(
        "systemd-analyze", "security", "--no-pager", f"bot-box-{bot}.service", code=None
    ).stdout
    (line,) = [line for line in report.splitlines() if "Overall exposure level" in line]
    assert float(line.rpartition(": ")[2].split()[0]) <= RATINGS[bot]


def test_root_and_operators_reach_a_bot_and_strangers_and_siblings_do_not(fleet):
    assert ask(fleet, "alice") == "RUNNING\n"
    assert "no permission to connect" in ask(fleet, "alice", "runuser", "-u", "admin", "--")
    operator = ("setpriv", "--reuid=admin", "--regid=admin", "--groups=bot-box")
    assert ask(fleet, "alice", *operator) == "RUNNING\n"
    socket = "/run/bot-toolkit/box/alice/control.sock"
    sibling = as_bot(fleet, "bob", "/opt/bot-toolkit/bin/python", "-c", ASK, socket)
    assert "may not call each other" in sibling.stdout
    assert as_bot(fleet, "bob", "rm", socket).returncode != 0
    assert as_bot(fleet, "bob", "touch", "/run/bot-toolkit/box/alice/x").returncode != 0


def test_a_machine_that_cannot_filter_addresses_is_told(fleet):
    # A container cannot, and systemd goes on without a word.
    faults = failed_checks(fleet, "/srv/box/fleet.yaml", "root")
    assert list(faults) == ["fenced:addresses"]
    assert "nothing is filtered" in faults["fenced:addresses"]


def test_systemd_has_no_complaint_of_the_files_in_place(fleet):
    units = fleet.sh("ls /etc/systemd/system/bot-box*.service /etc/systemd/system/bot-box.*").split()
    units = [unit for unit in units if not unit.endswith(".wants:")]
    done = fleet.run(
        "systemd-analyze", "verify", "--man=no", *[u for u in units if u.startswith("/")], code=None
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def permit(fleet):
    """Put the polkit rule in place, and admin into the group."""
    fleet.run("usermod", "-aG", "bot-box", "admin")
    rule = fleet.out("toolkit", "-f", "/srv/box/fleet.yaml", "render", "--polkit")
    fleet.write("/etc/polkit-1/rules.d/50-bot-box.rules", rule + "\n")
    fleet.run("systemctl", "restart", "polkit.service")


def test_the_group_may_manage_these_units_alone_where_the_rule_is_in_place(fleet):
    fleet.run("usermod", "-aG", "bot-box", "admin")
    restart = ("systemctl", "--no-ask-password", "restart")
    assert fleet.run(*restart, "bot-box-bob.service", user="admin", code=None).returncode != 0
    permit(fleet)
    fleet.run(*restart, "bot-box-bob.service", user="admin")
    for other in ("ssh.service", "bot-boxer-bob.service"):
        assert fleet.run(*restart, other, user="admin", code=None).returncode != 0


START = "Authentication is required to start '$(unit)'."
# What systemd 257 and later say where somebody brings a unit of his own.
TRANSIENT = "Authentication is required to start transient unit '$(unit)'."


def test_the_rule_makes_no_operator_of_a_bot_and_nobody_root(fleet, eventually):
    permit(fleet)
    operator = fleet.start("sleep", "1000", user="admin")
    look = ("pgrep", "-u", "admin", "-x", "sleep")
    mine = eventually(lambda: fleet.run(*look, code=None).stdout).strip()

    def may(pid, unit="bot-box-alice.service", verb="start", message=START):
        details = (("unit", unit), ("verb", verb), ("polkit.message", message))
        words = [word for pair in details for word in ("--detail", *pair)]
        action = ("--action-id", "org.freedesktop.systemd1.manage-units", "--process", pid)
        return fleet.run("pkcheck", *action, *words, code=None).returncode == 0

    try:
        assert may(mine)
        assert may(mine, verb="kill", message="")
        assert not may(mine, unit="ssh.service")
        assert not may(mine, verb="set-property", message="")
        assert not may(mine, message=TRANSIENT)
        # As newer versions of polkit see a bot.
        fleet.sh("sed -i 's/^bot-box:.*/&,bot-box-bob/' /etc/group")
        bot = fleet.out("systemctl", "show", "--value", "-p", "MainPID", "bot-box-bob.service")
        assert "bot-box" in fleet.out("id", "-nG", "bot-box-bob").split()
        assert not may(bot)
    finally:
        fleet.sh("sed -i 's/,bot-box-bob$//' /etc/group; pkill -u admin -x sleep")
        operator.communicate(timeout=30)


def test_all_of_it_is_back_after_a_reboot(fleet, eventually):
    fleet.reboot()
    eventually(lambda: ask(fleet, "alice") == "RUNNING\n")
    assert fleet.out("stat", "-c", "%a %U:%G", "/run/bot-toolkit/box") == "750 root:bot-box"
