"""The role brings fleets to a fresh Debian: idempotent, and check mode says what a run then does."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.hosts import image
from tests.hosts.bot_api import serve_bot_api
from tests.hosts.host import ssh_config
from tests.hosts.playbook import ANSIBLE, fleet_folder, play

pytest_plugins = ("tests.hosts.fixtures",)
pytestmark = pytest.mark.takes_minutes

FLEET = """version: 1
fleet: demo
backend: {backend}
mode: system
endpoint: http://127.0.0.1:8081
types:
  echo: {{app: {{telegram: "bots.echo:build"}}{user}}}
bots:
  alice: {{type: echo, token: {{file: secrets/alice.token}}}}
  bob: {{type: echo, token: {{file: secrets/bob.token}}, config: {{greeting: Ahoy}}}}
"""
SECRETS = {"alice.token": "1001:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "bob.token": "1002:" + "b" * 35}
VENV = "/opt/fleet-env"
FLEET_FILE = "/etc/bot-toolkit/demo/fleet.yaml"


class Site:
    """A host, and the folder from which Ansible looks after it."""

    def __init__(self, host, folder: Path, backend: str) -> None:
        self.host, self.folder = host, folder
        user = ", user: bots" if backend == "supervisord" else ""
        self.source = fleet_folder(folder / "fleet", FLEET.format(backend=backend, user=user))
        (self.source / "program.sh").touch(mode=0o700)
        self.variables = {
            "toolkit_fleet": "demo",
            "toolkit_fleet_source": str(self.source),
            "toolkit_secrets": SECRETS,
            "toolkit_wheels": str(image.wheels()),
            "toolkit_venv": VENV,
            "toolkit_operators": ["admin"],
            "toolkit_manage_packages": False,
            "toolkit_secrets_owner": "bots" if user else "root",
            "toolkit_supervisord": backend == "supervisord",
        }
        serve_bot_api(host)

    def play(self, name="site", *options, code=0, **variables):
        return play(name, [self.host], self.variables | variables, self.folder, *options, code=code)

    def pids(self):
        units = ("bot-demo-alice", "bot-demo-bob")
        return self.host.out("systemctl", "show", "--value", "-p", "MainPID", *units).split()

    def states(self):
        told = json.loads(self.host.out(f"{VENV}/bin/toolkit", "-f", FLEET_FILE, "bot", "list", "--json"))
        return {bot["name"]: bot["state"] for bot in told["bots"]}


def site_on(host, folder, backend):
    site = Site(host, folder, backend)
    site.first_check = site.play("site", "--check")
    assert host.run("test", "-e", VENV, code=1)
    site.first = site.play()
    return site


@pytest.fixture(scope="module")
def site(host, tmp_path_factory):
    return site_on(host, tmp_path_factory.mktemp("site"), "systemd")


def test_it_brings_a_fleet_to_a_fresh_host(site):
    assert site.first_check.changed > 0
    assert site.first.changed > 0
    assert site.states() == {"alice": "RUNNING", "bob": "RUNNING"}
    assert site.host.out("toolkit", "-f", FLEET_FILE, "verify")
    assert site.host.out("stat", "-c", "%a %U", "/etc/bot-toolkit/demo/secrets/alice.token") == "600 root"
    assert site.host.out("stat", "-c", "%a", "/etc/bot-toolkit/demo/program.sh") == "755"
    assert "bot-demo" in site.host.out("id", "-nG", "admin").split()
    for secret in SECRETS.values():
        assert secret not in site.first.text + site.first_check.text


def test_its_checks_pass_over_ssh(site, tmp_path):
    address = f"ssh://admin@{site.host.address}?ssh_config={ssh_config()}"
    toolkit = [Path(sys.executable).with_name("toolkit"), "-f", FLEET_FILE, "verify"]
    report = tmp_path / "report.xml"
    remote = ["--hosts", address, "--sudo", "--remote-toolkit", f"{VENV}/bin/toolkit", "--junitxml", report]
    done = subprocess.run([*toolkit, *remote], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    checks = {case.get("name", "") for case in ET.parse(report).iter("testcase")}
    assert {name for name in checks if "alice: sandbox" in name}, checks


def test_a_second_run_changes_nothing(site):
    assert site.play().changed == 0
    assert site.play("site", "--check", "--diff").changed == 0


def test_check_mode_tells_what_the_run_then_does(site):
    pids = site.pids()
    fleet_file = site.source / "fleet.yaml"
    before = fleet_file.read_text()
    fleet_file.write_text(before.replace("Ahoy", "Moin"))
    (site.source / "bots.d").mkdir()
    (site.source / "bots.d" / "more.yaml").write_text("bots: {}\n")
    try:
        foreseen = site.play("deploy", "--check", "--diff")
        assert foreseen.changed > 0
        assert (
            "+  bob: {type: echo, token: {file: secrets/bob.token}, config: {greeting: Moin}}"
            in foreseen.text
        )
        assert "Moin" not in site.host.read(FLEET_FILE)
        done = site.play("deploy", "--diff")
        assert done.changed == foreseen.changed
        now = site.pids()
        assert now[0] == pids[0]
        assert now[1] != pids[1]
    finally:
        fleet_file.write_text(before)
        (site.source / "bots.d" / "more.yaml").unlink()
        (site.source / "bots.d").rmdir()
    with (site.source / "bots/echo.py").open("a") as code:
        code.write("# Edited\n")
    before = site.pids()
    site.play("deploy")
    assert site.host.run("test", "-e", "/etc/bot-toolkit/demo/bots.d/more.yaml", code=1)
    # The deploy restarts only the one whose greeting is as it was; the other had gone on with old code.
    assert not set(site.pids()) & set(before)


def test_a_deploy_that_fails_fails_the_play_and_names_the_bot(site):
    fleet_file = site.source / "fleet.yaml"
    before = fleet_file.read_text()
    fleet_file.write_text(before.replace("bots.echo:build", "bots.absent:build"))
    try:
        assert "bots.absent" in site.play("deploy", code=2).text
        assert site.states()["bob"] == "RUNNING"
    finally:
        fleet_file.write_text(before)
    site.host.write(FLEET_FILE, before)
    site.host.run(f"{VENV}/bin/toolkit", "-f", FLEET_FILE, "deploy")


def test_a_fleet_without_its_file_is_refused(site, tmp_path):
    assert "has no fleet.yaml" in site.play("deploy", code=2, toolkit_fleet_source=str(tmp_path)).text


def test_a_reboot_brings_all_back(site, eventually):
    site.host.reboot()
    eventually(lambda: site.states() == {"alice": "RUNNING", "bob": "RUNNING"}, 60)
    assert site.host.out("toolkit", "-f", FLEET_FILE, "verify")


def test_systemctl_ends_and_starts_the_fleet(site, eventually):
    site.host.run("systemctl", "stop", "bot-demo.target")
    eventually(lambda: set(site.states().values()) == {"STOPPED"}, 60)
    site.host.run("systemctl", "start", "bot-demo.target")
    eventually(lambda: set(site.states().values()) == {"RUNNING"}, 60)


def test_a_bot_whose_token_changed_is_restarted_and_no_token_is_shown(site):
    units = ("bot-demo-alice", "bot-demo-bob")
    before = site.host.out("systemctl", "show", "--value", "-p", "MainPID", *units).split()
    changed = SECRETS | {"alice.token": "1001:" + "z" * 35}
    foreseen = site.play("deploy", "--check", "--diff", "-vvv", toolkit_secrets=changed)
    done = site.play("deploy", "--diff", "-vvv", toolkit_secrets=changed)
    now = site.host.out("systemctl", "show", "--value", "-p", "MainPID", *units).split()
    assert done.changed == foreseen.changed == 2
    assert (now[0] != before[0], now[1] == before[1]) == (True, True)
    assert not [
        token for token in (*SECRETS.values(), *changed.values()) if token in foreseen.text + done.text
    ]


def test_the_machines_supervisord_serves_as_well(new_host, tmp_path):
    host = new_host()
    host.run("useradd", "--system", "bots")
    site = site_on(host, tmp_path, "supervisord")
    assert site.states() == {"alice": "RUNNING", "bob": "RUNNING"}
    assert site.play().changed == 0
    assert host.out("supervisorctl", "status").count("RUNNING") == 2


def test_the_role_passes_ansible_lint():
    lint = [Path(sys.executable).with_name("ansible-lint"), "--offline", "--profile", "production", "-q"]
    done = subprocess.run(lint, cwd=ANSIBLE, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_example_has_its_hosts_and_reads_no_file_of_the_fleet_as_such():
    listed = [Path(sys.executable).with_name("ansible-inventory"), "-i", "inventory/example", "--list"]
    done = subprocess.run(listed, cwd=ANSIBLE, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert found["bots"]["hosts"] == ["one.example.org", "two.example.org"]
    assert found.keys() == {"_meta", "all", "bots"}
