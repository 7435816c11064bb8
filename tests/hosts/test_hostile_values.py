"""Hostile values through the supervisors of a host: they reach the processes, or validation refuses them."""

import json
import tempfile
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given

from tests.hostile.fleets import FEW, accepted, check, fleet_text, fleets, lay_out, verify
from tests.hosts.image import OPT
from tests.hosts.places import SERVICE_USER, USER
from toolkit.place import SYSTEM_SUPERVISORD, SYSTEM_SYSTEMD, USER_SYSTEMD

pytest_plugins = ("tests.hosts.fixtures",)

TOLD = """\
cd "$1"
for bot in *; do printf '"%s": ' "$bot"; cat "$bot/told.json"; echo ,; done
"""
VERIFY = """\
cd "$2"
systemd-analyze verify "--$3" --man=no "bot-$1"-*.service "bot-$1.slice" "bot-$1.target" 2>&1
"""
HOME = f"/home/{USER}"
UNITS = {"system": "/etc/systemd/system", "user": f"{HOME}/.config/systemd/user"}
_numbers = count()


@pytest.fixture(scope="module", params=[SYSTEM_SYSTEMD, USER_SYSTEMD, SYSTEM_SUPERVISORD], ids=str)
def place(request, host):
    if request.param == SYSTEM_SUPERVISORD:
        host.run("systemctl", "enable", "--now", "supervisor.service")
        host.run("useradd", "--system", "--user-group", SERVICE_USER)
    if request.param == USER_SYSTEMD:
        host.run("loginctl", "enable-linger", USER)
        host.run("systemctl", "--user", "is-system-running", "--wait", user=USER, code=None)
    return request.param


@FEW
@given(fleets(with_root=False))
def test_values_reach_the_process_unchanged_or_are_refused(host, place, drawn):
    name = f"h{next(_numbers)}"
    head = {"fleet": name, "backend": place.backend, "mode": place.mode}
    system = place.mode == "system"
    folder = Path("/srv" if system else HOME, name)
    operator = "root" if system else USER
    bots = SERVICE_USER if place == SYSTEM_SUPERVISORD else ""
    with tempfile.TemporaryDirectory() as local:
        lay_out(drawn, Path(local, name), Path(OPT), "/usr/bin/python3")
        host.put(Path(local, name), str(folder.parent))
    host.run("chown", "-Rh", bots or operator, folder)

    def toolkit(*arguments):
        return host.run("toolkit", "-f", folder / "fleet.yaml", *arguments, user=operator, code=None)

    def write(fleet):
        host.write(str(folder / "fleet.yaml"), fleet_text(fleet, head, folder, bots))

    fleet = accepted(drawn, write, toolkit)
    try:
        done = toolkit("deploy")
        assert done.returncode == 0, done.stdout + done.stderr
        state = "/var/lib" if system else f"{HOME}/.local/state"
        told = host.sh(TOLD, f"{state}/bot-toolkit/{name}/bots").rstrip(",")
        check(fleet, folder, json.loads(f"{{{told}}}"))
        verify(toolkit)
        if place.backend == "systemd":
            assert host.sh(VERIFY, name, UNITS[place.mode], place.mode, user=operator) == ""
    finally:
        toolkit("down")
