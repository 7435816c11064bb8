"""Which place a fleet gets, by its file and by what is on the machine."""

import os

import pytest

from toolkit.backends import choose as module
from toolkit.backends.choose import choose
from toolkit.backends.systemd import where
from toolkit.paths import fleet_paths
from toolkit.place import PLACES, PRIVATE_SUPERVISORD, SYSTEM_SUPERVISORD, SYSTEM_SYSTEMD, USER_SYSTEMD


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine on which systemd runs, and a user who is not root."""
    monkeypatch.setattr(module, "SYSTEMD_RUNS", tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "DBUS_SESSION_BUS_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/bus").touch()
    return tmp_path


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_what_the_fleet_file_says_is_taken(place):
    assert choose(place.backend, place.mode, "demo").place == place


def test_without_systemd_it_is_a_private_supervisord(machine, monkeypatch):
    monkeypatch.setattr(module, "SYSTEMD_RUNS", machine / "none")
    choice = choose("auto", "auto", "demo")
    assert choice.place == PRIVATE_SUPERVISORD
    assert "systemd does not run here" in choice.reason


@pytest.mark.usefixtures("machine")
def test_root_gets_the_systems_manager_and_others_their_own(monkeypatch):
    assert choose("auto", "auto", "demo").place == USER_SYSTEMD
    assert choose("systemd", "auto", "demo").place == USER_SYSTEMD
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert choose("auto", "auto", "demo").place == SYSTEM_SYSTEMD


def test_a_user_without_a_manager_gets_a_private_supervisord(machine):
    (machine / "run/bus").unlink()
    choice = choose("auto", "auto", "demo")
    assert choice.place == PRIVATE_SUPERVISORD
    assert "no manager" in choice.reason


def test_a_root_of_its_own_is_no_place_for_systemd(machine):
    assert choose("auto", "auto", "demo", machine / "root").place == PRIVATE_SUPERVISORD


@pytest.mark.usefixtures("machine")
def test_a_fleet_stays_where_it_is_deployed():
    conf = fleet_paths("demo").supervisord_conf
    conf.parent.mkdir(parents=True)
    conf.touch()
    choice = choose("auto", "auto", "demo")
    assert (choice.place, choice.reason) == (PRIVATE_SUPERVISORD, "the fleet is deployed there")
    assert choose("systemd", "auto", "demo").place == USER_SYSTEMD
    assert choose("auto", "auto", "other").place == USER_SYSTEMD


@pytest.mark.usefixtures("machine")
def test_a_fleet_of_the_user_stays_the_users():
    paths = fleet_paths("demo", None, USER_SYSTEMD)
    paths.units.mkdir(parents=True)
    (paths.units / paths.target).touch()
    assert choose("auto", "auto", "demo").place == USER_SYSTEMD


def test_a_fleet_stays_in_a_service_that_includes_units_elsewhere_than_debians(machine):
    units = machine / "etc/supervisord.d"
    units.mkdir(parents=True)
    (machine / "etc/supervisord.conf").write_text(
        "[unix_http_server]\nfile=/run/s.sock\n[supervisord]\n[include]\nfiles=supervisord.d/*.ini\n"
    )
    (units / "other-alice.ini").touch()
    assert choose("supervisord", "auto", "demo", machine).place == PRIVATE_SUPERVISORD
    (units / "demo-alice.ini").touch()
    assert choose("supervisord", "auto", "demo", machine).place == SYSTEM_SUPERVISORD


@pytest.mark.parametrize(
    ("address", "socket"),
    [
        ("unix:path=/run/user/7/bus", "/run/user/7/bus"),
        ("unix:path=/a%20b,guid=00", "/a b"),
        ("tcp:host=x,port=1;unix:abstract=/tmp/x", "\0/tmp/x"),
        ("", "/run/user/7/bus"),
        ("nonsense", "/run/user/7/bus"),
    ],
)
def test_the_users_bus_is_where_its_address_says(address, socket, monkeypatch):
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 7)
    assert where.socket_path("user") == socket
