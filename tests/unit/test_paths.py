"""Everything of a fleet lies under one folder, each thing in one place."""

from pathlib import Path

import pytest

from toolkit.paths import BOT_NAME, FLEET_NAME, MAX_SOCKET_PATH, fleet_paths
from toolkit.place import PLACES, SYSTEM_SUPERVISORD, SYSTEM_SYSTEMD, USER_SYSTEMD


@pytest.mark.parametrize("name", ["a", "a-b", "a1", "x" * 32])
def test_names_of_bots(name):
    assert BOT_NAME.fullmatch(name)


@pytest.mark.parametrize("name", ["", "1a", "-a", "a-", "A", "a_b", "a.b", "x" * 33, "a\n", "é"])
def test_what_no_bot_is_called(name):
    assert not BOT_NAME.fullmatch(name)


@pytest.mark.parametrize(
    ("name", "fits"), [("demo", True), ("1", True), ("x" * 25, False), ("a-b", False), ("", False)]
)
def test_names_of_fleets(name, fits):
    assert bool(FLEET_NAME.fullmatch(name)) == fits


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_nothing_of_two_bots_or_of_the_supervisor_shares_a_path(place):
    paths = fleet_paths("demo", Path("/x"), place)
    own = ("unit", "state", "botfile", "run_record", "control_socket", "log", "stray_log")
    found = [getattr(paths, name)(bot) for bot in ("alice", "log", "units", "run") for name in own]
    shared = ("units", "supervisord_conf", "supervisor_socket", "supervisor_pidfile", "supervisor_log")
    found += [getattr(paths, name) for name in (*shared, "logs", "database", "lock")]
    assert len(set(found)) == len(found)
    assert all(path.is_relative_to("/x") or path.is_relative_to(paths.units) for path in found)


def test_the_root_is_given_or_the_users_state_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert fleet_paths("demo").home == Path("/home/someone/.local/state/bot-toolkit/demo")
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert fleet_paths("demo").home == Path("/home/someone/.local/state/bot-toolkit/demo")
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert fleet_paths("demo").home == Path("/state/bot-toolkit/demo")
    monkeypatch.chdir(tmp_path)
    assert fleet_paths("demo", Path("here")).home == tmp_path / "here" / "demo"


def test_a_fleet_of_the_machine_lies_in_the_machines_folders():
    paths = fleet_paths("demo", place=SYSTEM_SYSTEMD)
    assert paths.is_system
    assert [str(path) for path in (paths.config, paths.run, paths.home, paths.logs)] == [
        "/etc/bot-toolkit/demo",
        "/run/bot-toolkit/demo",
        "/var/lib/bot-toolkit/demo",
        "/var/log/bot-toolkit/demo",
    ]
    assert str(paths.unit("alice")) == "/etc/systemd/system/bot-demo-alice.service"
    assert str(paths.botfile("alice")) == "/var/lib/bot-toolkit/demo/botfiles/alice.json"
    assert str(paths.state("alice")) == "/var/lib/bot-toolkit/demo/bots/alice"
    assert str(paths.sysusers) == "/etc/sysusers.d/bot-demo.conf"
    assert str(paths.tmpfiles) == "/etc/tmpfiles.d/bot-demo.conf"
    assert str(fleet_paths("demo", place=SYSTEM_SUPERVISORD).unit("alice")) == (
        "/etc/supervisor/conf.d/demo-alice.conf"
    )


def test_what_a_bot_reads_lies_outside_the_folder_that_it_may_write():
    paths = fleet_paths("demo", place=SYSTEM_SYSTEMD)
    assert not paths.botfile("alice").is_relative_to(paths.state("alice"))


def test_a_root_moves_all_of_a_fleet_of_the_machine():
    paths, moved = fleet_paths("demo", place=SYSTEM_SYSTEMD), fleet_paths("demo", Path("/x"), SYSTEM_SYSTEMD)
    for name in ("units", "config", "run", "home", "logs", "sysusers", "tmpfiles", "polkit_rule"):
        assert getattr(moved, name) == Path("/x") / getattr(paths, name).relative_to("/")


def test_a_users_systemd_finds_units_in_the_xdg_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    paths = fleet_paths("demo", Path("/x"), USER_SYSTEMD)
    assert str(paths.unit("alice")) == "/home/someone/.config/systemd/user/bot-demo-alice.service"
    assert paths.botfile("alice") == Path("/x/demo/bots/alice/bot.json")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/config")
    assert fleet_paths("demo", place=USER_SYSTEMD).units == Path("/config/systemd/user")


def test_the_names_of_the_longest_fleet_and_bot_are_within_the_systems_limits():
    paths = fleet_paths("f" * 24, place=SYSTEM_SYSTEMD)
    users = {paths.user(bot) for bot in ("b" * 32, "b" * 31, "b" * 31 + "c")}
    assert len(users) == 3
    assert all(len(name) <= 31 for name in (*users, paths.group))
    assert len(str(paths.control_socket("b" * 32))) <= MAX_SOCKET_PATH
    assert fleet_paths("demo", place=SYSTEM_SYSTEMD).user("alice") == "bot-demo-alice"
