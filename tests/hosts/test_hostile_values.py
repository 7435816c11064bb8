"""Hostile values through a real systemd: they reach the processes, or validation refuses them."""

import json
import tempfile
from itertools import count
from pathlib import Path

from hypothesis import given

from tests.hostile.fleets import FEW, accepted, check, fleet_text, fleets, lay_out, verify
from tests.hosts.image import OPT

pytest_plugins = ("tests.hosts.fixtures",)

TOLD = """\
cd "/var/lib/bot-toolkit/$1/bots"
for bot in *; do printf '"%s": ' "$bot"; cat "$bot/told.json"; echo ,; done
"""
VERIFY = """\
cd /etc/systemd/system
systemd-analyze verify --man=no "bot-$1"-*.service "bot-$1.slice" "bot-$1.target" 2>&1
"""
_numbers = count()


@FEW
@given(fleets(with_root=False))
def test_values_reach_the_process_unchanged_or_are_refused(host, drawn):
    name = f"h{next(_numbers)}"
    head = {"fleet": name, "backend": "systemd", "mode": "system"}
    folder = Path("/srv", name)
    with tempfile.TemporaryDirectory() as local:
        lay_out(drawn, Path(local, name), Path(OPT), "/usr/bin/python3")
        host.put(Path(local, name), "/srv")

    def toolkit(*arguments):
        return host.run("toolkit", "-f", folder / "fleet.yaml", *arguments, code=None)

    def write(fleet):
        host.write(str(folder / "fleet.yaml"), fleet_text(fleet, head, folder))

    fleet = accepted(drawn, write, toolkit)
    try:
        done = toolkit("deploy")
        assert done.returncode == 0, done.stdout + done.stderr
        check(fleet, folder, json.loads("{" + host.sh(TOLD, name).rstrip(",") + "}"))
        verify(toolkit)
        assert host.sh(VERIFY, name) == ""
    finally:
        toolkit("down")
