"""The app of a hostile fleet: it tells by a file in its state folder what reached it, and goes on.

An ``async`` bot calls ``main``; an ``exec`` bot runs a copy of this file that begins with ``#!``.
"""

import asyncio
import hashlib
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path


def text(raw):
    return os.fsencode(raw).decode(errors="backslashreplace")


def plain(value):
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, tuple) else value


def tell(state, token, **told):
    told |= {
        "cwd": text(os.getcwdb()),
        "environment": {text(name): text(value) for name, value in os.environb.items()},
        "token": token and hashlib.sha256(token.encode()).hexdigest(),
    }
    new = Path(state, "told.new")
    new.write_text(json.dumps(told))
    new.rename(Path(state, "told.json"))


async def main(context):
    own = {"config": plain(context.config), "endpoint": context.endpoint}
    tell(context.state, context.token, code=text(__file__), **own)
    context.health.ready()
    await asyncio.sleep(10**6)


if __name__ == "__main__":
    environ = os.environ
    own = {"config": json.loads(environ["BOT_CONFIG"]), "argv": [text(word) for word in sys.argv]}
    tell(environ["BOT_STATE"], environ.pop("BOT_TOKEN", None), **own)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.sendto(b"READY=1", environ["NOTIFY_SOCKET"])
    signal.pause()
