"""A token that is seeded into a whole fleet, whose bots tell it in every way, is found in its file alone."""

import itertools
import os
import socket
import struct
from pathlib import Path

import pytest

APPS = Path(__file__).parents[2] / "apps"
FLEET = """
version: 1
fleet: test
root: state
endpoint: {endpoint}
types:
  leaky:
    app: {{telegram: "leaky_app:build"}}
    search: [{apps}]
    log: {{level: DEBUG}}
    health: {{loop: 1s}}
    stop_timeout: 2s
    restart: {{pause: 200ms}}
  raises: {{app: {{telegram: "leaky_app:raises"}}, search: [{apps}], restart: {{policy: never}}}}
  coroutine: {{app: {{async: "leaky_app:coroutine"}}, search: [{apps}], restart: {{policy: never}}}}
bots:
  alice: {{type: leaky, token: {{file: secrets/alice.token}}}}
  bob: {{type: leaky, token: {{file: secrets/bob.token}}}}
  carol: {{type: leaky, token: {{file: secrets/carol.token}}}}
  dave: {{type: leaky, token: {{file: secrets/dave.token}}}}
  erin: {{type: raises, token: {{file: secrets/erin.token}}}}
  frank: {{type: coroutine, token: {{file: secrets/frank.token}}}}
"""
BOTS = ("alice", "bob", "carol", "dave", "erin", "frank")
# One secret for all: whatever tells it is found by one search. The ids before the colon are public.
SECRET = "Seeded-5ecret_" + "q" * 21
READING = (
    ("bot", "list"),
    ("bot", "list", "--json"),
    ("bot", "status", "all"),
    ("bot", "status", "all", "--json"),
    ("bot", "health", "--json"),
    ("bot", "logs", "all", "-n", "1000"),
    ("bot", "logs", "all", "--json"),
    ("validate", "--json"),
    ("validate", "--import"),
    ("render", "--json"),
    ("plan",),
    ("system", "info", "--json"),
    ("--debug", "bot", "status", "erin"),
)


@pytest.fixture
def leaky(operator):
    """The operator with a fleet of bots that tell their token."""
    operator.fleet.write_text(FLEET.format(endpoint=operator.sandbox.url, apps=APPS))
    for number, bot in enumerate(BOTS):
        file = operator.folder / "secrets" / f"{bot}.token"
        file.write_text(f"{os.getpid()}{number:03}77:{SECRET}\n")
        file.chmod(0o600)
    for bot in BOTS:
        operator.sandbox.forget(operator.bot_id(bot))
    return operator


def files_with(secret, folder):
    """Every file below that holds the secret, but for those that are its place."""
    found = []
    for path in folder.rglob("*"):
        data = path.read_bytes() if path.is_file() and path.parent.name != "secrets" else b""
        if secret in data:
            found.append(f"{path}: {_around(secret, data)}")
    return found


def processes_with(secret):
    """Every process that shows the secret in its arguments or its environment."""
    found = []
    for process in Path("/proc").iterdir():
        for name in ("cmdline", "environ"):
            try:
                data = (process / name).read_bytes()
            except OSError:  # it ended, or belongs to someone else
                continue
            if secret in data:
                found.append(f"{process / name}: {_around(secret, data)}")
    return found


def _around(secret, data):
    place = data.index(secret)
    return data[max(0, place - 80) : place + 40]


def asked(path, payload):
    """What the control socket answers to bytes of any kind."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(10)
        peer.connect(str(path))
        peer.sendall(struct.pack(">I", len(payload)) + payload)
        try:
            return peer.recv(1 << 20)
        except TimeoutError:
            return b""


def control_answers(operator):
    call = b'{"jsonrpc": "2.0", "id": 1, "method": "%s", "params": {}}'
    methods = (b"hello", b"health", b"status", b"dead_letters", b"no_such_method")
    payloads = [b"{", b"[]", *(call % method for method in methods)]
    sockets = [path for path in operator.home.rglob("control.sock") if path.is_socket()]
    for path, payload in itertools.product(sockets, payloads):
        try:
            yield asked(path, payload)
        except ConnectionError:  # that bot is between two runs
            continue


def said(operator, bot, words):
    """Whether the bot's log has come to this."""
    return words in operator.run("bot", "logs", bot, "-n", "1000", code=None).stdout


def test_the_token_is_found_in_its_file_alone(leaky, eventually):
    secret, sandbox = SECRET.encode(), leaky.sandbox
    leaky.run("up", "--wait", "8", code=None)
    for bot in ("alice", "bob", "carol", "dave"):
        assert eventually(lambda bot=bot: leaky.bots()[bot]["ready"])
    assert leaky.ask("alice", "/all") == ["told"]
    sandbox.say(leaky.bot_id("bob"), "/block")
    sandbox.say(leaky.bot_id("carol"), "/crash")
    sandbox.say(leaky.bot_id("dave"), "/leave")
    eventually(lambda: said(leaky, "alice", "nobody fetches this"))
    eventually(lambda: said(leaky, "bob", "Task waiting"))
    eventually(lambda: said(leaky, "dave", "leaving with"))
    eventually(lambda: said(leaky, "erin", "the factory says"))
    eventually(lambda: said(leaky, "frank", "the coroutine says"))
    eventually(lambda: leaky.bots()["carol"]["last_exit"])
    for command in READING:
        assert SECRET not in "".join(leaky.start(*command).communicate(timeout=60)), command
    assert [answer for answer in control_answers(leaky) if secret in answer] == []
    assert processes_with(secret) == []
    sandbox.refuse(leaky.bot_id("alice"))
    eventually(lambda: leaky.bots()["alice"]["state"] == "QUARANTINED", within_s=30)
    leaky.run("down")
    assert files_with(secret, leaky.folder) == []


def test_a_token_in_the_fleet_file_is_refused_without_telling_it(leaky):
    text = leaky.fleet.read_text()
    token = leaky.token("alice")
    for wrong in (token, f"{{file: {token}}}", f"{{token: {token}}}", f"{{command: [echo, {token!r}]}}"):
        leaky.fleet.write_text(text.replace("{file: secrets/alice.token}", wrong))
        for command in (("validate",), ("validate", "--json"), ("--debug", "plan"), ("up",)):
            process = leaky.start(*command)
            told = "".join(process.communicate(timeout=60))
            assert SECRET not in told, (wrong, command)
            assert process.returncode in (1, 2), (wrong, command, told)
