"""`toolkit verify --hosts` on real hosts: breaking one thing makes exactly its check fail."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.hosts.guest import FLEET, Guest, failed_checks
from tests.hosts.image import OPT

pytest_plugins = ("tests.hosts.fixtures",)
pytestmark = pytest.mark.takes_minutes

STALE = """\
import os, socket, sys
path, = sys.argv[1:]
found = os.stat(path)
os.unlink(path)
with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(path)
os.chown(path, found.st_uid, found.st_gid)
os.chmod(path, 0o660)
"""
AS_ITS_USER = """\
pid=$1 program=$2; shift 2
id() { awk "/^$1/ {print \\$2}" "/proc/$pid/status"; }
exec setpriv --reuid "$(id Uid)" --regid "$(id Gid)" --clear-groups "$program" --pid "$pid" "$@"
"""
SOCKET = "/run/bot-toolkit/demo/alice/control.sock"
SECRET = "/srv/demo/secrets/alice.token"
DROP_IN = "/etc/systemd/system/bot-demo-alice.service.d/open.conf"


@pytest.fixture(scope="module", params=["debian", "systemd"])
def guest(request, containers_run) -> Iterator[Guest]:
    from tests.hosts import image
    from tests.hosts.container import Container

    host = Container(image.with_toolkit())
    try:
        made = Guest(host, request.param)
        if made.place == "systemd":
            made.edit("  echo:\n", "  echo:\n    limits: {tasks: 64, memory_max: 256MiB, cpu_quota: 150%}\n")
        made.run("up")
        assert made.verify() == {}
        yield made
    finally:
        host.kill()


def open_secret(guest: Guest) -> None:
    guest.host.run("chmod", "644", SECRET)


def give_the_secret_away(guest: Guest) -> None:
    guest.host.run("chown", "nobody", SECRET)


def stop_a_bot(guest: Guest) -> None:
    guest.stop_by_hand("alice")


def start_a_bot_by_hand(guest: Guest) -> None:
    guest.run("admin", "stop-bot", "alice")
    guest.start_by_hand("alice")


def edit_a_unit(guest: Guest) -> None:
    guest.host.sh('echo "# edited" >> "$1"', guest.unit("alice"))


def take_a_unit(guest: Guest) -> None:
    guest.host.run("rm", guest.unit("alice"))


def give_a_unit_away(guest: Guest) -> None:
    guest.host.run("chown", "nobody", guest.unit("alice"))


def give_a_bot_file_away(guest: Guest) -> None:
    guest.host.run("chgrp", "nogroup", "/var/lib/bot-toolkit/demo/botfiles/alice.json")


def give_the_folders_away(guest: Guest) -> None:
    guest.host.run("chown", "nobody", "/etc/tmpfiles.d/bot-demo.conf")


def close_the_lock(guest: Guest) -> None:
    guest.host.run("chmod", "600", "/var/lib/bot-toolkit/demo/records/fleet.lock")


def change_a_limit(guest: Guest) -> None:
    guest.host.sh(AS_ITS_USER, guest.pids()["alice"], "prlimit", "--nofile=512:512")


def leave_a_stale_socket(guest: Guest) -> None:
    guest.host.run("python3", "-c", STALE, SOCKET)


def open_the_socket(guest: Guest) -> None:
    guest.host.run("chmod", "666", SOCKET)


def open_its_folder(guest: Guest) -> None:
    guest.host.run("chmod", "o+rx", SOCKET.rpartition("/")[0])


def give_its_folder_away(guest: Guest) -> None:
    guest.host.run("chgrp", "nogroup", SOCKET.rpartition("/")[0])


def open_the_fleet_file(guest: Guest) -> None:
    guest.host.run("chmod", "o+w", FLEET)


def open_the_units(guest: Guest) -> None:
    guest.host.run("chmod", "o+w", guest.units)


def forget_the_boot(guest: Guest) -> None:
    services = {"debian": "supervisor", "systemd": "bot-demo.target"}
    guest.host.run("systemctl", "disable", services[guest.place])


def stop_the_supervisor(guest: Guest) -> None:
    services = {"debian": "supervisor", "systemd": "bot-demo.target"}
    guest.host.run("systemctl", "stop", services[guest.place])


def open_the_records(guest: Guest) -> None:
    guest.host.run("chmod", "666", "/var/lib/bot-toolkit/demo/records/fleet.db")


def edit_the_folders(guest: Guest) -> None:
    guest.host.sh('echo "# edited" >> "$1"', "/etc/tmpfiles.d/bot-demo.conf")


@pytest.mark.parametrize(
    ("break_it", "check", "found"),
    [
        (open_secret, "alice:secret", "mode 0644: others may use it"),
        (give_the_secret_away, "alice:secret", "belongs to nobody"),
        (stop_a_bot, "alice:running", "it is STOPPED"),
        (start_a_bot_by_hand, "alice:running", "it runs, though an operator stopped it"),
        (edit_a_unit, "alice:unit-file", "was edited: line"),
        (take_a_unit, "alice:unit-file", "is not there"),
        (give_a_unit_away, "alice:unit-file", "belongs to nobody:root, not to root:root"),
        (give_a_bot_file_away, "alice:bot-file", "belongs to root:nogroup, not to root:bot"),
        (change_a_limit, "alice:limits", "open files: 512, not 1024"),
        (leave_a_stale_socket, "alice:socket", ""),
        (open_the_socket, "alice:socket", "mode 0666, not 0660"),
        (open_its_folder, "alice:socket", "/run/bot-toolkit/demo/alice has mode"),
        (give_its_folder_away, "alice:socket", "nogroup, not to"),
        (open_the_fleet_file, ":folders", f"{FLEET} has mode 0646: everyone may write there"),
        (open_the_units, ":folders", "everyone may write there"),
        (forget_the_boot, ":boot", "abled"),
        (stop_the_supervisor, ":supervisor", ""),
        (open_the_records, ":database", "mode 0666"),
        (close_the_lock, ":database", "fleet.lock has mode 0600, not 0660"),
        (give_the_folders_away, ":shared-files", "belongs to nobody:root"),
        (edit_the_folders, ":shared-files", "bot-demo.conf was edited"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_breaking_one_thing_fails_exactly_its_check_and_what_the_hint_says_mends_it(
    guest, break_it, check, found
):
    break_it(guest)
    faults = guest.failed()
    # What this one does not mend, the next one would find.
    guest.do(faults[check]["hint"])
    assert list(faults) == [check], faults
    assert found in faults[check]["found"]


def test_a_host_is_asked_over_one_connection(guest):
    logins = "journalctl --sync; journalctl -q -t sshd -o cat | grep -c '^Accepted publickey'"
    before = int(guest.host.sh(logins))
    assert guest.verify() == {}
    assert int(guest.host.sh(logins)) == before + 1


def test_folders_that_were_opened_are_told_and_put_back(guest):
    modes = {"/run/bot-toolkit": "0755", "/run/bot-toolkit/demo": "", "/var/lib/bot-toolkit/demo": ""}
    guest.host.run("chmod", "777", *modes)
    (check, found), *others = guest.verify().items()
    assert (check, others) == (":folders", [])
    for path, mode in modes.items():
        assert f"{path} has mode 0777, not {mode}" in found
    assert "everyone may write there" in found
    told = guest.json("plan", code=3)["put_back"]
    assert {one["path"] for one in told} == modes.keys()
    done = guest.run("deploy").stdout
    assert "put back /run/bot-toolkit: of mode 0777, not 0755\n" in done
    assert "3 folders put back; else " in done
    assert guest.verify() == {}
    assert "nothing to do" in guest.run("deploy").stdout


def test_folders_of_secrets_and_code_in_which_others_may_write_are_told_with_what_closes_them(guest):
    opened = ["/srv/demo", "/srv/demo/bots", "/srv/demo/secrets"]
    guest.host.run("chmod", "a+rwx", *opened)
    faults = guest.failed()
    guest.do(faults[":folders"]["hint"])
    guest.host.run("chmod", "go-rwx", "/srv/demo/secrets")
    assert list(faults) == [":folders"], faults
    for path in opened:
        assert f"{path} has mode 0777: everyone may write there" in faults[":folders"]["found"]
    assert guest.verify() == {}


# What is opened is told by its name.
OPENED = {
    "one of each": (
        "ProtectHome=no",
        "PrivateUsers=no",
        "SystemCallFilter=",
        "ReadWritePaths=/etc",
        "SupplementaryGroups=adm",
        "CapabilityBoundingSet=CAP_SYS_ADMIN",
        "ReadOnlyPaths=",
        "TemporaryFileSystem=",
        "MemoryDenyWriteExecute=no",
    ),
    "a set of calls": ("SystemCallFilter=@mount",),
    "a call": ("SystemCallFilter=chown",),
    "one alone": ("PrivateUsers=no",),
}


@pytest.fixture
def under_systemd(guest) -> Guest:
    if guest.place != "systemd":
        pytest.skip("supervisord has no such thing")
    return guest


# MemoryHigh is one that the fleet does not name.
@pytest.mark.parametrize(
    ("name", "value"),
    [("TasksMax", "infinity"), ("MemoryMax", "infinity"), ("CPUQuota", ""), ("MemoryHigh", "50M")],
)
def test_a_limit_that_was_changed_by_others_is_told_and_set_back_by_the_deploy(under_systemd, name, value):
    guest, pids = under_systemd, under_systemd.pids()
    unit = "bot-demo-alice.service"
    guest.host.run("systemctl", "set-property", "--runtime", unit, f"{name}={value}")
    faults = guest.failed()
    planned = guest.run("plan", code=3).stdout
    guest.do(faults["alice:limits"]["hint"])
    assert list(faults) == ["alice:limits"], faults
    assert name in faults["alice:limits"]["found"]
    assert "1 live limit" in planned
    assert guest.verify() == {}
    assert guest.pids() == pids


@pytest.mark.parametrize("opened", OPENED.values(), ids=OPENED)
def test_an_opened_sandbox_is_told(under_systemd, opened):
    host = under_systemd.host
    host.write(DROP_IN, "\n".join(["[Service]", *opened, ""]))
    host.run("chmod", "755", DROP_IN.rpartition("/")[0])
    host.run("systemctl", "daemon-reload")
    faults = under_systemd.verify()
    host.run("rm", "-r", DROP_IN.rpartition("/")[0])
    host.run("systemctl", "daemon-reload")
    assert list(faults) == ["alice:sandbox"], faults
    for setting in opened:
        assert re.search(rf"\b{setting.partition('=')[0]} (is|allows) ", faults["alice:sandbox"]), faults


@pytest.mark.parametrize("opened", ["PrivateUsers=no", "CapabilityBoundingSet=CAP_NET_RAW"])
def test_a_process_that_began_in_an_opened_sandbox_is_told(under_systemd, opened):
    host, unit = under_systemd.host, "bot-demo-alice.service"
    host.write(DROP_IN, f"[Service]\n{opened}\n")
    host.run("chmod", "755", DROP_IN.rpartition("/")[0])
    host.sh('systemctl daemon-reload; systemctl restart "$1"; systemctl revert "$1"', unit)
    faults = under_systemd.failed()
    under_systemd.do(faults["alice:sandbox"]["hint"])
    assert list(faults) == ["alice:sandbox"], faults
    assert faults["alice:sandbox"]["found"].startswith("its process ")
    assert under_systemd.verify() == {}


def test_a_reload_that_is_due_is_told(under_systemd):
    under_systemd.host.run("touch", "-d", "+1 hour", under_systemd.unit("alice"))
    faults = under_systemd.failed()
    under_systemd.do(faults["alice:loaded"]["hint"])
    assert list(faults) == ["alice:loaded"], faults


def test_an_edited_unit_with_another_limit_is_told_once(under_systemd):
    host = under_systemd.host
    host.sh('sed -i s/TasksMax=64/TasksMax=32/ "$1" && systemctl daemon-reload', under_systemd.unit("alice"))
    faults = under_systemd.failed()
    under_systemd.do(faults["alice:unit-file"]["hint"])
    assert list(faults) == ["alice:unit-file"], faults


@pytest.mark.parametrize(
    ("unit", "text"), [("target", "[Unit]\nConflicts=x.service\n"), ("slice", "[Slice]\nTasksMax=9\n")]
)
def test_a_drop_in_of_what_the_bots_share_is_told_and_taken_away_by_what_the_hint_says(
    under_systemd, unit, text
):
    host, path = under_systemd.host, f"/etc/systemd/system/bot-demo.{unit}.d/x.conf"
    host.write(path, text)
    host.run("chmod", "755", path.rpartition("/")[0])
    unread = under_systemd.verify()
    host.run("systemctl", "daemon-reload")
    faults = under_systemd.failed()
    under_systemd.do(faults[":drop-ins"]["hint"])
    assert list(faults) == list(unread) == [":drop-ins"], (faults, unread)
    assert path in faults[":drop-ins"]["found"]
    assert under_systemd.verify() == {}


def test_a_bot_that_runs_and_was_masked_is_told_once_and_what_the_hint_says_has_all_pass(under_systemd):
    host, unit = under_systemd.host, under_systemd.unit("alice")
    host.sh('mv "$1" /root; systemctl mask "$(basename "$1")"', unit)
    faults = under_systemd.failed()
    under_systemd.do(faults["alice:loaded"]["hint"])
    assert list(faults) == ["alice:loaded"], faults
    assert under_systemd.verify() == {}


def test_a_drop_in_of_all_services_is_told_and_taken_away_by_what_the_hint_says(under_systemd):
    host, path = under_systemd.host, "/etc/systemd/system/service.d/all.conf"
    host.write(path, "[Service]\nPrivateUsers=no\n")
    host.sh('chmod 755 "$1"; systemctl daemon-reload', path.rpartition("/")[0])
    faults = under_systemd.failed()
    under_systemd.do(faults["alice:sandbox"]["hint"])
    assert set(faults) == {f"{bot}:sandbox" for bot in ("alice", "bob", "carol")}, faults
    assert path in faults["alice:sandbox"]["hint"]


def test_all_is_back_and_passes_after_a_reboot(guest):
    guest.host.reboot()
    guest.wait('toolkit -f "$1" bot health all')
    assert guest.verify() == {}


def test_it_runs_on_the_host_itself_by_root_and_by_operators(under_systemd):
    guest = under_systemd
    as_root = guest.json("verify")
    assert (as_root["healthy"], as_root["failed"]) == (True, 0)
    guest.host.run("usermod", "-aG", "bot-demo", "admin")
    # Whoever may not look at a secret is not told that it is missing.
    as_operator = json.loads(guest.run("verify", "--json", user="admin").stdout)
    assert as_operator["failed"] == 0
    assert {"alice", "bob", "carol"} == skipped(as_operator, "secret")
    remote = ("--hosts", "local://", "--sudo", "--remote-toolkit", f"{OPT}/bin/toolkit")
    by_sudo = json.loads(guest.run("verify", "--json", *remote, user="admin").stdout)
    assert (by_sudo["failed"], by_sudo["passed"]) == (0, as_root["passed"])


def skipped(told, check):
    return {one["bot"] for one in told["checks"] if (one["check"], one["outcome"]) == (check, "skipped")}


def test_a_users_own_manager_is_checked_too(new_host):
    host, fleet = new_host(), "/home/admin/demo/fleet.yaml"
    host.run("loginctl", "enable-linger", "admin")
    host.sh("until [ -S /run/user/$(id -u admin)/bus ]; do sleep 0.05; done")
    host.run("toolkit", "init", "/home/admin/demo", "--name", "demo", user="admin")
    text = host.read(fleet).replace("fleet: demo", "fleet: demo\nbackend: systemd\nmode: user")
    host.write(fleet, text, 0o644, "admin:admin")
    host.run("toolkit", "sandbox", "--detach", user="admin")
    host.run("toolkit", "-f", fleet, "up", user="admin")
    assert failed_checks(host, fleet, "admin") == {}
    # As under cron or sudo, which make no session of it.
    bare = 'runuser -u admin -- env -u XDG_RUNTIME_DIR PATH="$PATH" toolkit -f "$1" verify --json || true'
    assert json.loads(host.sh(bare, fleet))["failed"] == 0
    host.run("loginctl", "disable-linger", "admin")
    (check,) = failed_checks(host, fleet, "admin").items()
    assert check == (":boot", "the user's manager ends with the last login")
    host.sh("systemctl stop user@$(id -u admin).service")
    told = [one for one in json.loads(host.sh(bare, fleet))["checks"] if one["outcome"] == "failed"]
    assert [one["check"] for one in told] == ["boot"]
    host.run("sh", "-c", told[0]["hint"].strip("`"))
