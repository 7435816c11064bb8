"""Sound files become a fleet."""

import json
import os
from pathlib import Path

import jsonschema
import pytest
import yaml

from toolkit.botfile import App, Health, Limits, Log, Restart
from toolkit.errors import InvalidFleetError, UsageError
from toolkit.fleet.loader import load
from toolkit.fleet.model import Position
from toolkit.fleet.quantities import byte_count, seconds
from toolkit.fleet.schema import BOTS_SCHEMA, SCHEMA
from toolkit.scaffold import write_fleet
from toolkit.secrets import TokenReference

FULL = """\
version: 1
fleet: demo
backend: supervisord
root: state
endpoint: http://127.0.0.1:8081/
config: {greeting: Hello, deep: {a: [1, 2.5, null, true]}}
types:
  echo:
    app: {telegram: "bots.echo:build"}
    search: [., lib, /opt/lib]
    directory: work
    endpoint: http://[::1]:9000
    config: {kind: echo}
    environment: {TZ: Europe/Berlin, EMPTY: ""}
    limits: {open_files: 2048, processes: 50, core_bytes: 1, nice: 5}
    health: {loop: 3s, stuck: 1h}
    restart: {policy: never, pause: 500ms, pause_max: 2m, limit: 0, healthy: 1h}
    log: {format: text, level: DEBUG, max_bytes: 1MiB, keep: 0}
    stop_timeout: 90
  worker:
    app: {async: "worker:main", ready: app}
  program:
    app: {exec: [bin/program, --flag, ""], token_env: TOKEN}
bots:
  alice: {type: echo, token: {file: secrets/alice.token}, config: {greeting: Moin}}
  dora: {type: worker}
"""
MORE = """\
bots:
  bob: {type: echo, token: {env: BOB_TOKEN}, endpoint: "https://api.telegram.org"}
  carol:
    type: program
    token: {command: [./say-token, carol]}
  eve: {type: echo, token: {credential: eve.token}}
"""


@pytest.fixture
def folder(tmp_path):
    for name in ("work", "secrets", "bin", "bots.d"):
        (tmp_path / name).mkdir()
    token = tmp_path / "secrets/alice.token"
    token.write_text("111111:" + "a" * 35 + "\n")
    token.chmod(0o600)
    (tmp_path / "bin/program").touch()
    (tmp_path / "fleet.yaml").write_text(FULL)
    (tmp_path / "bots.d/more.yaml").write_text(MORE)
    return tmp_path


def test_every_key_finds_its_place(folder):
    fleet = load(folder / "fleet.yaml", {})
    assert (fleet.name, fleet.backend, fleet.file) == ("demo", "supervisord", folder / "fleet.yaml")
    assert fleet.root == folder / "state"
    assert fleet.endpoint == "http://127.0.0.1:8081"
    assert fleet.config == {"greeting": "Hello", "deep": {"a": [1, 2.5, None, True]}}
    echo = fleet.types["echo"]
    search = (str(folder), str(folder / "lib"), "/opt/lib")
    assert echo.app == App(kind="telegram", target="bots.echo:build", search=search)
    assert echo.directory == str(folder / "work")
    assert echo.endpoint == "http://[::1]:9000"
    assert echo.environment == {"TZ": "Europe/Berlin", "EMPTY": ""}
    assert echo.limits == Limits(open_files=2048, processes=50, core_bytes=1, nice=5)
    assert echo.health == Health(loop_s=3.0, stuck_s=3600.0)
    assert echo.restart == Restart(policy="never", pause_s=0.5, pause_max_s=120, limit=0, healthy_s=3600)
    assert echo.log == Log(format="text", level="DEBUG", max_bytes=2**20, keep=0)
    assert echo.stop_s == 90
    worker = fleet.types["worker"]
    assert worker.app == App(kind="async", target="worker:main", ready="app", search=(str(folder),))
    assert (worker.directory, worker.python, worker.stop_s) == (str(folder), "", 10)
    assert (worker.limits, worker.restart, worker.log) == (Limits(), Restart(), Log())
    assert worker.health == Health()
    program = (str(folder / "bin/program"), "--flag", "")
    assert fleet.types["program"].app == App(kind="exec", argv=program, token_env="TOKEN")


def test_bots_of_all_files_with_absolute_references(folder):
    fleet = load(folder / "fleet.yaml", {})
    assert list(fleet.bots) == ["alice", "dora", "bob", "carol", "eve"]
    tokens = {bot.name: bot.token for bot in fleet.bots.values()}
    assert tokens == {
        "alice": TokenReference("file", (str(folder / "secrets/alice.token"),)),
        "dora": None,
        "bob": TokenReference("env", ("BOB_TOKEN",)),
        "carol": TokenReference("command", (str(folder / "bots.d/say-token"), "carol")),
        "eve": TokenReference("credential", ("eve.token",)),
    }
    assert fleet.bots["alice"].config == {"greeting": "Moin"}
    assert fleet.bots["bob"].endpoint == "https://api.telegram.org"


def test_positions_and_sources(folder, monkeypatch):
    monkeypatch.chdir(folder)
    fleet = load(Path("fleet.yaml"), {})
    assert fleet.position("bots", "alice", "config", "greeting") == Position("fleet.yaml", 25)
    assert fleet.position("bots", "carol", "token") == Position("bots.d/more.yaml", 5)
    assert fleet.position("types", "echo", "nowhere") == Position("fleet.yaml", 8)
    assert [source.path for source in fleet.sources] == [folder / "fleet.yaml", folder / "bots.d/more.yaml"]
    assert fleet.sources[0].size == len(FULL)
    assert fleet.file.is_absolute()


def test_files_in_bots_d_are_read_in_order_and_others_left_alone(folder):
    (folder / "bots.d/.hidden.yaml").write_text("nonsense")
    (folder / "bots.d/README.md").write_text("nonsense")
    (folder / "bots.d/folder.yaml").mkdir()
    (folder / "bots.d/10.yaml").write_text("bots: {zoe: {type: worker}}")
    (folder / "bots.d/linked.yaml").symlink_to(folder / "elsewhere")
    (folder / "elsewhere").write_text("bots: {yan: {type: worker}}")
    bots = list(load(folder / "fleet.yaml", {}).bots)
    assert bots == ["alice", "dora", "zoe", "yan", "bob", "carol", "eve"]


def test_another_root_wins(folder, short_dir):
    assert load(folder / "fleet.yaml", {}, short_dir).root == short_dir


def test_an_empty_fleet_is_one(tmp_path):
    (tmp_path / "fleet.yaml").write_text("\ufeffversion: 1\r\nfleet: demo\r\n", encoding="utf-8")
    fleet = load(tmp_path / "fleet.yaml", {})
    assert (fleet.backend, fleet.root, fleet.bots) == ("auto", None, {})
    assert fleet.endpoint == "https://api.telegram.org"


def test_no_file_says_what_to_do(tmp_path):
    with pytest.raises(UsageError, match=r"no fleet file .*fleet.yaml") as raised:
        load(tmp_path / "fleet.yaml", {})
    assert "toolkit init" in raised.value.hint


def test_a_path_that_is_no_text_is_refused(tmp_path):
    folder = tmp_path / "\udcff"
    folder.mkdir()
    (folder / "fleet.yaml").write_text("version: 1\nfleet: demo\n")
    with pytest.raises(UsageError, match="not UTF-8"):
        load(folder / "fleet.yaml", {})


@pytest.mark.parametrize("endpoint", [None, "http://127.0.0.1:8081"])
@pytest.mark.parametrize("keep", [True, False])
def test_what_init_writes_is_valid(short_dir, endpoint, keep):
    write_fleet(short_dir, "demo", endpoint, None, keep)
    fleet = load(short_dir / "fleet.yaml", {})
    assert {bot.name: bot.type for bot in fleet.bots.values()} == {
        "alice": "echo",
        "bob": "echo",
        "carol": "counter",
    }
    assert fleet.endpoint == endpoint or endpoint is None
    assert fleet.root == (short_dir / "state" if keep else None)
    for type_ in fleet.types.values():
        module, _, _ = type_.app.target.partition(":")
        assert (short_dir / module.replace(".", "/")).with_suffix(".py").is_file()


@pytest.mark.parametrize("schema", [SCHEMA, BOTS_SCHEMA])
def test_the_schema_is_one_and_is_plain_data(schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    assert json.loads(json.dumps(schema)) == schema
    assert "$id" not in json.dumps(schema)


def test_the_schema_alone_takes_what_the_loader_takes(folder):
    jsonschema.validate(yaml.safe_load((folder / "fleet.yaml").read_text()), SCHEMA)
    jsonschema.validate(yaml.safe_load((folder / "bots.d/more.yaml").read_text()), BOTS_SCHEMA)


def test_every_value_in_the_schema_is_described():
    def check(schema, path):
        assert schema.get("description"), path
        for key, inner in schema.get("properties", {}).items():
            check(inner, (*path, key))

    check(SCHEMA, ())
    for part in ("types", "bots"):
        check(SCHEMA["properties"][part]["additionalProperties"], (part,))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [(2, 2), (0.5, 0.5), ("500ms", 0.5), ("10s", 10), ("1.5m", 90), ("1h", 3600), ("10", None), ("1d", None)],
)
def test_durations(text, wanted):
    if wanted is None:
        with pytest.raises(ValueError, match="not a duration"):
            seconds(text)
    else:
        assert seconds(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [(2, 2), ("64KB", 64_000), ("1.5MB", 1_500_000), ("1KiB", 1024), ("1GiB", 2**30), ("1", None)],
)
def test_sizes(text, wanted):
    if wanted is None:
        with pytest.raises(ValueError, match="not a size"):
            byte_count(text)
    else:
        assert byte_count(text) == wanted


def test_the_fleet_file_is_no_pipe(tmp_path):
    os.mkfifo(tmp_path / "fleet.yaml")
    with pytest.raises(InvalidFleetError, match="not a regular file"):
        load(tmp_path / "fleet.yaml", {})
