"""What a bot under the machine's systemd could not reach is told before it fails on it."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from toolkit.botfile import App
from toolkit.deploy import reach
from toolkit.errors import InvalidFleetError, Problem
from toolkit.fleet.model import Bot, Fleet, Position, Type
from toolkit.paths import fleet_paths
from toolkit.place import SYSTEM_SYSTEMD
from toolkit.render import Machine

PATHS = fleet_paths("demo", place=SYSTEM_SYSTEMD)
MACHINE = Machine("/usr/bin/env", systemd=252)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everyone may read, and that is not under /tmp."""
    made = Path(tempfile.mkdtemp(prefix="bt", dir="/dev/shm"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def found(machine=MACHINE, **type_) -> list[tuple[str, str]]:
    type_ = {"app": App(kind="async", target="a:b"), "directory": "/usr", "python": "/usr/bin/env"} | type_
    fleet = Fleet(
        name="demo",
        file=Path("/srv/fleet.yaml"),
        backend="systemd",
        root=None,
        endpoint="",
        config={},
        types={
            "t": Type(name="t", **type_),
            "unused": Type(name="unused", app=App(kind="exec"), directory="/root"),
        },
        bots={"a": Bot("a", "t"), "b": Bot("b", "t")},
        sources=(),
        positions={
            ("types", "t"): Position("fleet.yaml", 3),
            ("types", "t", "python"): Position("fleet.yaml", 5),
        },
    )
    return [(problem.path, problem.message) for problem in reach.problems(fleet, PATHS, machine)]


def test_what_every_user_can_read_is_fine():
    assert found(app=App(kind="exec", argv=("/usr/bin/env", "x"), search=("/usr",))) == []


def test_a_path_is_told_without_what_a_terminal_would_obey():
    fleet_file = Path("/srv/fleet.yaml")
    hostile = Problem(str(fleet_file), 3, "types.t.python", "/tmp/\x1b[31m\n x", "\x9b1m")
    assert InvalidFleetError([hostile]).message.splitlines() == [
        "the fleet has 1 problem",
        r"  /srv/fleet.yaml:3: types.t.python: /tmp/\x1b[31m\n x (\x9b1m)",
    ]


@pytest.mark.parametrize("place", ["/root/x", "/home/me/x", "/tmp/x", "/var/tmp/x", "/run/user/1000/x"])
def test_what_the_sandbox_hides_is_refused(place):
    ((path, message),) = found(python=f"{place}/bin/python")
    assert path == "types.t.python"
    assert f"under {place.rpartition('/')[0].replace('/me', '').replace('/1000', '')}" in message
    assert len(found(directory=place)) == 1
    assert len(found(app=App(kind="async", search=(place, "/usr")))) == 1
    assert len(found(app=App(kind="exec", argv=(f"{place}/bot",)))) == 1


def test_the_toolkits_own_interpreter_counts_where_the_type_names_none():
    ((path, message),) = found(Machine("/root/venv/bin/python"), python="")
    assert (path, "/root/venv/bin/python" in message) == ("types.t.python", True)


def test_home_is_a_need():
    assert "needs: [home]" in found(directory="/home/me")[0][1]
    assert found(directory="/home/me", needs=frozenset({"home"})) == []
    assert len(found(directory="/root", needs=frozenset({"home"}))) == 1


def test_a_link_is_followed(folder):
    (folder / "python").symlink_to("/root/.pyenv/bin/python")
    ((_, message),) = found(python=str(folder / "python"))
    assert "/root/.pyenv/bin/python" in message


def test_a_folder_that_is_closed_to_others_is_refused(folder):
    (folder / "app/bots").mkdir(parents=True)
    assert found(directory=str(folder / "app/bots")) == []
    (folder / "app").chmod(0o750)
    ((_, message),) = found(directory=str(folder / "app/bots"))
    assert f"{folder}/app may not be entered by other users (mode 0750)" in message
    assert found(directory=str(folder / "app/bots"), user="somebody") == []
    (folder / "app").chmod(0o755)
    (folder / "app/bots").chmod(0o751)
    assert "may not be read" in found(directory=str(folder / "app/bots"))[0][1]


def test_what_is_missing_is_not_told_twice(folder):
    assert found(directory=str(folder / "none/x")) == []
