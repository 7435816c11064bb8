"""The files of a fleet under the machine's supervisord.

After a wanted change: `UPDATE_GOLDEN=1 pytest tests/golden`, and read the difference before it is committed.
"""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from toolkit.fleet.model import Position
from toolkit.paths import fleet_paths
from toolkit.place import SYSTEM_SUPERVISORD
from toolkit.render import Machine, supervisord
from toolkit.render.fleet import render_fleet
from toolkit.render.folders import of_supervisord

EXPECTED = Path(__file__).parent / "expected_system_supervisord"
MACHINE = Machine("/opt/toolkit/bin/python", groups={"bots": "bots", "odd": "staff"})
PATHS = fleet_paths("demo", None, SYSTEM_SUPERVISORD)
FILES = ["etc/tmpfiles.d/bot-demo.conf", "etc/supervisor/conf.d/demo-alice.conf"]


@pytest.fixture
def guest(fleet):
    """The fleet in system mode, with users."""
    users = {"echo": "bots", "odd": "odd"}
    types = {name: replace(type_, user=users[name]) for name, type_ in fleet.types.items()}
    return replace(fleet, mode="system", types=types)


@pytest.mark.parametrize("name", FILES)
def test_the_file_is_as_it_was_found_good(guest, name):
    content = {str(file.path): file.content for file in render_fleet(guest, PATHS, MACHINE)}[f"/{name}"]
    path = EXPECTED / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    assert content == path.read_text(encoding="utf-8")


def test_a_bot_may_read_its_bot_file_and_write_none(guest):
    files = {file.path: file for file in render_fleet(guest, PATHS, MACHINE)}
    for bot, group in (("alice", "bots"), ("odd", "staff")):
        file = files[PATHS.botfile(bot)]
        assert (file.mode, file.group) == (0o640, group)
        assert PATHS.state(bot) not in file.path.parents
    assert {files[PATHS.unit(bot)].mode for bot in guest.bots} == {0o600}


def test_nobody_but_root_and_operators_writes_where_several_bots_files_lie(guest):
    for folder in of_supervisord(guest, PATHS, MACHINE):
        if folder.user == "root":
            assert not folder.mode & 0o022 or folder.path == PATHS.records
    assert not next(f for f in of_supervisord(guest, PATHS, MACHINE) if f.path == PATHS.records).mode & 0o007


def test_each_folder_comes_after_the_one_it_lies_in(guest):
    made = [folder.path for folder in of_supervisord(guest, PATHS, MACHINE)]
    assert len(set(made)) == len(made)
    for index, path in enumerate(made):
        assert path.parent not in made[index:]


def test_a_bot_without_a_user_of_its_own_is_refused(fleet):
    position = {("types", "echo"): Position("fleet.yaml", 7)}
    as_root = replace(fleet.types["odd"], user="root")
    fleet = replace(fleet, positions=position, types={**fleet.types, "odd": as_root})
    problems = supervisord.problems(fleet, PATHS, MACHINE)
    told = {problem.path: str(problem) for problem in problems}
    assert told["types.echo.user"] == (
        "fleet.yaml:7: types.echo.user: the machine's supervisord would run its bots as root "
        "(name a user of their own: `user: NAME`)"
    )
    assert "types.odd.user" in told


def test_units_lie_where_the_service_includes_them(guest):
    paths = fleet_paths("demo", None, SYSTEM_SUPERVISORD, Path("/etc/supervisord.d/*.ini"))
    assert paths.unit("alice") == Path("/etc/supervisord.d/demo-alice.ini")
    assert paths.unit("alice") in {file.path for file in render_fleet(guest, paths, MACHINE)}
