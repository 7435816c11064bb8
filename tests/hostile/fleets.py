"""Fleets with a hostile value in every field that can have one, and what must reach their processes.

``UNDRAWN`` tells why a field is not drawn here; ``tests/unit/test_hostile_fields.py`` holds the two complete.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import yaml
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from tests.hostile.texts import ENDPOINT, FILE_NAME, JSON, MOSTLY_FIT, VARIABLE_NAME

APP = Path(__file__).with_name("app.py")
# Prints a token that holds a digest of its arguments: they arrived if the token did.
TELLER = """\
import hashlib, json, os, sys
words = [os.fsencode(word).decode() for word in sys.argv[2:]]
print(sys.argv[1] + ":" + hashlib.sha256(json.dumps(words).encode()).hexdigest())
"""
BOTS = 12
# A fleet that fails is told bot by bot: shrinking it would take hours.
FEW = settings(
    max_examples=3,
    deadline=None,
    phases=[Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class _Quoting(yaml.SafeDumper):
    """Quotes all text: PyYAML itself leaves `1e3` plain, which is a number to the toolkit."""


_Quoting.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
)
# The fields that are drawn, as the schema has them; [] is an item, * any key.
DRAWN = {
    "root",
    "endpoint",
    "config",
    "types.*.app.exec.[]",
    "types.*.search.[]",
    "types.*.directory",
    "types.*.python",
    "types.*.endpoint",
    "types.*.config",
    "types.*.environment.*",
    "bots.*.token.file",
    "bots.*.token.command.[]",
    "bots.*.endpoint",
    "bots.*.config",
}
# Every other field of text, whose pattern or choice refuses all of what is hostile; but:
UNDRAWN = {
    "bots.*.type": "it must be the name of a type, which its pattern keeps harmless",
    "types.*.limits.ip_allow.[]": "it must be an address or a network, or validation refuses it",
    "bots.*.token.credential": "a leading dash is all that its pattern leaves: test_credentials.py has it",
}


@dataclass(frozen=True)
class Values:
    """What one bot and its type say. Names are of files in folders of the bot's own."""

    number: int
    is_exec: bool = False
    arguments: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    configs: tuple[Any, Any] = (None, None)
    endpoints: tuple[str | None, str | None] = (None, None)
    directory: str = "directory"
    code: str = "code"
    python: str | None = None
    secret: str = "secret"
    token_arguments: list[str] | None = None

    @property
    def name(self) -> str:
        return f"b{self.number}"

    def path(self, *parts: str) -> str:
        """A path as the fleet file has it, relative to its folder."""
        return "/".join((self.name, *parts))

    @property
    def token(self) -> str:
        """The token that the bot must get."""
        words = json.dumps(self.token_arguments or self.secret)
        return f"{1000 + self.number}:{hashlib.sha256(words.encode()).hexdigest()}"

    @property
    def program(self) -> str:
        """Where an exec bot's program lies."""
        return self.path("code", self.code)


@dataclass(frozen=True)
class Drawn:
    """A fleet.

    Parameters:
        ascii_only: whether the file writes all else as YAML's escapes.
    """

    bots: tuple[Values, ...]
    config: Any
    endpoint: str | None
    root: str | None
    ascii_only: bool

    def without(self, paths: Iterable[str]) -> "Drawn":
        """The fleet without the bots, or the values of its own, that problems name."""
        names = {part for path in paths for part in path.split(".")[:2]}
        left = tuple(bot for bot in self.bots if bot.name not in names)
        root = None if names & {"root", "fleet"} else self.root
        return replace(self, bots=left, root=root)


@st.composite
def _values(draw: st.DrawFn, number: int) -> Values:
    words = st.lists(MOSTLY_FIT, min_size=1, max_size=3)
    return Values(
        number,
        is_exec=draw(st.booleans()),
        arguments=draw(words),
        environment=draw(st.dictionaries(VARIABLE_NAME, MOSTLY_FIT, min_size=1, max_size=2)),
        configs=draw(st.tuples(JSON, JSON)),
        endpoints=draw(st.tuples(st.none() | ENDPOINT, st.none() | ENDPOINT)),
        directory=draw(FILE_NAME),
        code=draw(FILE_NAME),
        python=draw(st.none() | FILE_NAME),
        secret=draw(FILE_NAME),
        token_arguments=draw(st.none() | words),
    )


# Two bots of each kind with nothing hostile: what they find is what every bot must find.
PLAIN = (Values(0), Values(1, is_exec=True))


def fleets(*, with_root: bool) -> st.SearchStrategy[Drawn]:
    """Fleets.

    Parameters:
        with_root: whether the place allows one; it is short, as sockets lie below it.
    """
    own = st.tuples(*(_values(number) for number in range(len(PLAIN), BOTS)))
    roots = FILE_NAME.map(lambda name: name.encode()[:12].decode(errors="ignore").strip("/") or "r")
    roots = roots.filter(lambda name: name not in (".", ".."))
    return st.builds(
        Drawn,
        own.map(lambda bots: PLAIN + bots),
        JSON,
        st.none() | ENDPOINT,
        roots if with_root else st.none(),
        st.booleans(),
    )


def _type(bot: Values, folder: Path, user: str) -> dict[str, Any]:
    target = {"async": "hostile_app:main", "ready": "app"}
    program = {"exec": [bot.program, *bot.arguments], "ready": "app", "token_env": "BOT_TOKEN"}
    told = {
        "app": program if bot.is_exec else target,
        "search": [bot.path("code", bot.code)],
        "directory": bot.path("directory", bot.directory),
        "environment": bot.environment,
        "config": {"type": bot.configs[0]},
    }
    if user:
        told["user"] = user
    if bot.is_exec:
        del told["search"]
    if bot.endpoints[0]:
        told["endpoint"] = bot.endpoints[0]
    if bot.python is not None:
        told["python"] = str(folder / bot.path("python", bot.python, "bin", "python"))
    return told


def _bot(bot: Values) -> dict[str, Any]:
    file = {"file": bot.path("secret", bot.secret)}
    command = {
        "command": [bot.path("secret", bot.secret), str(1000 + bot.number), *(bot.token_arguments or [])]
    }
    told = {
        "type": bot.name,
        "token": command if bot.token_arguments else file,
        "config": {"bot": bot.configs[1]},
    }
    return told | ({"endpoint": bot.endpoints[1]} if bot.endpoints[1] else {})


def fleet_text(drawn: Drawn, head: dict[str, Any], folder: Path, user: str = "") -> str:
    """The fleet file.

    Parameters:
        head: name, backend, mode.
        folder: where it will lie.
        user: who runs the bots, where the types have to name one.
    """
    told: dict[str, Any] = {"root": drawn.root} if drawn.root else {}
    told |= {"endpoint": drawn.endpoint} if drawn.endpoint else {}
    told["config"] = {"fleet": drawn.config}
    told["types"] = {bot.name: _type(bot, folder, user) for bot in drawn.bots}
    told["bots"] = {bot.name: _bot(bot) for bot in drawn.bots}
    rest = yaml.dump(told, Dumper=_Quoting, sort_keys=False, allow_unicode=not drawn.ascii_only)
    return yaml.safe_dump({"version": 1, **head}, sort_keys=False) + rest


def lay_out(drawn: Drawn, folder: Path, environment: Path, python: str) -> None:
    """Write all that a fleet file names.

    Parameters:
        environment: the virtual environment, there where the bots run, in which bot-runner is installed.
        python: an interpreter for programs.
    """
    folder.mkdir(exist_ok=True)
    for bot in drawn.bots:
        own = folder / bot.name
        for part in ("directory", "code", "secret", "python"):
            (own / part).mkdir(parents=True)
        (own / "directory" / bot.directory).mkdir()
        code = own / "code" / bot.code
        if bot.is_exec:
            _write(code, f"#!{python} -IS\n{APP.read_text()}", 0o755)
        else:
            code.mkdir()
            _write(code / "hostile_app.py", APP.read_text(), 0o644)
        secret = own / "secret" / bot.secret
        if bot.token_arguments:
            _write(secret, f"#!{python} -IS\n{TELLER}", 0o755)
        else:
            _write(secret, bot.token, 0o600)
        if bot.python is not None:
            (own / "python" / bot.python).symlink_to(environment)


def _write(path: Path, text: str, mode: int) -> None:
    path.write_text(text)
    path.chmod(mode)


def accepted(
    drawn: Drawn, write: Callable[[Drawn], None], toolkit: Callable[..., CompletedProcess[str]]
) -> Drawn:
    """The part of a fleet that validation accepts; the rest it must refuse as it should.

    Parameters:
        write: puts the fleet file in its place.
        toolkit: runs a command and gives how it went.
    """
    while True:
        write(drawn)
        done = toolkit("validate", "--json")
        assert "Traceback" not in done.stderr, done.stderr
        if done.returncode == 0:
            return drawn
        assert done.returncode == 2, done.stderr
        problems = json.loads(done.stdout)["problems"]
        for problem in problems:
            assert problem["line"] > 0, problem
            assert f"{problem['path']}{problem['message']}{problem['hint']}".isprintable(), problem
        left = drawn.without(problem["path"] for problem in problems)
        assert left != drawn, problems
        assert left.bots[: len(PLAIN)] == PLAIN, problems
        drawn = left


def verify(toolkit: Callable[..., CompletedProcess[str]]) -> None:
    """See that `toolkit verify` finds a fleet in force, whatever its paths are called."""
    done = toolkit("verify", "--json")
    assert done.stdout, done.stderr
    checks = json.loads(done.stdout)["checks"]
    failed = [
        (check["bot"], check["check"], check["found"]) for check in checks if check["outcome"] == "failed"
    ]
    assert not failed, failed


def wanted(drawn: Drawn, bot: Values, folder: Path) -> dict[str, Any]:
    """What a bot must tell, but for the variables that are not of the fleet file."""
    told = {
        "cwd": os.path.join(folder, bot.path("directory", bot.directory)),
        "environment": bot.environment,
        "token": hashlib.sha256(bot.token.encode()).hexdigest(),
        "config": {"fleet": drawn.config, "type": bot.configs[0], "bot": bot.configs[1]},
    }
    if bot.is_exec:
        return told | {"argv": [str(folder / bot.program), *bot.arguments]}
    endpoint = bot.endpoints[1] or bot.endpoints[0] or drawn.endpoint or "https://api.telegram.org"
    code = str(folder / bot.path("code", bot.code, "hostile_app.py"))
    return told | {"endpoint": endpoint, "code": code}


def check(drawn: Drawn, folder: Path, told: dict[str, dict[str, Any]]) -> None:
    """See that every bot told what its fleet file says.

    Parameters:
        folder: where the fleet file lies.
        told: what the bots told, by name.
    """
    assert set(told) == {bot.name for bot in drawn.bots}
    common = {bot.is_exec: set(told[bot.name]["environment"]) for bot in PLAIN}
    for bot in drawn.bots:
        found = told[bot.name]
        variables = found["environment"].items()
        found["environment"] = {name: value for name, value in variables if name not in common[bot.is_exec]}
        # As JSON, in which true is not 1, nor 1 the same as 1.0.
        for key, value in wanted(drawn, bot, folder).items():
            same = json.dumps(found[key], sort_keys=True) == json.dumps(value, sort_keys=True)
            assert same, f"{key} of {bot.name}: {value!r} became {found[key]!r}"
