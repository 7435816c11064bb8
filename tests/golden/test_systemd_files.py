"""Whole files for systemd, compared with those that were found good.

After a wanted change: `UPDATE_GOLDEN=1 pytest tests/golden`, and read the difference before it is committed.
"""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from toolkit import botfile
from toolkit.botfile import Limits
from toolkit.fleet.model import Resources
from toolkit.lifecycle import NO_RESTART_CODES
from toolkit.paths import fleet_paths
from toolkit.place import SYSTEM_SYSTEMD, USER_SYSTEMD
from toolkit.render import Machine, systemd, systemd_marks
from toolkit.render.botfiles import bot_file
from toolkit.render.fleet import render_fleet
from toolkit.render.folders import of_systemd
from toolkit.secrets import TokenReference

EXPECTED = Path(__file__).parent / "expected_systemd"
MACHINE = Machine("/opt/toolkit/bin/python", systemd=252)
SYSTEM = fleet_paths("demo", place=SYSTEM_SYSTEMD)
USER = replace(fleet_paths("demo", Path("/srv/state"), USER_SYSTEMD), user_units=Path("/srv/units"))


@pytest.fixture
def fleet(systemd_fleet):
    return systemd_fleet


def rendered(fleet, paths, machine=MACHINE) -> dict[str, str]:
    return {str(file.path): file.content for file in render_fleet(fleet, paths, machine)}


@pytest.mark.parametrize(("paths", "name"), [(SYSTEM, "system"), (USER, "user")])
def test_the_files_are_as_they_were_found_good(fleet, paths, name):
    # What a bot file says is held in `expected`, and where it differs below.
    files = {path: text for path, text in rendered(fleet, paths).items() if not path.endswith(".json")}
    folder = EXPECTED / name
    if os.environ.get("UPDATE_GOLDEN"):
        for path, content in files.items():
            (folder / path[1:]).parent.mkdir(parents=True, exist_ok=True)
            (folder / path[1:]).write_text(content, encoding="utf-8")
    expected = {
        f"/{path.relative_to(folder)}": path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert files == expected


def test_units_can_be_read_by_all_and_bot_files_by_the_fleets_group(fleet):
    files = {file.path: file for file in render_fleet(fleet, SYSTEM, MACHINE)}
    modes = {path: (file.mode, file.user, file.group) for path, file in files.items()}
    assert modes[SYSTEM.unit("alice")] == (0o644, "root", "root")
    assert modes[SYSTEM.botfile("alice")] == (0o640, "root", "bot-demo")


def test_every_file_in_a_folder_of_others_says_whose_it_is(fleet):
    for path, content in rendered(fleet, SYSTEM).items():
        if not path.endswith(".json"):
            assert systemd_marks.is_ours(content), path
    assert not systemd_marks.is_ours("[Unit]\n")


def test_the_hash_of_a_unit_is_of_all_but_the_limits_that_change_live(fleet):
    def changed(**changes):
        types = fleet.types | {"odd": replace(fleet.types["odd"], **changes)}
        return systemd.unit_hash(replace(fleet, types=types), "odd", SYSTEM, MACHINE)

    digest = systemd.unit_hash(fleet, "odd", SYSTEM, MACHINE)
    assert f"BOT_TOOLKIT_UNIT={digest}\n" in systemd.unit(fleet, "odd", SYSTEM, MACHINE).content
    addresses = fleet.types["odd"].resources.ip_allow
    assert changed(resources=Resources(ip_allow=addresses)) == digest
    assert changed(resources=Resources(ip_allow=addresses[:1])) != digest
    assert changed(resources=Resources()) != digest
    assert changed(limits=Limits(open_files=65)) != digest
    assert changed(needs=frozenset()) != digest
    assert systemd.unit_hash(fleet, "odd", SYSTEM, Machine("/elsewhere/python", systemd=254)) == digest
    assert systemd.unit_hash(fleet, "bob", SYSTEM, Machine("/elsewhere/python", systemd=252)) != (
        systemd.unit_hash(fleet, "bob", SYSTEM, MACHINE)
    )


def test_live_limits_are_those_of_the_unit(fleet):
    assert systemd.live_properties(fleet.types["odd"]) == {
        "MemoryHigh": 10**8,
        "MemoryMax": 2 * 10**8,
        "CPUWeight": 50,
        "CPUQuotaPerSecUSec": 1_500_000,
        "TasksMax": 64,
        "IOWeight": 20,
    }
    assert set(systemd.live_properties(fleet.types["echo"]).values()) == {2**64 - 1}


@pytest.mark.parametrize(
    ("version", "line"),
    [
        (249, "LoadCredential=bob.token:/etc/credstore/bob.token"),
        (252, "LoadCredential=bob.token"),
        (253, "LoadCredential=bob.token"),
        (254, "ImportCredential=bob.token"),
        (257, "ImportCredential=bob.token"),
    ],
)
def test_a_credential_is_passed_on_as_the_version_can(fleet, version, line):
    unit = systemd.unit(fleet, "bob", SYSTEM, Machine("/x/python", systemd=version)).content
    assert f"\n{line}\n" in unit
    assert "SetCredential" not in unit


def test_the_runner_reads_a_token_file_from_its_standard_input_and_logs_to_the_journal(fleet):
    made = bot_file(fleet, "alice", SYSTEM)
    assert made.token == TokenReference("stdin", ("/srv/bots/secrets/alice.token",))
    assert (made.files.log, made.files.shared) == ("", True)
    assert bot_file(fleet, "alice", USER).files.shared is False
    assert botfile.decode(rendered(fleet, SYSTEM)[str(SYSTEM.botfile("alice"))].encode()) == made


def test_the_folders_are_the_ones_that_the_fleet_uses():
    folders = {folder.path: folder for folder in of_systemd(SYSTEM)}
    for path in (SYSTEM.database, SYSTEM.lock, SYSTEM.botfile("a"), SYSTEM.state("a")):
        assert path.parent in folders
    assert SYSTEM.control_socket("a").parent.parent in folders
    paths = list(folders)
    assert paths == sorted(paths, key=lambda path: len(path.parts))
    assert (folders[SYSTEM.records].mode, folders[SYSTEM.records].group) == (0o2770, "bot-demo")
    assert all(not folder.mode & 0o007 or len(folder.path.parts) < 5 for folder in folders.values())


def test_classes_that_a_restart_does_not_help_are_not_restarted(fleet):
    codes = " ".join(map(str, NO_RESTART_CODES))
    assert f"\nRestartPreventExitStatus={codes}\n" in systemd.unit(fleet, "alice", SYSTEM, MACHINE).content


def test_the_polkit_rule_is_of_this_fleets_units_alone(fleet):
    rule = systemd.polkit_rule(fleet, SYSTEM)
    assert str(rule.path) == "/etc/polkit-1/rules.d/50-bot-demo.rules"
    assert 'isInGroup("bot-demo")' in rule.content
    assert "/^bot-demo(-[a-z0-9-]+\\.service|\\.target|\\.slice)$/" in rule.content
    assert '["odd"].indexOf(subject.user)' in rule.content


def test_no_token_is_in_a_unit(fleet):
    for path, content in rendered(fleet, SYSTEM).items():
        if path.endswith(".service"):
            assert content.count("alice.token") == (1 if "alice" in path else 0)
            assert "PassEnvironment" not in content
