"""One echo bot, as a bare script and under the runner, both driven by a sandbox."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from measure import BIN

from toolkit import botfile
from toolkit.botfile import App, BotFile, Files
from toolkit.sandbox.client import SandboxClient
from toolkit.secrets import TokenReference

CHATS = 64
_UP_S = 30.0
_STOP_S = 20.0
_TICKS = os.sysconf("SC_CLK_TCK")

# What a user would write: the builder is the runner's own where it runs there.
APP = """
import sys
from telegram.ext import Application, MessageHandler, filters

async def echo(update, _):
    await update.message.reply_text(update.message.text)

async def add_handlers(application):
    application.add_handler(MessageHandler(filters.TEXT, echo))

def build(_):
    return Application.builder().post_init(add_handlers)

if __name__ == "__main__":
    token, url = open(0 if sys.argv[1] == "-" else sys.argv[1]).read().strip(), sys.argv[2]
    build(None).token(token).base_url(url + "/bot").build().run_polling()
"""


class Subject:
    """A running bot.

    Parameters:
        name: in the lines that the bench prints.
        bot_id: the digits before its token's colon.
        process: the bot itself.
        state: the folder of the bot's state.
    """

    def __init__(self, name: str, bot_id: str, process: "subprocess.Popen[bytes]", state: Path) -> None:
        self.name, self.bot_id, self.process, self.state = name, bot_id, process, state

    def cpu_s(self) -> float:
        """Processor time so far, in seconds."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def resident(self) -> int:
        """Resident memory in bytes."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))

    def open_files(self) -> int:
        """File descriptors that are open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def stop(self) -> None:
        """End it by SIGTERM, or by force where that takes too long."""
        self.process.terminate()
        try:
            self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def bot_file(folder: Path, name: str, endpoint: str, **changes: Any) -> BotFile:
    """The bot file of a runner's bot; ``changes`` are fields of it."""
    given: dict[str, Any] = {
        "fleet": "bench",
        "name": name,
        "type": "echo",
        "backend": "supervisord",
        "app": App(kind="telegram", target="bench_app:build", search=(str(folder),)),
        "directory": str(folder),
        "token": TokenReference("file", (str(folder / f"{name}.token"),)),
        "endpoint": endpoint,
        "files": Files(
            state=str(folder / name),
            socket=str(folder / name / "control.sock"),
            run_record=str(folder / name / "run.json"),
            log=str(folder / name / "bot.log"),
        ),
    }
    return BotFile(**given | changes)


def _command(folder: Path, name: str, endpoint: str, changes: dict[str, Any] | None) -> list[str]:
    if changes is None:
        return [sys.executable, str(folder / "bench_app.py"), str(folder / f"{name}.token"), endpoint]
    path = folder / f"{name}.json"
    path.write_text(botfile.encode(bot_file(folder, name, endpoint, **changes)))
    return [str(BIN / "bot-runner"), str(path)]


def start(folder: Path, name: str, number: int, endpoint: str, changes: dict[str, Any] | None) -> Subject:
    """Start a bot whose files lie in a folder; ``number`` is what its token has of its own."""
    bot_id = f"{700_000 + number}"
    (folder / name).mkdir()
    (folder / f"{name}.token").write_text(f"{bot_id}:{'A' * 35}\n")
    (folder / f"{name}.token").chmod(0o600)
    with open(folder / f"{name}.stray", "wb") as stray:
        command = _command(folder, name, endpoint, changes)
        return Subject(name, bot_id, subprocess.Popen(command, stdout=stray, stderr=stray), folder / name)


@contextmanager
def subjects(
    folder: Path, client: SandboxClient, wanted: dict[str, dict[str, Any] | None]
) -> Iterator[dict[str, Subject]]:
    """Bots that are up and poll.

    Parameters:
        folder: for all their files.
        client: the sandbox.
        wanted: by name the fields of the bot file to change; None for a bare script.
    """
    (folder / "bench_app.py").write_text(APP)
    made: dict[str, Subject] = {}
    with ExitStack() as stack:
        for number, (name, changes) in enumerate(wanted.items(), start=1):
            made[name] = start(folder, name, number, client.url, changes)
            stack.callback(made[name].stop)
            client.wait_until(made[name].bot_id, lambda counters: counters["polling"], _UP_S)
        yield made
