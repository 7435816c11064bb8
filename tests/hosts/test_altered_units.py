"""What an administrator does to units with systemd's own means is told, and hurts no bot."""

import json

import pytest

from tests.hosts.places import Operator, settle_in
from toolkit.place import SYSTEM_SYSTEMD, USER_SYSTEMD

pytest_plugins = ("tests.hosts.fixtures",)

ALL = ("alice", "bob", "carol")


class Admin(Operator):
    """An operator who knows systemctl."""

    def systemctl(self, *argv, code=0):
        own = () if self.place.mode == "system" else ("--user",)
        return self.host.run("systemctl", *own, *argv, user=self.user, code=code)

    def unit(self, bot):
        return f"bot-{self.fleet}-{bot}.service"

    @property
    def units(self):
        """The folder of the fleet's units."""
        return (
            "/etc/systemd/system"
            if self.place.mode == "system"
            else f"/home/{self.user}/.config/systemd/user"
        )

    def mask(self, unit):
        """systemctl takes no file of an administrator away to mask a unit."""
        self.host.run("rm", f"{self.units}/{unit}")
        self.systemctl("mask", unit)

    def faults(self):
        """What `toolkit verify` finds: what and what to do, by bot and check."""
        told = json.loads(self.run("verify", "--json", code=None).stdout)
        return {
            f"{one['bot']}:{one['check']}": (one["found"], one["hint"])
            for one in told["checks"]
            if one["outcome"] == "failed"
        }

    def drop_in(self, name, text, unit="alice"):
        path = f"{self.units}/{self.unit(unit)}.d/{name}"
        self.host.write(path, text, owner=f"{self.user}:{self.user}")
        self.host.sh('chown "$2" "$1"; chmod 755 "$1"', path.rpartition("/")[0], self.user)
        return path


@pytest.fixture(scope="module", params=[SYSTEM_SYSTEMD, USER_SYSTEMD], ids=str)
def admin(host, host_sandbox, request):
    made = settle_in(host, request.param)
    made.__class__ = Admin
    made.run("up")
    yield made
    made.run("down", code=None)


def test_a_masked_unit_is_told_and_its_bot_runs_on(admin):
    before, unit = admin.pids(), admin.unit("alice")
    admin.mask(unit)
    try:
        for argv in (
            ["plan"],
            ["deploy"],
            ["up"],
            ["admin", "restart-bot", "all"],
            ["admin", "start-bot", "alice"],
        ):
            done = admin.run(*argv, code=4)
            assert f"error: {unit} is masked" in done.stderr, argv
            assert f"unmask {unit}`, then `toolkit deploy`" in done.stderr, argv
        assert admin.pids() == before
        faults = admin.faults()
        assert "alice:unit-file" not in faults
        (found, hint) = faults["alice:loaded"]
        assert "masked" in found
        assert f"unmask {unit}`" in hint
        assert admin.run("admin", "restart-bot", "bob").stdout == "bob: RUNNING\n"
        assert admin.run("admin", "stop-bot", "alice", code=None).returncode in (0, 3)
        bot = admin.bots()["alice"]
        assert (bot["state"], bot["pid"]) == ("DEFINED", None)
        assert f"unmask {unit}`" in bot["reason"]
    finally:
        admin.systemctl("unmask", unit)
    admin.run("deploy")
    assert admin.run("admin", "start-bot", "alice").stdout == "alice: RUNNING\n"
    assert admin.faults() == {}


def test_a_masked_target_is_told(admin):
    target = f"bot-{admin.fleet}.target"
    admin.mask(target)
    try:
        assert f"error: {target} is masked" in admin.run("deploy", code=4).stderr
        found, hint = admin.faults()[":boot"]
        assert found == f"{target} is masked"
        assert f"unmask {target}`" in hint
    finally:
        admin.systemctl("unmask", target)
    admin.run("deploy")
    assert admin.faults() == {}


def test_a_drop_in_of_others_is_told_and_left(admin):
    before, unit = admin.pids(), admin.unit("alice")
    path = admin.drop_in("override.conf", "[Service]\nEnvironment=COLOUR=red\n")
    # As `systemctl edit` does.
    admin.systemctl("daemon-reload")
    for command in ("plan", "deploy"):
        done = admin.run(command)
        assert f"{unit} is overridden by {path}\n" in done.stderr
        assert f"revert {unit}`" in done.stderr.partition("; to take it away: `")[2]
        (one,) = admin.json(command)["altered"]
        assert (one["unit"], one["what"]) == (unit, "overridden")
    assert admin.pids() == before
    assert admin.host.read(path)
    ((check, (found, hint)),) = admin.faults().items()
    assert (check, found) == ("alice:drop-ins", f"its unit is overridden by {path}")
    assert f"revert {unit}`" in hint
    admin.systemctl("revert", unit)
    assert admin.json("plan")["altered"] == []
    assert admin.faults() == {}


def test_a_limit_in_a_drop_in_of_others_is_left_by_every_deploy(admin):
    path = admin.drop_in("zz.conf", "[Service]\nTasksMax = 77\n")
    admin.systemctl("daemon-reload")
    for command in ("plan", "deploy", "plan", "deploy"):
        told = admin.json(command)
        assert {step["action"] for step in told["steps"]} == {"no-op"}
        assert [one["what"] for one in told["altered"]] == ["overridden"]
        assert admin.systemctl("show", "-P", "TasksMax", admin.unit("alice")).stdout == "77\n"
    found, hint = admin.faults()["alice:limits"]
    assert found == "TasksMax: 77, not unlimited"
    assert f"revert {admin.unit('alice')}`" in hint
    admin.host.run("rm", "-r", path.rpartition("/")[0])
    admin.run("deploy")
    assert admin.json("plan")["altered"] == []
    assert admin.faults() == {}


def test_a_property_that_was_set_live_is_told_once(admin):
    admin.systemctl("set-property", admin.unit("alice"), "DevicePolicy=auto")
    ((check, (found, hint)),) = admin.faults().items()
    admin.systemctl("revert", admin.unit("alice"))
    assert check in {"alice:loaded", "alice:drop-ins", "alice:sandbox"}, found
    assert f"revert {admin.unit('alice')}`" in hint
    assert admin.faults() == {}


def test_what_systemd_has_not_read_is_told_and_read_by_a_deploy(admin):
    unit = admin.unit("alice")
    path = admin.drop_in("unread.conf", "[Unit]\nDocumentation=man:alice\n")
    done = admin.run("plan")
    assert f"{unit} changed on disk since systemd read it: {path}\n" in done.stderr
    assert "daemon-reload`, and `toolkit deploy` too" in done.stderr
    assert list(admin.faults()) == ["alice:loaded"]
    assert admin.json("deploy")["altered"][0]["what"] == "unread"
    (one,) = admin.json("deploy")["altered"]
    assert one["what"] == "overridden"
    admin.host.run("rm", "-r", path.rpartition("/")[0])
    assert "changed on disk" in admin.run("deploy").stderr
    assert admin.json("plan")["altered"] == []
    assert admin.faults() == {}


def test_a_limit_that_was_changed_live_is_no_drop_in(admin):
    admin.systemctl("set-property", admin.unit("alice"), "TasksMax=77")
    told = admin.json("plan", code=3)
    assert [step["reason"] for step in told["steps"] if step["bot"] == "alice"] == ["TasksMax changed"]
    assert "overridden" not in [one["what"] for one in told["altered"]]
    # Of one that the fleet does not name too.
    assert admin.faults()["alice:limits"][0] == "TasksMax: 77, not unlimited"
    admin.run("deploy")
    assert admin.systemctl("show", "-P", "TasksMax", admin.unit("alice")).stdout != "77\n"
    # What set-property left would win at the next reload.
    admin.systemctl("daemon-reload")
    told = admin.json("plan")
    assert told["altered"] == []
    assert admin.faults() == {}


def test_a_limit_that_was_changed_live_is_set_back_by_a_restart_and_a_start_too(admin):
    alice, bob = admin.unit("alice"), admin.unit("bob")
    admin.systemctl("set-property", alice, "TasksMax=77")
    admin.run("admin", "stop-bot", "bob")
    admin.systemctl("set-property", bob, "TasksMax=78")
    # As another had stopped it.
    admin.run("admin", "start-bot", "bob")
    admin.systemctl("stop", bob)
    admin.edit("greeting: ", "greeting: New ")
    told = {step["bot"]: (step["action"], step["reason"]) for step in admin.json("plan", code=3)["steps"]}
    assert told["alice"] == ("restart", "config.greeting changed; TasksMax changed")
    assert told["bob"][0] == "start"
    admin.run("deploy")
    shown = admin.systemctl("show", "-P", "TasksMax", alice, bob).stdout.split()
    assert not {"77", "78"} & set(shown)
    assert admin.run("plan").stdout == "3 no-op\n"
    assert admin.faults() == {}


def test_what_a_deploy_puts_back_is_named_before_and_after(admin):
    before, folder = admin.pids(), admin.units
    names = {
        f"{folder}/bot-{admin.fleet}.target": "missing",
        f"{folder}/bot-{admin.fleet}.slice": "edited",
        f"{folder}/{admin.unit('alice')}": "edited",
        f"{folder}/{admin.unit('bob')}": "missing",
    }
    for path, what in names.items():
        admin.host.sh('rm "$1"' if what == "missing" else 'echo "# mine" >> "$1"', path)
    for command, code in (("plan", 3), ("deploy", 0)):
        told = json.loads(admin.run(command, "--json", code=code).stdout)
        assert {one["path"]: one["found"] for one in told["put_back"]} == names, command
        steps = {step["bot"]: (step["action"], step["reason"]) for step in told["steps"]}
        assert steps == dict.fromkeys(ALL, ("no-op", "")) | {"alice": ("restart", "its unit was edited")}
    # It may have been started anew under what was there.
    after = admin.pids()
    assert [bot for bot in ALL if after[bot] != before[bot]] == ["alice"]
    assert "nothing to do" in admin.run("deploy").stdout
    assert admin.faults() == {}


def test_what_was_disabled_or_enabled_by_others_is_told_and_put_back(admin):
    target = f"bot-{admin.fleet}.target"
    admin.run("admin", "stop-bot", "carol")
    before, wants = admin.pids(), f"{admin.units}/{target}.wants"
    admin.systemctl("disable", admin.unit("bob"), target)
    admin.systemctl("enable", admin.unit("carol"))
    names = {
        f"{wants}/{admin.unit('bob')}": "disabled",
        f"{wants}/{admin.unit('carol')}": "enabled",
        f"{admin.units}/{target}": "disabled",
    }
    assert list(admin.faults()) == [":boot", "bob:enabled", "carol:enabled"]
    for command, code in (("plan", 3), ("deploy", 0)):
        told = json.loads(admin.run(command, "--json", code=code).stdout)["put_back"]
        assert {one["path"]: one["found"] for one in told} == names, command
    assert admin.pids() == before
    assert admin.faults() == {}
    assert "nothing to do" in admin.run("deploy").stdout
    admin.run("admin", "start-bot", "carol")


def test_a_unit_whose_limits_changed_live_is_not_told_as_edited(admin):
    admin.edit('"bots.echo:build"}\n', '"bots.echo:build"}\n    limits: {tasks: 77}\n')
    try:
        assert "2 live limit" in admin.run("deploy").stdout
        assert admin.faults() == {}
        admin.run("plan")
    finally:
        admin.edit("    limits: {tasks: 77}\n", "")
        admin.run("deploy")


def test_a_stop_that_cannot_be_kept_changes_nothing(admin):
    host, before = admin.host, admin.pids()
    host.sh('mount --bind "$1" "$1"; mount -o remount,ro,bind "$1"', admin.units)
    try:
        told = admin.run("admin", "stop-bot", "bob", code=1).stderr
        assert f"{admin.unit('bob')}: Read-only file system" in told
        assert f"hint: `findmnt -T {admin.units}/bot-{admin.fleet}.target.wants` tells" in told
        assert admin.pids() == before
        assert admin.run("plan").stdout == "3 no-op\n"
        assert admin.faults() == {}
    finally:
        host.run("umount", admin.units)
