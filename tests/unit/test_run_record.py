"""A run record is read at once, whatever its bot has put into its place."""

import os

import pytest

from toolkit import run_record
from toolkit.run_record import RunRecord


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.json"


def test_a_record_is_read(path):
    path.write_text('{"starts": 3, "pid": 7}')
    assert run_record.read(path) == RunRecord(starts=3, pid=7)


def test_a_pipe_holds_nobody_up(path):
    os.mkfifo(path)
    assert run_record.read(path) == RunRecord()


def test_a_link_is_not_followed(path, tmp_path):
    (tmp_path / "other").write_text('{"starts": 3}')
    path.symlink_to(tmp_path / "other")
    assert run_record.read(path) == RunRecord()


@pytest.mark.parametrize("content", ["", "{", '{"starts": "x"}', "[]"])
def test_what_is_no_record_is_an_empty_one(path, content):
    path.write_text(content)
    assert run_record.read(path) == RunRecord()
