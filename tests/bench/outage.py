"""How soon a bot answers again after an outage of the Bot API."""

import statistics
import time
from collections.abc import Iterator

from measure import folder, sandbox
from subjects import subjects

from toolkit.sandbox.client import SandboxClient

OUTAGE_S = 25
KINDS = ("drop", "502", "hang")
_WITHIN_S = 60.0


def _answered_after(client: SandboxClient, bot_id: str, healed: float) -> float:
    (last,) = client.wait_for_answers(bot_id, 1, timeout=_WITHIN_S) or (None,)
    if last is None:
        raise SystemExit(f"bot {bot_id} did not answer within {_WITHIN_S:g} s of the outage's end")
    return last["time"] - healed


def back_after_outage() -> Iterator[str]:
    """The first answer after 25 s of each kind of outage, the runner's and a bare script's, at once."""
    wanted = {
        f"{kind} {name}": changes for kind in KINDS for name, changes in (("script", None), ("runner", {}))
    }
    with folder() as path, sandbox(path) as url:
        client = SandboxClient(url)
        with subjects(path, client, wanted) as bots:
            for name, bot in bots.items():
                client.fault(bot.bot_id, "*", name.split()[0])
                client.say(bot.bot_id, "during the outage")
            time.sleep(OUTAGE_S)
            healed = time.time()
            client.heal()
            found = {name: _answered_after(client, bot.bot_id, healed) for name, bot in bots.items()}
    for kind in KINDS:
        mine, its = found[f"{kind} runner"], found[f"{kind} script"]
        yield f"{OUTAGE_S} s of {kind}: answers {mine:.2f} s after it (goal 1 s), a script {its:.2f} s"
    mean = statistics.mean(found[f"{kind} runner"] for kind in KINDS)
    yield f"outages, mean of {len(KINDS)}: {mean:.2f} s"
