"""Faults of a fleet's files are all told at once, each with its place, and no secret among them."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.errors import InvalidFleetError, Problem
from toolkit.fleet.loader import load
from toolkit.fleet.sources import MAX_BYTES

TOKEN = "123456:" + "AbC-_" * 7
HEAD = "version: 1\nfleet: demo\n"
ECHO = 'types: {echo: {app: {telegram: "m:f"}}, tasks: {app: {async: "m:f"}}}\n'
TASKS = "types:\n  tasks:\n    app: {async: 'm:f'}\n"


def faults(path: Path, environ: dict[str, str]) -> list[Problem]:
    """The problems told of a fleet, none of which repeats the token."""
    try:
        load(path, environ)
        return []
    except InvalidFleetError as error:
        found, text = error.problems, str(error)
    assert found
    assert "AbC" not in text
    return found


@pytest.fixture
def told(tmp_path):
    """Write files and load them: the problems told."""

    def told(text: str, environ: dict[str, str] | None = None, **more: str) -> list[Problem]:
        (tmp_path / "bots.d").mkdir(exist_ok=True)
        for name, content in more.items():
            (tmp_path / "bots.d" / f"{name}.yaml").write_text(content)
        (tmp_path / "fleet.yaml").write_text(text)
        return faults(tmp_path / "fleet.yaml", environ or {})

    return told


def lines(problems: list[Problem]) -> list[tuple[int, str]]:
    return [(problem.line, problem.path) for problem in problems]


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        ("fleet: demo", "", "`version` is missing"),
        ("version: 1", "", "`fleet` is missing"),
        ("version: 2\nfleet: demo", "version", "expected 1"),
        ("version: 1\nfleet: Demo", "fleet", "up to 24 of a-z and 0-9"),
        ("version: 1\nfleet: 123", "fleet", "found a number (quote it)"),
        ('version: 1\nfleet: "demo\\n"', "fleet", "up to 24 of a-z and 0-9"),
        ("[]", "", "expected a mapping of the fleet, found a list"),
        ("", "", "found nothing"),
        (HEAD + "bakend: auto", "bakend", "did you mean `backend`?"),
        (HEAD + "backend: supervisor", "backend", "did you mean `supervisord`?"),
        (HEAD + "placement: {}", "placement", "reserved"),
        (HEAD + "environments:", "environments", "reserved"),
        (HEAD + "config:", "config", "found nothing"),
        (HEAD + "config: [1]", "config", "found a list"),
        (HEAD + "root: ''", "root", "expected a path"),
        (HEAD + "endpoint: api.telegram.org", "endpoint", "expected a Bot API server"),
        (HEAD + "endpoint: https://user:pw@host", "endpoint", "expected a Bot API server"),
        (HEAD + "endpoint: https://host/path", "endpoint", "no path"),
        (HEAD + "endpoint: http://a:99999", "endpoint", "port (1 to 65535)"),
        (HEAD + "endpoint: http://a:65536", "endpoint", "port (1 to 65535)"),
        (HEAD + "endpoint: http://a:0", "endpoint", "port (1 to 65535)"),
        (HEAD + "types: {Echo: {app: {async: 'm:f'}}}", "types.Echo", "expected a type name"),
        (HEAD + "types: {a: {}}", "types.a", "`app` is missing: expected exactly one of"),
        (HEAD + "types: {a: {app: {}}}", "types.a.app", "exactly one of telegram, async, exec"),
        (HEAD + "types: {a: {app: {async: m:f, exec: [x]}}}", "types.a.app", "exactly one of"),
        (HEAD + "types: {a: {app: {async: m}}}", "types.a.app.async", "(module:name)"),
        (HEAD + "types: {a: {app: {async: 'm:f()'}}}", "types.a.app.async", "(module:name)"),
        (HEAD + "types: {a: {app: {async: ../m:f}}}", "types.a.app.async", "(module:name)"),
        (HEAD + "types: {a: {app: {exec: []}}}", "types.a.app.exec", "a program and its arguments"),
        (HEAD + "types: {a: {app: {exec: ls -l}}}", "types.a.app.exec", "as a list of texts, found text"),
        (HEAD + "types: {a: {app: {exec: ['']}}}", "types.a.app.exec.0", "an empty text"),
        (HEAD + "types: {a: {app: {exec: [x, 5]}}}", "types.a.app.exec.1", "quote it"),
        (HEAD + 'types: {a: {app: {exec: ["x\\0"]}}}', "types.a.app.exec.0", "a text"),
        (HEAD + "types: {a: {app: {exec: [bin/none]}}}", "types.a.app.exec.0", "no such program"),
        (HEAD + "types: {a: {app: {telegram: 'm:f', ready: app}}}", "types.a.app.ready", "when it polls"),
        (HEAD + "types: {a: {app: {async: 'm:f', token_env: T}}}", "types.a.app.token_env", "only an exec"),
        (HEAD + TASKS + "    directory: nowhere", "types.tasks.directory", "no such folder"),
        (HEAD + TASKS + "    directory: fleet.yaml", "types.tasks.directory", "a file, not a folder"),
        (HEAD + TASKS + "    directory: fleet.yaml/x", "types.tasks.directory", "no such folder"),
        (HEAD + TASKS + "    directory: /dev/null", "types.tasks.directory", "a file, not a folder"),
        (HEAD + TASKS + '    directory: "a\\0"', "types.tasks.directory", "expected a path"),
        (HEAD + TASKS + "    search: .", "types.tasks.search", "a list of folders, found text"),
        (HEAD + TASKS + "    python: python3", "types.tasks.python", "absolute path"),
        (HEAD + TASKS + "    python: /nowhere/python", "types.tasks.python", "no such interpreter"),
        (HEAD + TASKS + "    python: /dev/null", "types.tasks.python", "bot-runner is not installed"),
        (HEAD + TASKS + "    environment: {A: 1}", "types.tasks.environment.A", "found a number (quote it)"),
        (HEAD + TASKS + "    environment: {A: true}", "types.tasks.environment.A", "found true or false"),
        (HEAD + TASKS + "    environment: {A-B: x}", "types.tasks.environment.A-B", "name of an env"),
        (HEAD + TASKS + '    environment: {"A\\n": x}', "types.tasks.environment.A\\n", "name of an env"),
        (
            HEAD + TASKS + "    environment: {NOTIFY_SOCKET: x}",
            "types.tasks.environment.NOTIFY_SOCKET",
            "reserv",
        ),
        (HEAD + TASKS + "    limits: {open_files: 1}", "types.tasks.limits.open_files", "from 64 to"),
        (HEAD + TASKS + "    limits: {nice: 20}", "types.tasks.limits.nice", "from -20 to 19"),
        (HEAD + TASKS + "    limits: {open_file: 99}", "types.tasks.limits.open_file", "`open_files`?"),
        (HEAD + TASKS + "    stop_timeout: 0.5", "types.tasks.stop_timeout", "from 1 s to 600 s"),
        (HEAD + TASKS + "    stop_timeout: 11m", "types.tasks.stop_timeout", "from 1 s to 600 s"),
        (HEAD + TASKS + "    stop_timeout: 10 s", "types.tasks.stop_timeout", "text such as 500ms"),
        (HEAD + TASKS + "    stop_timeout: -1", "types.tasks.stop_timeout", "expected a duration"),
        (HEAD + TASKS + "    stop_timeout: [1]", "types.tasks.stop_timeout", "found a list"),
        (
            HEAD + TASKS + "    restart: {pause: 2s, pause_max: 1s}",
            "types.tasks.restart.pause_max",
            "shorter",
        ),
        (HEAD + TASKS + "    health: {loop: 500ms}", "types.tasks.health.loop", "from 1 s to 86400 s"),
        (HEAD + TASKS + "    health: {lop: 5s}", "types.tasks.health.lop", "loop"),
        (HEAD + TASKS + "    restart: {policy: always}", "types.tasks.restart.policy", "unexpected, never"),
        (HEAD + TASKS + "    log: {max_bytes: 10}", "types.tasks.log.max_bytes", "from 10KB to 10GB"),
        (HEAD + TASKS + "    log: {max_bytes: 10Mb}", "types.tasks.log.max_bytes", "such as 64KB"),
        (HEAD + TASKS + "    log: {level: debug}", "types.tasks.log.level", "one of DEBUG, INFO"),
        (HEAD + "bots: {a: {type: echo}}", "bots.a.type", "expected one of: none is defined"),
        (HEAD + ECHO + "bots: {a: {type: ehco}}", "bots.a.type", "did you mean `echo`?"),
        (HEAD + ECHO + "bots: {a: {type: echo}}", "bots.a", "`token` is missing, which type `echo` needs"),
        (HEAD + ECHO + "bots: {a: }", "bots.a", "a mapping with type and token, found nothing"),
        (HEAD + ECHO + "bots: {a: {token: {env: A}}}", "bots.a", "`type` is missing"),
        (HEAD + ECHO + "bots: {A: {type: tasks}}", "bots.A", "up to 32 of a-z, 0-9 and -"),
        (HEAD + ECHO + "bots: {a-: {type: tasks}}", "bots.a-", "no - last"),
        (HEAD + ECHO + 'bots: {"a\\n": {type: tasks}}', "bots.a\\n", "a bot name"),
        (HEAD + ECHO + f"bots: {{{'a' * 33}: {{type: tasks}}}}", f"bots.{'a' * 33}", "up to 32"),
        (HEAD + ECHO + "bots: {all: {type: tasks}}", "bots.all", "reserved"),
        (HEAD + ECHO + "bots: {supervisord: {type: tasks}}", "bots.supervisord", "reserved"),
        (HEAD + ECHO + "bots: {a: {type: tasks, tokn: 1}}", "bots.a.tokn", "did you mean `token`?"),
        (HEAD + ECHO + "bots: {a: {type: echo, token: {}}}", "bots.a.token", "exactly one of file, env"),
        (HEAD + ECHO + "bots: {a: {type: echo, token: x}}", "bots.a.token", "put the token in a file"),
        (HEAD + ECHO + "bots: {a: {type: echo, token: {env: A, file: x}}}", "bots.a.token", "exactly one"),
        (HEAD + ECHO + "bots: {a: {type: echo, token: {env: a b}}}", "bots.a.token.env", "a variable|name"),
        (
            HEAD + ECHO + "bots: {a: {type: echo, token: {credential: ../x}}}",
            "bots.a.token.credential",
            "name",
        ),
        (HEAD + ECHO + "bots: {a: {type: echo, token: {command: x}}}", "bots.a.token.command", "as a list"),
        (
            HEAD + ECHO + "bots: {a: {type: echo, token: {command: [1]}}}",
            "bots.a.token.command.0",
            "quote it",
        ),
        (HEAD + ECHO + "bots: {a: {type: tasks}}\nbots: {}", "bots", "stands twice, first in line 4"),
        (HEAD + "root: " + "x" * 100, "root", "sockets' paths are too long"),
        (HEAD + "root: /dev/null/x", "root", "/dev/null is no folder"),
    ],
)
def test_one_fault_is_one_problem(told, text, path, said):
    (problem,) = told(text)
    assert problem.path == path
    assert any(words in str(problem) for words in said.split("|")), str(problem)
    assert problem.file.endswith("fleet.yaml")
    assert problem.line > 0


def test_all_faults_of_all_files_are_told_in_order(told):
    problems = told(
        HEAD + "bakend: x\n" + ECHO + "bots:\n  a: {type: nope, foo: 1}\n  b: {tpye: echo}\n",
        m1="bots:\n  a: {type: tasks}\n  c: 5\n",
        m2="bots: [\n",
        m3="version: 1\n",
    )
    assert [(problem.file.rpartition("/")[2], problem.line, problem.path) for problem in problems] == [
        ("fleet.yaml", 3, "bakend"),
        ("fleet.yaml", 6, "bots.a.foo"),
        ("fleet.yaml", 6, "bots.a.type"),
        ("fleet.yaml", 7, "bots.b"),
        ("fleet.yaml", 7, "bots.b.tpye"),
        ("m1.yaml", 2, "bots.a"),
        ("m1.yaml", 3, "bots.c"),
        ("m2.yaml", 2, ""),
        ("m3.yaml", 1, ""),
        ("m3.yaml", 1, "version"),
    ]
    assert "the first is in " in problems[5].message
    assert problems[5].message.endswith("fleet.yaml:6")
    assert problems[5].file == "bots.d/m1.yaml"


def test_a_fleet_file_that_cannot_be_read_hides_no_faults_and_makes_up_none(told):
    problems = told("types: [", m1="bots: {a: {type: echo}, b: {}}")
    assert [(problem.file.rpartition("/")[2], problem.path) for problem in problems] == [
        ("fleet.yaml", ""),
        ("m1.yaml", "bots.b"),
    ]


def test_files_that_are_none(told, tmp_path):
    (tmp_path / "bots.d").mkdir()
    (tmp_path / "bots.d/a.yaml").write_bytes(b"bots:\n  caf\xe9: {}\n")
    (tmp_path / "bots.d/b.yaml").write_bytes(b"#" * (MAX_BYTES + 1))
    (tmp_path / "bots.d/c.yml").write_text("bots: {}")
    (tmp_path / "bots.d/d.yaml").write_bytes(b"\xff\xfeb\0o\0")
    problems = told(HEAD)
    assert [(problem.file, problem.line, problem.message) for problem in problems] == [
        ("bots.d/a.yaml", 2, "not UTF-8 text"),
        ("bots.d/b.yaml", 0, "larger than 16 MiB"),
        ("bots.d/c.yml", 0, "only *.yaml is read here"),
        ("bots.d/d.yaml", 1, "not UTF-8 text"),
    ]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (f"bots: {{a: {{type: echo, token: '{TOKEN}'}}}}", "bots.a.token"),
        (f"bots: {{a: {{type: echo, token: {{file: '{TOKEN}'}}}}}}", "bots.a.token.file"),
        (f"bots: {{a: {{type: echo, token: {{env: '{TOKEN}'}}}}}}", "bots.a.token.env"),
        (f"bots: {{a: {{type: echo, token: {{command: [echo, '{TOKEN}']}}}}}}", "bots.a.token.command.1"),
        (f"config: {{url: 'https://api.telegram.org/bot{TOKEN}/getMe'}}", "config.url"),
        (f"config: {{a: [{{b: '{TOKEN}'}}]}}", "config.a.0.b"),
        (f"config: {{'{TOKEN}': 1}}", "config.123456:***"),
        (f"'{TOKEN}': 1", "123456:***"),
        (f"endpoint: https://api.telegram.org/bot{TOKEN}", "endpoint"),
        (f'config: {{a: "1\\x323456:{TOKEN[7:]}"}}', "config.a"),
        (f"root: '{TOKEN}'", "root"),
        (f"# the old one: {TOKEN}", ""),
    ],
)
def test_a_literal_token_is_refused_and_not_repeated(told, text, path):
    problems = told(HEAD + ECHO.replace("\n", "") + "\n" + text)
    assert (4, path) in lines(problems)
    assert [problem for problem in problems if "literal token" in problem.message]


@pytest.mark.parametrize("place", ["type", "token", "endpoint", "unknown"])
@pytest.mark.parametrize("secret", [TOKEN, "12345:" + "AbC-_" * 4])
def test_no_message_repeats_what_may_be_a_secret(told, place, secret):
    problems = told(HEAD + ECHO + f"bots: {{a: {{type: tasks, {place}: '{secret}'}}}}\n'{secret}': 1\n")
    assert problems


def test_a_thousand_faulty_bots_are_told_one_by_one(told):
    rows = "".join(f"  bot{number}: {{type: x{number}}}\n" for number in range(1000))
    problems = told(HEAD + ECHO + "bots:\n" + rows)
    assert lines(problems) == [(number + 5, f"bots.bot{number}.type") for number in range(1000)]


def test_merged_keys_are_told_where_they_are_merged(told):
    text = HEAD + ECHO + "config: &b {type: echo, foo: 1}\nbots:\n  a:\n    <<: *b\n    type: tasks\n"
    assert lines(told(text)) == [(7, "bots.a.foo")]


WORDS = st.sampled_from(
    [
        "version",
        "fleet",
        "bots",
        "types",
        "echo",
        "app",
        "telegram",
        "exec",
        "token",
        "file",
        "m:f",
        "x",
        "1",
        "-5",
        "null",
        "<<",
        "10s",
        "stop_timeout",
        "restart",
        "pause",
        "environment",
        "root",
        "python",
        "directory",
        "/",
        ".",
        "\x00",
        "endpoint",
        "http://h",
        "search",
        "log",
        "max_bytes",
        "command",
        "config",
        "async",
        "a",
        "type",
        "",
        TOKEN,
    ]
)
VALUES = st.recursive(
    WORDS | st.integers(-2, 1000) | st.none() | st.booleans() | st.floats(0, 10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(
    st.fixed_dictionaries(
        {"version": st.just(1), "fleet": st.just("demo")},
        optional={
            "types": st.dictionaries(
                WORDS,
                st.fixed_dictionaries({}, optional=dict.fromkeys(("app", "restart", "python"), VALUES))
                | VALUES,
                max_size=2,
            ),
            "bots": st.dictionaries(WORDS, VALUES, max_size=3),
            "config": VALUES,
            "root": VALUES,
            "endpoint": VALUES,
        },
    )
)
def test_any_values_give_a_fleet_or_problems(tmp_path_factory, files):
    folder = tmp_path_factory.getbasetemp() / "any"
    folder.mkdir(exist_ok=True)
    (folder / "fleet.yaml").write_text(json.dumps(files))
    faults(folder / "fleet.yaml", {"a": TOKEN})


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=80) | st.text("bots: {}[]\n-&*a!|x", max_size=80).map(str.encode))
def test_any_bytes_give_a_fleet_or_problems(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "bytes"
    (folder / "bots.d").mkdir(exist_ok=True, parents=True)
    (folder / "fleet.yaml").write_bytes(data)
    (folder / "bots.d/a.yaml").write_bytes(data)
    with pytest.raises(InvalidFleetError):
        load(folder / "fleet.yaml", {})
