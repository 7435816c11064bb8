"""Who may do what to a fleet in systemd's system mode; and what root changes while bots run."""

import pytest

from tests.hosts.places import settle_in
from toolkit.place import SYSTEM_SYSTEMD

pytest_plugins = ("tests.hosts.fixtures",)

RULE = "/etc/polkit-1/rules.d/50-bot-system.rules"
ADMIN = "admin"


@pytest.fixture(scope="module")
def fleet(host, host_sandbox):
    made = settle_in(host, SYSTEM_SYSTEMD)
    # As root of a hardened machine, on which what is to be everybody's to read is not there yet.
    host.sh('umask 077; rm -rf /etc/sysusers.d /etc/tmpfiles.d; toolkit -f "$1" up', made.file)
    return made


def holds_and_links(fleet):
    wants = fleet.host.out("ls", f"/etc/systemd/system/bot-{fleet.fleet}.target.wants")
    return wants, fleet.run("plan", code=None).stdout


def test_folders_of_the_machine_are_everybodys_to_read_whatever_roots_umask(fleet):
    folders = ["/etc/sysusers.d", "/etc/tmpfiles.d", *(f"/{top}/bot-toolkit" for top in ("run", "var/lib"))]
    assert set(fleet.host.out("stat", "-c", "%a", *folders).split()) == {"755"}
    assert fleet.host.out("stat", "-c", "%a", f"/etc/tmpfiles.d/bot-{fleet.fleet}.conf") == "644"


@pytest.mark.parametrize(
    ("mode", "group", "enters"),
    [("705", "bots", False), ("750", "bots", True), ("705", "root", True), ("750", "root", False)],
)
def test_a_folder_is_judged_as_the_kernel_judges_it(fleet, mode, group, enters):
    folder, group = fleet.folder, f"bot-{fleet.fleet}" if group == "bots" else group
    fleet.host.sh('chgrp "$1" "$3"; chmod "$2" "$3"', group, mode, folder)
    # As systemd makes a bot of whom nothing is known but its group.
    argv = ["setpriv", "--reuid=61999", f"--regid=bot-{fleet.fleet}", "--clear-groups", "ls", folder]
    try:
        assert (fleet.host.run(*argv, code=None).returncode == 0) is enters
        done = fleet.run("plan", code=0 if enters else 2)
        words = f"{folder} may not be read by other users (mode 0{mode})"
        assert (words in done.stderr) is not enters
    finally:
        fleet.host.sh('chgrp root "$1"; chmod 755 "$1"', folder)


@pytest.mark.parametrize(
    "command",
    [
        ("admin", "stop-bot", "alice"),
        ("admin", "restart-bot", "alice"),
        ("admin", "shutdown-system"),
        ("down",),
        ("deploy",),
        ("bot", "list"),
    ],
    ids=" ".join,
)
def test_a_stranger_is_refused_and_nothing_changes(fleet, command):
    before = fleet.pids(), holds_and_links(fleet)
    done = fleet.run(*command, code=4, user=ADMIN)
    assert "error: " in done.stderr
    assert "hint: " in done.stderr
    assert (fleet.pids(), holds_and_links(fleet)) == before


def test_a_member_of_the_group_may_look_and_no_more(fleet):
    fleet.host.run("usermod", "-aG", f"bot-{fleet.fleet}", ADMIN)
    before = fleet.pids(), holds_and_links(fleet)
    assert "alice  echo     systemd  RUNNING" in fleet.run("bot", "list", user=ADMIN).stdout
    for command in (("admin", "stop-bot", "alice"), ("admin", "restart-bot", "alice"), ("down",)):
        done = fleet.run(*command, code=4, user=ADMIN)
        assert "not permitted" in done.stderr
        assert "toolkit render --polkit" in done.stderr
    assert "systemd-journal" in fleet.run("bot", "logs", "alice", code=4, user=ADMIN).stderr
    assert (fleet.pids(), holds_and_links(fleet)) == before


def test_with_polkits_rule_it_may_start_and_stop_the_fleets_bots_and_no_other_units(fleet):
    fleet.host.sh('toolkit -f "$1" render --polkit > "$2"', fleet.file, RULE)
    fleet.host.run("systemctl", "restart", "polkit.service")
    done = fleet.run("admin", "stop-bot", "alice", user=ADMIN)
    assert done.stdout == "alice: STOPPED\n"
    assert "not kept over a reboot" in done.stderr
    fleet.run("deploy")
    assert fleet.states()["alice"] == "STOPPED"
    assert fleet.run("admin", "start-bot", "alice", user=ADMIN).stdout == "alice: RUNNING\n"
    assert fleet.run("admin", "restart-bot", "bob", user=ADMIN).stdout == "bob: RUNNING\n"
    fleet.run("down", user=ADMIN)
    assert set(fleet.states().values()) == {"STOPPED"}
    # Nothing to write is a start; a change is not theirs to make.
    fleet.edit("greeting: Ahoy", "greeting: Moin")
    fleet.run("deploy", code=4, user=ADMIN)
    fleet.edit("greeting: Moin", "greeting: Ahoy")
    fleet.host.run("systemctl", "start", f"bot-{fleet.fleet}.target", user=ADMIN)
    fleet.host.run("systemctl", "stop", "ssh.service", user=ADMIN, code=None)
    fleet.host.run("systemctl", "is-active", "--quiet", "ssh.service")


def test_a_deploy_that_was_broken_off_before_systemd_read_the_units_is_finished_by_the_next(fleet):
    fleet.run("up")
    fleet.edit("  echo:\n", "  echo:\n    environment: {NEW: set}\n")
    fleet.host.sh('toolkit -f "$1" render --out /tmp/new; cp -r /tmp/new/etc/systemd /etc/', fleet.file)
    fleet.run("deploy")
    assert fleet.run("plan").stdout == "3 no-op\n"
    environ = fleet.host.sh("tr '\\0' '\\n' < /proc/$1/environ", fleet.pids()["alice"])
    assert "NEW=set" in environ.splitlines()
    fleet.edit("    environment: {NEW: set}\n", "")
    fleet.run("deploy")


def test_systemd_reads_the_units_once_for_all_that_a_deploy_changes(fleet):
    reloads = "journalctl --sync; journalctl -q _PID=1 -o cat | grep -c '^Reloading\\.'"
    fleet.run("up")
    before = int(fleet.host.sh(reloads))
    fleet.edit("  echo:\n", "  echo:\n    environment: {NEW: set}\n")
    fleet.run("deploy")
    assert int(fleet.host.sh(reloads)) == before + 1
    fleet.edit("    environment: {NEW: set}\n", "")
    fleet.run("deploy")
    assert int(fleet.host.sh(reloads)) == before + 2


def test_a_lost_unit_is_put_back_also_where_the_bot_file_alone_changed(fleet):
    fleet.run("up")
    unit = f"/etc/systemd/system/bot-{fleet.fleet}-bob.service"
    fleet.host.run("rm", unit)
    fleet.edit("greeting: Ahoy", "greeting: Moin")
    fleet.run("deploy")
    fleet.host.run("test", "-e", unit)


def test_limits_change_live_and_no_drift_stays(fleet):
    fleet.run("up")
    before = fleet.pids()
    fleet.edit("  echo:\n", "  echo:\n    limits: {memory_max: 300MB, tasks: 40}\n")
    assert "live limit  MemoryMax, TasksMax changed" in fleet.run("plan", code=3).stdout
    fleet.run("deploy")
    unit = f"bot-{fleet.fleet}-alice.service"

    def limits():
        return fleet.host.out("systemctl", "show", "--value", "-p", "TasksMax,MemoryMax", unit).split()

    assert sorted(limits()) == ["300000000", "40"]
    fleet.host.run("systemctl", "set-property", "--runtime", unit, "TasksMax=77")
    assert "alice  live limit  TasksMax changed" in fleet.run("plan", code=3).stdout
    fleet.run("deploy")
    assert "40" in limits()
    fleet.edit("    limits: {memory_max: 300MB, tasks: 40}\n", "")
    fleet.run("deploy")
    assert "infinity" in limits()
    assert fleet.run("plan").stdout == "3 no-op\n"
    assert fleet.pids() == before
    assert fleet.host.out("systemctl", "show", "--value", "-p", "NeedDaemonReload", unit) == "no"
