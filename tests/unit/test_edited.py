"""Which files a deploy calls edited, and which were only left behind by one that was broken off."""

from pathlib import Path

import pytest

from toolkit import revisions
from toolkit.backends.supervisord import Supervisord
from toolkit.botfile import App, BotFile, Files
from toolkit.deploy.edited import Edited, edited, in_text, kept_otherwise
from toolkit.deploy.plan import InForce, Wanted
from toolkit.lifecycle import State
from toolkit.paths import FleetPaths
from toolkit.render import RenderedFile

UNIT = "; a unit\nautostart={}\ncommand={}\n"


def unit(command, enabled="true"):
    return UNIT.format(enabled, command)


@pytest.fixture
def paths(tmp_path):
    made = FleetPaths("demo", tmp_path / "demo")
    made.units.mkdir(parents=True)
    return made


@pytest.fixture
def found(paths):
    """What is called edited, where revisions had these texts of a unit, and this one lies there.

    Of revisions: text and whether it was put in force whole.
    """

    def find(wanted, lies_there, *begun):
        path = paths.unit("alice")
        if lies_there is not None:
            path.write_text(lies_there)
            path.chmod(0o600)
        with revisions.opened(paths) as history:
            for text, whole in begun:
                number = history.begin(Path("fleet.yaml"), [RenderedFile(path, text)])
                if whole is not None:
                    history.finish(number, whole=whole)
            return [one.found for one in edited([RenderedFile(path, wanted)], history.written())]

    return find


WHOLE, FAILED, OPEN = True, False, None
OURS = {
    "as deployed": (unit("new"), unit("old"), (unit("old"), WHOLE)),
    "not come to yet": (unit("new"), unit("old"), (unit("old"), WHOLE), (unit("new"), OPEN)),
    "written, and wanted otherwise now": (
        unit("newer"),
        unit("new"),
        (unit("old"), WHOLE),
        (unit("new"), OPEN),
    ),
    "of one of several that failed": (
        unit("newer"),
        unit("new"),
        (unit("old"), WHOLE),
        (unit("new"), FAILED),
        (unit("newer"), OPEN),
    ),
    "not written by the first one": (unit("new"), None, (unit("new"), OPEN)),
    "not written for a new bot": (unit("new"), None, (unit("new"), FAILED), (unit("new"), OPEN)),
    "of no revision": (unit("new"), unit("else")),
    "enabled otherwise": (unit("new"), unit("old", "false"), (unit("old"), WHOLE)),
}


@pytest.mark.parametrize("case", OURS.values(), ids=OURS)
def test_what_the_toolkit_wrote_is_not_edited(found, case):
    wanted, lies_there, *begun = case
    assert found(wanted, lies_there, *begun) == []


EDITED = {
    "of an older revision": (unit("old"), (unit("old"), WHOLE), (unit("new"), WHOLE), "edited"),
    "by hand": (unit("mine"), (unit("old"), WHOLE), (unit("new"), OPEN), "edited"),
    "by hand, after the first was killed": (unit("mine"), (unit("new"), OPEN), "edited"),
    "taken away": (None, (unit("old"), WHOLE), (unit("new"), OPEN), "missing"),
}


@pytest.mark.parametrize("case", EDITED.values(), ids=EDITED)
def test_what_others_did_is_told(found, case):
    lies_there, *begun, words = case
    assert found(unit("new"), lies_there, *begun) == [words]


def test_a_link_is_told_whatever_it_leads_to(found, paths, tmp_path):
    (tmp_path / "elsewhere").write_text(unit("new"))
    paths.unit("alice").symlink_to(tmp_path / "elsewhere")
    assert found(unit("new"), None, (unit("new"), WHOLE)) == ["a symbolic link"]


@pytest.mark.parametrize(
    ("state", "held", "enabled", "words"),
    [
        (State.RUNNING, False, True, []),
        (State.RUNNING, False, False, ["disabled"]),
        (State.BACKOFF, False, False, ["disabled"]),
        (State.STOPPED, False, False, []),
        (State.STOPPED, True, False, []),
        (State.STOPPED, True, True, ["enabled"]),
        (State.RUNNING, True, True, ["enabled"]),
    ],
)
def test_of_a_bot_that_comes_up_with_its_supervisor_otherwise_it_is_told(paths, state, held, enabled, words):
    path = paths.unit("alice")
    path.write_text(unit("new", str(enabled).lower()))
    files = Files(state="/s", socket="/s/c", run_record="/s/r", log="/s/l")
    app = App(kind="async", target="m:f")
    bot = BotFile(
        fleet="demo", name="alice", type="t", backend="supervisord", app=app, directory="/", files=files
    )
    wanted = {"alice": Wanted("t", "u", bot, held=held), "new": Wanted("t", "u", bot)}
    have = {"alice": InForce(state, "u", "f")}
    found = kept_otherwise(Supervisord(paths), wanted, have, ())
    assert [(one.path, one.found) for one in found] == [(path, each) for each in words]
    assert kept_otherwise(Supervisord(paths), wanted, have, {path}) == []


def test_an_edit_is_more_than_a_mode_or_a_file_that_is_gone():
    names = ("edited", "unreadable", "missing", "of mode 0644, not 0600")
    assert in_text(Edited(Path(name), name) for name in names) == {Path("edited"), Path("unreadable")}
