"""Whole rendered files, compared with those that were found good.

After a wanted change: `UPDATE_GOLDEN=1 pytest tests/golden`, and read the difference before it is committed.
"""

import os
from pathlib import Path

import pytest

from toolkit import botfile
from toolkit.paths import FleetPaths
from toolkit.place import SYSTEM_SYSTEMD
from toolkit.render import Machine, supervisord, supervisord_marks
from toolkit.render.botfiles import bot_file
from toolkit.render.fleet import render_fleet

EXPECTED = Path(__file__).parent / "expected"
MACHINE = Machine("/opt/toolkit/bin/python")
ELSEWHERE = Machine("/elsewhere/python")
HOME = Path("/srv/state/demo")
FILES = [
    "supervisord.conf",
    "units/demo-alice.conf",
    "units/demo-bob.conf",
    "units/demo-odd.conf",
    "bots/alice/bot.json",
    "bots/bob/bot.json",
    "bots/odd/bot.json",
]


def rendered(fleet) -> dict[str, str]:
    files = render_fleet(fleet, FleetPaths("demo", HOME), MACHINE, stopped=["bob"])
    assert all(file.mode == 0o600 for file in files)
    return {str(file.path.relative_to(HOME)): file.content for file in files}


@pytest.mark.parametrize("name", FILES)
def test_the_file_is_as_it_was_found_good(fleet, name):
    path = EXPECTED / name
    content = rendered(fleet)[name]
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    assert content == path.read_text(encoding="utf-8")


def test_there_are_no_other_files(fleet):
    assert sorted(rendered(fleet)) == sorted(FILES)
    assert sorted(
        str(path.relative_to(EXPECTED)) for path in EXPECTED.rglob("*") if path.is_file()
    ) == sorted(FILES)


def test_rendering_twice_gives_the_same(fleet):
    assert rendered(fleet) == rendered(fleet)


def test_a_bot_file_is_read_by_the_runner_as_it_was_meant(fleet):
    for bot in fleet.bots:
        wanted = bot_file(fleet, bot, FleetPaths("demo", HOME))
        assert botfile.decode(rendered(fleet)[f"bots/{bot}/bot.json"].encode()) == wanted


def test_systemd_needs_no_help_with_exit_codes_and_orphans(fleet):
    made = bot_file(fleet, "alice", FleetPaths("demo", HOME, SYSTEM_SYSTEMD))
    assert (made.backend, made.hold_s, made.die_with_parent) == ("systemd", 0.0, False)


def test_the_hash_of_a_unit_is_of_all_but_whether_it_is_enabled(fleet, with_environment):
    paths = FleetPaths("demo", HOME)
    digest = supervisord.unit_hash(fleet, "odd", paths, MACHINE)
    for enabled in (True, False):
        text = supervisord.unit(fleet, "odd", paths, MACHINE, enabled).content
        assert f"BOT_TOOLKIT_UNIT='{digest}'" in text
    assert supervisord.unit_hash(fleet, "odd", paths, ELSEWHERE) == digest
    assert supervisord.unit_hash(with_environment({}), "odd", paths, MACHINE) != digest
    assert supervisord.unit_hash(fleet, "odd", FleetPaths("demo", Path("/x")), MACHINE) != digest
    assert supervisord.unit_hash(fleet, "alice", paths, ELSEWHERE) != supervisord.unit_hash(
        fleet, "alice", paths, MACHINE
    )


def test_a_unit_is_enabled_and_disabled_in_its_text_alone(fleet):
    paths = FleetPaths("demo", HOME)
    on, off = (supervisord.unit(fleet, "odd", paths, MACHINE, enabled).content for enabled in (True, False))
    assert on != off
    assert supervisord_marks.with_enabled(on, enabled=False) == off
    assert supervisord_marks.with_enabled(off, enabled=True) == on
    assert supervisord_marks.with_enabled(on, enabled=True) == on


@pytest.mark.parametrize(
    ("programs", "limit", "wanted"),
    [
        (0, 100_000, 1024),
        (192, 100_000, 1024),
        (193, 100_000, 2048),
        (1000, 100_000, 5120),
        (1000, 4096, 4096),
    ],
)
def test_room_for_the_programs_files_grows_in_steps_up_to_the_limit(programs, limit, wanted):
    conf = supervisord.supervisord_conf(FleetPaths("demo", HOME), programs, limit)
    assert f"\nminfds={wanted}\n" in conf.content


def test_no_token_of_a_bot_is_in_any_file(fleet):
    text = "".join(rendered(fleet).values())
    assert "alice.token" in text
    assert text.count("alice.token") == 1
