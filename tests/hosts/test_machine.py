"""What only a whole machine can show: limits that the kernel holds."""

import json

import pytest

from tests.hosts import image, tier
from tests.hosts.machine import Machine
from tests.hosts.playbook import play

pytestmark = pytest.mark.xdist_group("machine")

APP = """import asyncio


async def eats(context):
    context.health.ready()
    while True:
        await asyncio.sleep(0.5)
        if (context.state / "eat").exists():
            (context.state / "eat").unlink()
            hoard = b"x" * (300 << 20)

"""
FLEET = """version: 1
fleet: demo
mode: system
types:
  greedy: {app: {async: "app:eats"}, limits: {memory_max: 100MB, tasks: 50}}
bots: {greedy: {type: greedy}}
"""
TOOLKIT = (f"{image.OPT}/bin/toolkit", "-f", "/etc/bot-toolkit/demo/fleet.yaml")
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
    variables = {"toolkit_fleet": "demo", "toolkit_fleet_source": str(source), "toolkit_wait": 200}
    host = Machine()
    try:
        host.play = lambda *options: play("deploy", [host], variables, folder, *options)
        host.first = host.play()
        yield host
    finally:
        host.kill()


def bot(machine, name):
    told = json.loads(machine.out(*TOOLKIT, "bot", "status", name, "--json"))
    return told["bots"][0]


def show(machine, name, field):
    return machine.out("systemctl", "show", "--value", "-p", field, f"bot-demo-{name}")


def test_the_role_brings_a_fleet_that_passes_its_checks(machine):
    # The role verifies at its end, and fails where a check does.
    assert machine.first.changed > 0
    assert bot(machine, "greedy")["state"] == "RUNNING"


def test_the_kernel_has_the_limits(machine):
    cgroup = machine.out("cat", f"/proc/{show(machine, 'greedy', 'MainPID')}/cgroup").partition("::")[2]
    limits = machine.sh('cd "/sys/fs/cgroup$1"; cat memory.max pids.max', cgroup)
    assert limits.split() == [str(100_000_000 // 4096 * 4096), "50"]


def test_a_greedy_bot_is_ended_by_its_limit_and_comes_back(machine, eventually):
    before = show(machine, "greedy", "MainPID")
    machine.run("touch", "/var/lib/bot-toolkit/demo/bots/greedy/eat")
    eventually(lambda: show(machine, "greedy", "MainPID") not in (before, "0"), WITHIN_S)
    eventually(lambda: bot(machine, "greedy")["state"] == "RUNNING", WITHIN_S)
    assert "oom-kill" in machine.out("journalctl", "-u", "bot-demo-greedy", "-o", "cat")
    assert machine.out("systemctl", "is-system-running") == "running"
