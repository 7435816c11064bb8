"""What a bot's user may not reach is told in words; the judge is a user that owns nothing here."""

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from toolkit.deploy import access
from toolkit.deploy.access import Account, obstacle

STRANGER = Account("stranger", 2**31 - 7, (2**31 - 8,))


@pytest.fixture
def file(short_dir) -> Path:
    path = short_dir / "inner" / "token"
    path.parent.mkdir()
    path.touch()
    for part, mode in ((path, 0o644), (path.parent, 0o755), (short_dir, 0o755)):
        part.chmod(mode)
    return path


def test_an_open_way_is_no_obstacle(file):
    assert obstacle(file, STRANGER, os.R_OK) == ""


def test_the_first_closed_door_is_named(file, short_dir):
    file.chmod(0o640)
    assert obstacle(file, STRANGER, os.R_OK) == f"{file} is closed to stranger"
    file.parent.chmod(0o754)
    assert obstacle(file, STRANGER, os.R_OK) == f"{file.parent} may not be entered by stranger"
    short_dir.chmod(0o700)
    assert obstacle(file, STRANGER, os.R_OK) == f"{short_dir} may not be entered by stranger"


def test_what_is_not_there_is_named(file):
    assert (
        obstacle(file.parent / "gone", STRANGER, os.R_OK)
        == f"{file.parent / 'gone'}: No such file or directory"
    )


@pytest.mark.parametrize(
    ("mode", "owner", "group", "open_"),
    [
        (0o400, True, False, True),
        (0o044, True, True, False),
        (0o040, False, True, True),
        (0o404, False, True, False),
        (0o004, False, False, True),
    ],
)
def test_the_first_class_that_fits_decides(file, mode, owner, group, open_):
    file.chmod(mode)
    found = file.stat()
    user = replace(
        STRANGER,
        uid=found.st_uid if owner else STRANGER.uid,
        gids=(found.st_gid,) if group else STRANGER.gids,
    )
    assert (obstacle(file, user, os.R_OK) == "") is open_
    assert stat.S_IMODE(found.st_mode) == mode


def test_a_user_that_is_not_there_is_none():
    assert access.account("nobody-has-this-name") is None
    assert access.account("root").own_group == "root"
