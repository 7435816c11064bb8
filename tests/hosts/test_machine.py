"""What only a whole machine can show: limits and filters that the kernel holds, and how a machine boots."""

import json
import shutil

import pytest

from tests.hosts import image, tier
from tests.hosts.bot_api import ENDPOINT, serve_bot_api
from tests.hosts.machine import Machine
from tests.hosts.playbook import ECHO, play

pytestmark = pytest.mark.takes_minutes

# What qemu's own DHCP server gives.
OUTER = "10.0.2.15"
APP = f"""import asyncio
import json
import socket


def sent_to(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        try:
            return datagrams.sendto(b"x", (address, 9))
        except OSError as error:
            return type(error).__name__


async def eats(context):
    found = {{address: sent_to(address) for address in ("127.0.0.1", "{OUTER}")}}
    (context.state / "sent").write_text(json.dumps(found))
    context.health.ready()
    while True:
        await asyncio.sleep(0.5)
        if (context.state / "eat").exists():
            (context.state / "eat").unlink()
            hoard = b"x" * (300 << 20)


async def waits(context):
    await asyncio.Event().wait()
"""
FLEET = f"""version: 1
fleet: demo
mode: system
endpoint: {ENDPOINT}
config: {{greeting: Hello}}
types:
  echo: {{app: {{telegram: "echo:build"}}, limits: {{ip_allow: [localhost]}}}}
  greedy: {{app: {{async: "app:eats"}}, limits: {{memory_max: 100MB, tasks: 50, ip_allow: [localhost]}}}}
  never: {{app: {{async: "app:waits", ready: app}}}}
bots:
  alice: {{type: echo, token: {{file: secrets/alice.token}}}}
  greedy: {{type: greedy}}
"""
FOLDER = "/etc/bot-toolkit/demo"
UNIT = "bot-demo-greedy.service"
GREEDY = "/var/lib/bot-toolkit/demo/bots/greedy"
TOOLKIT = (f"{image.OPT}/bin/toolkit", "-f", f"{FOLDER}/fleet.yaml")
RUNNING = {"alice": "RUNNING", "greedy": "RUNNING"}
LIMITS = 'cd "/sys/fs/cgroup$(systemctl show --value -p ControlGroup "$1")"; cat memory.max pids.max'
NOT_READY = """
systemctl is-active bot-demo-never.service || true
systemctl is-system-running || true
systemctl list-jobs
"""
# A machine is slow, and slower where other tests run beside it.
WITHIN_S = 240.0


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """A machine with the fleet, brought by Ansible."""
    tier.require(tier.MACHINE)
    folder = tmp_path_factory.mktemp("machine")
    source = folder / "fleet"
    source.mkdir()
    (source / "fleet.yaml").write_text(FLEET)
    (source / "app.py").write_text(APP)
    # Ansible takes 7 s for each file.
    shutil.copy(ECHO, source)
    variables = {
        "toolkit_fleet": "demo",
        "toolkit_fleet_source": str(source),
        "toolkit_secrets": {"alice.token": "1001:" + "a" * 35},
        "toolkit_wait": 200,
    }
    host = Machine()
    try:
        serve_bot_api(host)
        host.first = play("deploy", [host], variables, folder)
        yield host
    finally:
        host.kill()


def states(machine):
    told = json.loads(machine.out(*TOOLKIT, "bot", "list", "--json"))
    return {bot["name"]: bot["state"] for bot in told["bots"]}


def greedy_pid(machine):
    return machine.out("systemctl", "show", "--value", "-p", "MainPID", UNIT)


def test_the_role_brings_a_fleet_that_passes_its_checks(machine):
    # The role verifies at its end, and fails where a check does: the bots run and are ready.
    assert machine.first.changed > 0


def test_the_kernel_has_the_limits(machine):
    limits = machine.sh(LIMITS, UNIT)
    assert limits.split() == [str(100_000_000 // 4096 * 4096), "50"]


def test_the_kernel_filters_addresses(machine):
    # The other bot of these is RUNNING, and so reaches the Bot API on the loopback device.
    assert json.loads(machine.read(f"{GREEDY}/sent")) == {"127.0.0.1": 1, OUTER: "PermissionError"}


def test_a_greedy_bot_is_ended_by_its_limit_and_comes_back(machine, eventually):
    before = greedy_pid(machine)
    machine.run("touch", f"{GREEDY}/eat")
    eventually(lambda: greedy_pid(machine) not in (before, "0"), WITHIN_S)
    eventually(lambda: states(machine) == RUNNING, WITHIN_S)
    assert "oom-kill" in machine.out("journalctl", "-u", UNIT, "-o", "cat")
    assert machine.out("systemctl", "is-system-running") == "running"


def test_systemctl_ends_and_starts_the_fleet(machine, eventually):
    machine.run("systemctl", "stop", "bot-demo.target")
    eventually(lambda: set(states(machine).values()) == {"STOPPED"}, WITHIN_S)
    machine.run("systemctl", "start", "bot-demo.target")
    eventually(lambda: states(machine) == RUNNING, WITHIN_S)


def test_a_bot_that_never_gets_ready_does_not_hold_the_boot(machine, eventually):
    machine.write(f"{FOLDER}/bots.d/never.yaml", "bots: {never: {type: never}}\n")
    machine.run(*TOOLKIT, "deploy", "--wait", "5", code=3)
    # It waits for SSH and multi-user.target, which is all that a boot is to bring.
    machine.reboot()
    state, system, jobs = machine.sh(NOT_READY).split("\n", 2)
    assert (state, system) == ("activating", "starting")
    assert "bot-demo-never.service" in jobs
    eventually(lambda: states(machine) == RUNNING | {"never": "INITIALIZING"}, WITHIN_S)


def test_the_fleet_passes_its_checks_after_the_boot(machine):
    machine.run("rm", "-r", f"{FOLDER}/bots.d")
    machine.run(*TOOLKIT, "deploy")
    machine.run(*TOOLKIT, "verify")
