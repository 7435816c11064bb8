"""A fleet on a host: in a place, with users and secrets as that place wants them, and a Bot API beside it."""

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.asking import Asks
from tests.hosts.bot_api import ENDPOINT, serve_bot_api
from tests.hosts.host import Host, ssh_config
from tests.hosts.image import OPT

FLEET = "/srv/demo/fleet.yaml"
# supervisor as its users install it from PyPI, in a place of its own.
PYPI_CONF = """\
[unix_http_server]
file=/run/supervisor.sock
[supervisord]
logfile=/var/log/supervisord.log
pidfile=/run/supervisord.pid
nodaemon=true
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix:///run/supervisor.sock
[include]
files = supervisord.d/*.ini
"""
PYPI_SERVICE = f"""\
[Service]
ExecStart={OPT}/bin/python {OPT}/bin/supervisord -n -c /etc/supervisord.conf
KillMode=process
[Install]
WantedBy=multi-user.target
"""


class Guest(Asks):
    """The fleet of three bots that `toolkit init` writes, deployed on a host.

    Parameters:
        place: ``debian`` (the machine's supervisord, of Debian's package), ``pypi`` (the same, of PyPI's) or
            ``systemd`` (system mode).
    """

    def __init__(self, host: Host, place: str) -> None:
        self.host, self.place = host, place
        backend = "systemd" if place == "systemd" else "supervisord"
        host.run("toolkit", "init", "/srv/demo", "--name", "demo", "--endpoint", ENDPOINT)
        text = host.read(FLEET).replace("fleet: demo", f"fleet: demo\nbackend: {backend}\nmode: system")
        if place != "systemd":
            host.sh(
                "id bots 2>/dev/null || useradd --system --user-group bots; chown -R bots /srv/demo/secrets"
            )
            text = text.replace("  echo:\n", "  echo:\n    user: bots\n")
            text = text.replace("  counter:\n", "  counter:\n    user: bots\n")
        host.write(FLEET, text)
        serve_bot_api(host)
        if place == "debian":
            host.run("systemctl", "enable", "--now", "supervisor")
        elif place == "pypi":
            host.run("rm", "-r", "/etc/supervisor")
            host.run("mkdir", "/etc/supervisord.d")
            host.write("/etc/supervisord.conf", PYPI_CONF)
            host.write("/etc/systemd/system/supervisord.service", PYPI_SERVICE)
            host.run("systemctl", "enable", "--now", "supervisord")
        if place != "systemd":
            host.sh("until [ -S /run/supervisor.sock ]; do sleep 0.05; done")

    @property
    def units(self) -> str:
        """The folder of its units."""
        folders = {"debian": "/etc/supervisor/conf.d", "pypi": "/etc/supervisord.d"}
        return folders.get(self.place, "/etc/systemd/system")

    @property
    def suffix(self) -> str:
        """What the name of a unit ends with."""
        return Path(self.unit("x")).suffix

    def unit(self, bot: str) -> str:
        """The path of a bot's unit."""
        names = {"debian": f"demo-{bot}.conf", "pypi": f"demo-{bot}.ini"}
        return f"{self.units}/{names.get(self.place, f'bot-demo-{bot}.service')}"

    def run(
        self, *arguments: object, code: int | None = 0, user: str = "root"
    ) -> subprocess.CompletedProcess[str]:
        """A command of the toolkit."""
        done = self.host.run("toolkit", "-f", FLEET, *arguments, code=code, user=user)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def edit(self, old: str, new: str) -> None:
        text = self.host.read(FLEET)
        assert old in text
        self.host.write(FLEET, text.replace(old, new))

    def wait(self, condition: str) -> None:
        """Wait until lines of shell succeed; ``$1`` is the fleet file. A minute at most."""
        script = (
            f"for i in $(seq 150); do {{ {condition}; }} >/dev/null 2>&1 && exit; sleep 0.4; done; exit 1"
        )
        self.host.sh(script, FLEET)

    def ctl(self, *arguments: str) -> str:
        """What the supervisor's own command prints."""
        conf = "/etc/supervisord.conf" if self.place == "pypi" else "/etc/supervisor/supervisord.conf"
        return self.host.run("supervisorctl", "-c", conf, *arguments, code=None).stdout

    def stop_by_hand(self, bot: str) -> None:
        if self.place == "systemd":
            self.host.run("systemctl", "stop", f"bot-demo-{bot}.service")
        else:
            self.ctl("stop", f"demo-{bot}")

    def start_by_hand(self, bot: str) -> None:
        if self.place == "systemd":
            self.host.run("systemctl", "start", f"bot-demo-{bot}.service")
        else:
            self.ctl("start", f"demo-{bot}")

    def verify(self) -> dict[str, str]:
        """The checks that fail, over SSH, each with what was found; hints are never missing."""
        return failed_checks(self.host, FLEET, "root")

    def failed(self) -> dict[str, dict[str, str]]:
        """The same checks as their JSON has them."""
        return _failed(self.host, FLEET, "root")

    def do(self, hint: str, typed: str = "") -> None:
        """Type every command that a hint names, for this fleet file; then wait until all bots work."""
        for command in re.findall(r"`([^`]+)`", hint):
            told = re.sub(r"^toolkit ", f"toolkit -f {FLEET} ", command)
            self.host.run("sh", "-euc", told, input=typed)
        self.wait('toolkit -f "$1" bot health all')


def failed_checks(host: Host, fleet: str, user: str) -> dict[str, str]:
    """The checks of a host that fail, asked over SSH as a user, each with what was found."""
    return {name: check["found"] for name, check in _failed(host, fleet, user).items()}


def _failed(host: Host, fleet: str, user: str) -> dict[str, dict[str, str]]:
    url = f"ssh://{user}@{host.address}:{host.port}?ssh_config={ssh_config()}"
    command = [Path(sys.executable).with_name("toolkit"), "-f", fleet, "verify", "--json", "--hosts", url]
    command += ["--remote-toolkit", f"{OPT}/bin/toolkit"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout, done.stderr
    checks = json.loads(done.stdout)["checks"]
    failed = [check for check in checks if check["outcome"] == "failed"]
    assert done.returncode == (3 if failed else 0)
    assert all(check["hint"] and check["why"] for check in failed)
    return {f"{check['bot']}:{check['check']}": check for check in failed}
