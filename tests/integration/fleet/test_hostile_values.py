"""Hostile values through a real supervisord: they reach the processes, or validation refuses them."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import event, given

from tests.hostile.fleets import BOTS, FEW, accepted, check, fleet_text, fleets, lay_out, verify

BIN = Path(sys.executable).parent
HEAD = {"fleet": "h", "backend": "supervisord", "mode": "user"}


class Home:
    """A folder with a fleet, which is ended with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def toolkit(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [BIN / "toolkit", "-f", self.folder / "fleet.yaml", *arguments]
        # The state folder is another one too where the fleet file names no root.
        return subprocess.run(
            command,
            env={"XDG_STATE_HOME": str(self.folder / "s"), "HOME": "/", "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def write(self, drawn) -> None:
        (self.folder / "fleet.yaml").write_text(fleet_text(drawn, HEAD, self.folder))


@contextmanager
def a_home() -> Iterator[Home]:
    # Sockets lie below it: its path is short.
    with tempfile.TemporaryDirectory(prefix="bt", dir="/tmp") as folder:
        home = Home(Path(folder))
        try:
            yield home
        finally:
            home.toolkit("down")


@FEW
@given(fleets(with_root=True))
def test_values_reach_the_process_unchanged_or_are_refused(drawn):
    with a_home() as home:
        lay_out(drawn, home.folder, BIN.parent, sys.executable)
        fleet = accepted(drawn, home.write, home.toolkit)
        event(f"{len(fleet.bots)} of {BOTS} bots accepted")
        done = home.toolkit("up")
        assert done.returncode == 0, done.stdout + done.stderr
        state = (home.folder / fleet.root if fleet.root else home.folder / "s/bot-toolkit") / "h"
        check(
            fleet,
            home.folder,
            {path.parent.name: json.loads(path.read_text()) for path in state.glob("bots/*/told.json")},
        )
        verify(home.toolkit)
        listed = subprocess.run(
            [BIN / "supervisorctl", "-c", state / "supervisord.conf", "status"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert sorted(line.split()[0] for line in listed.stdout.splitlines()) == sorted(
            f"h-{bot.name}" for bot in fleet.bots
        )
