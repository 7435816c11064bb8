"""What the spool costs: a bot with it against the same bot whose updates are kept nowhere."""

from collections.abc import Iterator

from measure import folder, sandbox
from subjects import subjects
from throughput import compare

from toolkit.botfile import App
from toolkit.sandbox.client import SandboxClient

NOWHERE, SPOOL = "no spool", "spool"
_COUNT = 3000

# The runner loads this in the process of the bot.
FORGETFUL = """
from toolkit.spool import Spool
from bench_app import build

def append(self, batch):
    if batch:
        self._contents.mark, self._contents.marked_at = batch[-1][0], 1e12
    return [number for number, _ in batch]

Spool.append = append
Spool.attempt = lambda self, update_id: 1
Spool.done = Spool.commit = lambda self, *_: None
"""


def cost() -> Iterator[str]:
    """A backlog at an API that answers at once, where the spool costs the most."""
    with folder() as path, sandbox(path) as url:
        client = SandboxClient(url)
        (path / "forgetful.py").write_text(FORGETFUL)
        without = {"app": App(kind="telegram", target="forgetful:build", search=(str(path),))}
        with subjects(path, client, {NOWHERE: without, SPOOL: {}}) as bots:
            yield from compare(client, bots, dict.fromkeys(bots, _COUNT), "API of 0 ms", 0.9)
