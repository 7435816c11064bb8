"""Check a fleet as far as that goes without starting a bot."""

import sys
import tempfile
from pathlib import Path

from toolkit import botfile, shell
from toolkit.deploy.prepare import prepare
from toolkit.errors import InvalidFleetError
from toolkit.fleet.model import Fleet
from toolkit.paths import FleetPaths, runner_of

IMPORT_S = 60.0


def check_fleet(fleet: Fleet, paths: FleetPaths, *, import_apps: bool) -> None:
    """Render the fleet, and import each type's app with its own interpreter if asked to.

    Parameters:
        import_apps: whether to run `bot-runner --check` for one bot of each type.

    Raises:
        InvalidFleetError: a value cannot be expressed in a unit, or an app does not import.
    """
    prepared = prepare(fleet, paths, to_run=False)
    if not import_apps:
        return
    problems = []
    for name, type_ in fleet.types.items():
        bot = next((want.bot_file for want in prepared.wanted.values() if want.type == name), None)
        if bot and bot.app.kind != "exec":
            fault = _import_fault(bot, type_.python or sys.executable)
            if fault:
                problems.append(fleet.problem(("types", name, "app"), fault))
    if problems:
        raise InvalidFleetError(problems)


def _import_fault(bot: botfile.BotFile, python: str) -> str:
    """What the bot's own runner says of its app; "" where it imports."""
    with tempfile.TemporaryDirectory(prefix="bt") as folder:
        path = Path(folder) / "bot.json"
        path.write_text(botfile.encode(bot), encoding="utf-8")
        done = shell.run([runner_of(python), "--check", str(path)], timeout_s=IMPORT_S, cwd=bot.directory)
    if done.code == 0:
        return ""
    words = [line.removeprefix("error: ") for line in done.stderr.splitlines() if line.startswith("error: ")]
    return words[0] if words else f"bot-runner --check ended with {done.code}"
