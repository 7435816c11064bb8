"""Fleets to render, and supervisor's own parser to read what was rendered."""

import importlib.util
import os
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from supervisor.options import ServerOptions

from toolkit.botfile import App, Limits, Log, Restart
from toolkit.fleet.model import Bot, Fleet, Resources, Type
from toolkit.paths import FleetPaths
from toolkit.render import Machine
from toolkit.render.fleet import render_fleet
from toolkit.secrets import TokenReference

READER = Path(__file__).with_name("systemd_reader.py")
PYTHON = "/opt/toolkit/bin/python"

HOSTILE = {
    "COMMENT": "a ;b #c\t;d",
    "PERCENT": "100% %s %(here)s %%(here)s %(ENV_HOME)s",
    "SINGLE": "it's",
    "DOUBLE": 'say "hi" now',
    "LINES": "one\n  two\n\n; three\n[program:x]\nautostart=true\n",
    "BLANKS": "  x  ",
    "WORDS": "é ☕ \U0001f600",
    "COMMAS": "a=b,c=d",
    "BACKSLASH": "C:\\new\\",
    "DOLLAR": "$HOME `id`",
    "EMPTY": "",
}


@pytest.fixture
def fleet() -> Fleet:
    """A fleet with all that a unit and a bot file can have."""
    search = ("/srv/bots", "/srv/bots/lib")
    echo = Type(
        name="echo",
        app=App(kind="telegram", target="bots.echo:build", search=search),
        directory="/srv/bots",
        config={"answer": {"prefix": "you said"}},
    )
    odd = Type(
        name="odd",
        app=App(kind="exec", argv=("/srv/bots/bin/odd", "--say", "100% ;"), ready="app", token_env="TOKEN"),
        directory="/srv/100% odd; #1/it's",
        python="/opt/o d d/bin/python",
        endpoint="http://127.0.0.1:8081",
        environment=HOSTILE,
        limits=Limits(open_files=4096, processes=100, core_bytes=1, nice=5),
        restart=Restart(policy="never", pause_s=0.5, limit=0),
        log=Log(format="text", level="DEBUG", max_bytes=1000, keep=1),
        stop_s=90.5,
    )
    alice = Bot("alice", "echo", TokenReference("file", ("/srv/bots/secrets/alice.token",)))
    bob = Bot(
        "bob", "echo", TokenReference("env", ("BOB",)), config={"answer": {"prefix": "aye"}, "n": [1, None]}
    )
    bots = (alice, bob, Bot("odd", "odd", TokenReference("command", ("pass", "odd")), "https://example.org"))
    return Fleet(
        name="demo",
        file=Path("/srv/bots/fleet.yaml"),
        backend="supervisord",
        root=None,
        endpoint="https://api.telegram.org",
        config={"greeting": "Hello", "answer": {"prefix": "", "suffix": "é"}},
        types={"echo": echo, "odd": odd},
        bots={bot.name: bot for bot in bots},
        sources=(),
        positions={},
    )


@pytest.fixture
def systemd_fleet(fleet: Fleet) -> Fleet:
    """The fleet with all that a unit of systemd can have."""
    odd = replace(
        fleet.types["odd"],
        needs=frozenset({"home", "devices", "jit", "subprocess"}),
        user="odd",
        resources=Resources(10**8, 2 * 10**8, 50, 150, 64, 20, ("127.0.0.0/8", "::1/128")),
    )
    bob = replace(fleet.bots["bob"], token=TokenReference("credential", ("bob.token",)))
    return replace(fleet, types=fleet.types | {"odd": odd}, bots=fleet.bots | {"bob": bob})


@pytest.fixture
def with_environment(fleet) -> Callable[[dict[str, str]], Fleet]:
    """The fleet with other variables for the bot called odd."""

    def change(environment: dict[str, str]) -> Fleet:
        types = {**fleet.types, "odd": replace(fleet.types["odd"], environment=environment)}
        return replace(fleet, types=types)

    return change


@pytest.fixture
def read_back() -> Callable[..., tuple[Any, dict[str, Any]]]:
    """Write a fleet's files and have supervisor read them: its own section, and its programs by name."""

    def read(fleet: Fleet, home: Path, stopped: Collection[str] = ()) -> tuple[Any, dict[str, Any]]:
        paths = FleetPaths(fleet.name, home)
        for folder in (paths.logs, paths.supervisor_socket.parent, paths.units):
            folder.mkdir(parents=True, exist_ok=True)
        for file in render_fleet(fleet, paths, Machine(PYTHON), stopped):
            if file.path.suffix == ".conf":
                file.path.write_text(file.content, encoding="utf-8")
        options = ServerOptions()
        try:
            options.configfile = str(paths.supervisord_conf)
            options.process_config(do_usage=False)
        finally:
            options.poller.close()
        section = options.configroot.supervisord
        programs = [program for group in section.process_group_configs for program in group.process_configs]
        return section, {program.name: program for program in programs}

    return read


@pytest.fixture(scope="session")
def reader() -> ModuleType:
    """systemd's own parser, where its program is installed; it need not run as this machine's init."""
    spec = importlib.util.spec_from_file_location("systemd_reader", READER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not module.SYSTEMD.exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no {module.SYSTEMD}: install systemd")
    return module
