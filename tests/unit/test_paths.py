"""Everything of a fleet lies under one folder, each thing in one place."""

from pathlib import Path

import pytest

from toolkit.paths import BOT_NAME, FLEET_NAME, FleetPaths, fleet_paths


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


def test_nothing_of_two_bots_or_of_the_supervisor_shares_a_path():
    paths = FleetPaths("demo", Path("/x/demo"))
    own = ("unit", "state", "botfile", "run_record", "control_socket", "log", "stray_log")
    found = [getattr(paths, name)(bot) for bot in ("alice", "log", "units", "run") for name in own]
    shared = ("units", "supervisord_conf", "supervisor_socket", "supervisor_pidfile", "supervisor_log")
    found += [getattr(paths, name) for name in (*shared, "logs", "database", "lock")]
    assert len(set(found)) == len(found)
    assert all(path.is_relative_to(paths.home) for path in found)


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
