"""A fleet in each of the places where it can run, on one host, driven by the same commands."""

import json
from dataclasses import dataclass
from typing import Any

from tests.asking import Asks
from tests.hosts.bot_api import ENDPOINT
from tests.hosts.container import Container
from toolkit.place import PRIVATE_SUPERVISORD, SYSTEM_SUPERVISORD, SYSTEM_SYSTEMD, USER_SYSTEMD, Place

# The fleet of each place: no two share a name, a folder or a token.
NAMES = {
    PRIVATE_SUPERVISORD: "private",
    SYSTEM_SUPERVISORD: "guest",
    SYSTEM_SYSTEMD: "system",
    USER_SYSTEMD: "user",
}
USER = "admin"
# Who runs the bots of the machine's supervisord.
SERVICE_USER = "botrunner"


@dataclass
class Operator(Asks):
    """Someone who has a fleet of three bots in a place: alice and bob echo, carol counts.

    Parameters:
        user: who types the commands.
        folder: where the fleet file lies.
    """

    host: Container
    place: Place
    fleet: str
    user: str
    folder: str

    @property
    def file(self) -> str:
        return f"{self.folder}/fleet.yaml"

    def run(self, *argv: object, code: int | None = 0, user: str = "") -> Any:
        done = self.host.run("toolkit", "-f", self.file, *argv, code=code, user=user or self.user)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def edit(self, old: str, new: str) -> None:
        text = self.host.read(self.file)
        assert old in text
        self.host.write(self.file, text.replace(old, new), 0o644, f"{self.user}:{self.user}")

    def log(self, bot: str) -> list[dict[str, str]]:
        lines = self.run("bot", "logs", bot, "-n", 0, "--json").stdout.splitlines()
        return [json.loads(line) for line in lines]


def settle_in(host: Container, place: Place) -> Operator:
    """An operator whose fleet is written and not deployed."""
    user = "root" if place.mode == "system" else USER
    folder = f"/srv/{NAMES[place]}" if place.mode == "system" else f"/home/{USER}/{NAMES[place]}"
    made = Operator(host, place, NAMES[place], user, folder)
    host.run("toolkit", "init", folder, "--name", made.fleet, "--endpoint", ENDPOINT, user=user)
    made.edit(
        f"fleet: {made.fleet}\n", f"fleet: {made.fleet}\nbackend: {place.backend}\nmode: {place.mode}\n"
    )
    if place.mode == "system":
        # The bots' users read the code, and root's tokens reach them by systemd.
        host.sh('chmod 755 "$1"; chmod -R go+rX "$1/bots"', folder)
    if place == SYSTEM_SUPERVISORD:
        host.run("systemctl", "start", "supervisor.service")
        host.run("useradd", "--system", "--user-group", SERVICE_USER)
        host.sh('chown -R "$2" "$1/secrets"', folder, SERVICE_USER)
        for kind in ("echo", "counter"):
            made.edit(f"  {kind}:\n", f"  {kind}:\n    user: {SERVICE_USER}\n")
    if place == USER_SYSTEMD:
        host.run("loginctl", "enable-linger", USER)
        host.run("systemctl", "--user", "is-system-running", "--wait", user=USER, code=None)
    return made
