"""What a bot under the runner holds, against the same bot as a bare script."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from measure import TOOLKIT, bots, folder, run, sandbox

SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
from types import SimpleNamespace
from telegram.ext import Application
from bots import echo
token = open({token!r}).read().strip()
made = echo.build(SimpleNamespace(config={{"greeting": "Hello"}}, token=token))
if not isinstance(made, Application):
    made = made.token(token).base_url({url!r} + "/bot").build()
else:
    made.bot._base_url = {url!r} + "/bot" + token
made.run_polling()
"""


def bot_against_script() -> Iterator[str]:
    """PSS of both, polling the same sandbox, after the same time."""
    with folder() as path, sandbox(path) as url:
        run(TOOLKIT, "init", path / "f", "--endpoint", url, "--keep-in-folder", "--name", "bench")
        fleet = path / "f" / "fleet.yaml"
        run(TOOLKIT, "-f", fleet, "up")
        token = path / "f" / "secrets" / "bob.token"
        run(TOOLKIT, "-f", fleet, "admin", "stop-bot", "bob", "carol")
        source = SCRIPT.format(folder=str(path / "f"), token=str(token), url=url)
        script = subprocess.Popen([sys.executable, "-c", source], stderr=subprocess.DEVNULL)
        try:
            time.sleep(5)
            alice = next(bot for bot in bots(fleet) if bot["name"] == "alice")
            mine, theirs = pss(int(str(alice["pid"]))), pss(script.pid)
        finally:
            script.kill()
            script.wait()
            run(TOOLKIT, "-f", fleet, "down")
    ratio = mine / theirs
    yield f"memory: {mine / 1e6:.1f} MB, {ratio:.2f} x the bare script ({theirs / 1e6:.1f} MB; goal 1)"


def pss(pid: int) -> int:
    """Resident memory of a process, shared pages counted by share, in bytes."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
