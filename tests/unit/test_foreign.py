"""What lies where a file of ours is to, and was written by somebody else."""

import pytest

from toolkit.backends.foreign import refuse_foreign
from toolkit.errors import RefusedError
from toolkit.render import RenderedFile
from toolkit.render.systemd_marks import MARKER, is_ours


@pytest.fixture
def file(tmp_path):
    return RenderedFile(tmp_path / "bot-demo.conf", f"{MARKER}: folders of fleet demo.\n")


def test_nothing_and_an_older_one_of_ours_are_fine(file):
    refuse_foreign([file], is_ours)
    file.path.write_text(f"{MARKER}: as it was\n")
    refuse_foreign([file], is_ours)


@pytest.mark.parametrize("text", ["", "# Of an administrator\n", "\xff"])
def test_one_of_somebody_else_is_refused(file, text):
    file.path.write_text(text)
    with pytest.raises(RefusedError, match=r"/bot-demo\.conf was not written by the toolkit"):
        refuse_foreign([file], is_ours)


def test_a_link_that_leads_nowhere_is_somebody_elses(file, tmp_path):
    file.path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(RefusedError):
        refuse_foreign([file], is_ours)


def test_files_without_the_mark_are_not_looked_at(file):
    file.path.write_text("{}")
    refuse_foreign([RenderedFile(file.path, "{}")], is_ours)
