"""The command line itself: help, errors, exit codes, JSON, completion."""

import json
import os
import pty
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

TOOLKIT = Path(sys.executable).with_name("toolkit")


def toolkit(*arguments, cwd="/", **options):
    command = [str(TOOLKIT), *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, cwd=cwd, **options
    )


def test_help_names_every_promised_command():
    shown = toolkit("--help").stdout
    for word in (
        "init",
        "validate",
        "render",
        "plan",
        "deploy",
        "up",
        "down",
        "admin",
        "bot",
        "system",
        "sandbox",
    ):
        assert f"  {word}" in shown
    listed = json.loads(toolkit("system", "commands", "--json").stdout)["commands"]
    names = {entry["command"] for entry in listed}
    promised = (
        "admin start-bot,admin stop-bot,admin restart-bot,admin shutdown-system,bot list,bot status,bot logs"
    )
    assert names >= set(promised.split(",")) | {"bot health", "system info", "system commands", "sandbox say"}
    assert all(entry["help"] for entry in listed)


def test_every_command_has_json():
    for entry in json.loads(toolkit("system", "commands", "--json").stdout)["commands"]:
        assert "--json" in toolkit(*entry["command"].split(), "--help").stdout, entry
    document = (Path(__file__).parents[2] / "docs" / "json.md").read_text()
    for entry in json.loads(toolkit("system", "commands", "--json").stdout)["commands"]:
        assert re.search(rf"`({entry['command']}|{entry['command'].split()[-1]})`", document), entry


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("nonsense",), 2, "No such command 'nonsense'"),
        (("bot", "list", "--nonsense"), 2, "No such option"),
        (("bot", "list"), 2, "no fleet file fleet.yaml"),
        (("-f", "/nowhere/fleet.yaml", "plan"), 2, "no fleet file /nowhere/fleet.yaml"),
        (("-f", "/dev/zero", "plan"), 2, "the fleet file /dev/zero is no regular file"),
        (("-f", "/etc/shadow-", "validate"), 2, ""),
        (("-f", "x" * 5000, "validate"), 2, "x…: File name too long"),
        (("--root", "", "bot", "list"), 2, "'' is no folder"),
        (("--root", "/dev/null/x", "bot", "list"), 2, "'/dev/null/x' is no folder"),
        (("admin", "stop-bot"), 2, "which bots?"),
        (("bot", "logs", "--since", "soon"), 2, "neither an age nor a time"),
        (("bot", "logs", "--grep", "("), 2, "--grep ("),
        (("render",), 2, "give one of --out DIR, --stdout, --polkit"),
        (("render", "--out", "/dev/null"), 2, "/dev/null is no folder"),
        (("sandbox", "--host", "0.0.0.0"), 2, ""),
    ],
)
def test_errors_are_told_in_words_with_their_code(arguments, code, words):
    told = toolkit(*arguments)
    assert told.returncode == code, told
    assert told.stdout == ""
    assert told.stderr.startswith("error: ")
    assert words in told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize("group", [(), ("bot",), ("admin",), ("system",)])
def test_where_nothing_is_asked_for_the_help_is_told(group):
    told = toolkit(*group)
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr.startswith(f"{' '.join(['Usage: toolkit', *group])} [OPTIONS] COMMAND")
    assert "hint:" not in told.stderr


def test_what_groups_say_of_their_commands_is_whole():
    for group in ((), ("bot",), ("admin",), ("system",), ("sandbox",)):
        assert "..." not in toolkit(*group, "--help").stdout.partition("Commands:")[2]


@pytest.mark.parametrize(
    ("settings", "painted"),
    [({}, True), ({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
def test_colour_is_for_terminals_that_want_it(settings, painted):
    ours, theirs = pty.openpty()
    environment = {"PATH": os.environ["PATH"], "TERM": "xterm"} | settings
    command = [TOOLKIT, "-f", "/nowhere", "plan"]
    subprocess.run(command, stderr=theirs, env=environment, timeout=60, check=False)
    assert (b"\x1b" in os.read(ours, 1000)) is painted
    os.close(ours)
    os.close(theirs)


def test_things_are_counted_in_words_that_fit(tmp_path):
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text("version: 1\nfleet: one\ntypes: {e: {app: {exec: [/bin/true]}}}\nbots: {a: {type: e}}\n")
    assert toolkit("-f", fleet, "validate").stdout.endswith("fleet one is valid: 1 bot of 1 type\n")
    fleet.write_text("version: 1\nfleet: One\n")
    assert "1 problem\n" in (told := toolkit("-f", fleet, "validate").stderr)
    assert told.endswith("hint: mend it and run `toolkit validate`\n")


def test_all_faults_of_a_file_are_told_at_once_and_as_json(tmp_path):
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text("version: 1\nfleet: Demo\ntypes: {e: {ap: 1}}\nbots: {a: {type: f}}\n")
    told = toolkit("-f", fleet, "validate")
    assert told.returncode == 2
    for words in ("fleet.yaml:2", "fleet.yaml:3", "did you mean `app`?", "bots.a.type"):
        assert words in told.stderr, told.stderr
    problems = json.loads(toolkit("-f", fleet, "validate", "--json").stdout)
    assert problems["valid"] is False
    assert {problem["line"] for problem in problems["problems"]} == {2, 3, 4}


def test_a_root_of_the_fleet_file_that_is_no_folder_is_told_by_those_that_only_glance_too(tmp_path):
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text("version: 1\nfleet: demo\nroot: fleet.yaml\ntypes: {}\nbots: {}\n")
    for command in (("bot", "list"), ("system", "info"), ("plan",)):
        told = toolkit("-f", fleet, *command)
        assert (told.returncode, f"{fleet} is no folder" in told.stderr) == (2, True), told


def test_the_schema_is_printed():
    schema = json.loads(toolkit("validate", "--schema").stdout)
    assert schema["$schema"].endswith("2020-12/schema")


def test_what_init_says_next_begins_and_what_it_says_last_ends(tmp_path):
    def typed(line, *more):
        return toolkit(*line.split("`")[1].split()[1:], *more, cwd=tmp_path)

    told = toolkit("init", "there", cwd=tmp_path).stdout.splitlines()
    sandbox, up, down, stop = (line for line in told if not line.startswith("wrote "))
    assert (up, down) == (
        "next: `toolkit -f there/fleet.yaml up` starts the bots",
        "last: `toolkit -f there/fleet.yaml down` ends them",
    )
    begun = typed(sandbox, "--port", "0").stdout
    assert begun.startswith("the sandbox answers at http://127.0.0.1:")
    assert begun.endswith("; `toolkit sandbox stop --pid-file there/sandbox.pid` ends it\n")
    assert typed(stop).stdout == "the sandbox is stopped\n"


def test_what_init_and_the_sandbox_do_is_told_as_json(tmp_path):
    def told(*arguments):
        return json.loads(toolkit(*arguments, "--json", cwd=tmp_path).stdout)

    made = told("init", "f", "--name", "mine")
    assert (made["version"], made["fleet"], made["files"][-1]) == (1, "mine", "f/fleet.yaml")
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == {
        tmp_path / path for path in made["files"]
    }
    begun = told("sandbox", "--detach", "--port", "0", "--pid-file", "pid")
    try:
        at = ("--url", begun["url"])
        assert (
            told("sandbox", "fault", "123456", "getMe", "401", *at).items()
            >= {"id": 1, "kind": "401"}.items()
        )
        assert told("sandbox", "heal", "123456", *at)["healed"] == 1
        assert int((tmp_path / "pid").read_text()) == begun["pid"]
    finally:
        ended = told("sandbox", "stop", "--pid-file", "pid")
    assert ended == {"version": 1, "was_running": True}
    assert told("sandbox", "stop", "--pid-file", "pid")["was_running"] is False


def test_system_info_tells_the_version_and_how_the_supervisor_is(tmp_path):
    toolkit("init", tmp_path, "--keep-in-folder")
    facts = json.loads(toolkit("-f", tmp_path / "fleet.yaml", "system", "info", "--json").stdout)
    assert (facts["supervisord"], facts["supervisor"]) == (version("supervisor"), "not running")


def test_init_refuses_to_overwrite(tmp_path):
    assert toolkit("init", tmp_path / "f").returncode == 0
    told = toolkit("init", tmp_path / "f")
    assert told.returncode == 4
    assert "is there already" in told.stderr


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (Path.exists, "No such file or directory"),
        (os.mkfifo, "is a named pipe, not a file"),
        (os.mkdir, "is a folder, not a file"),
        (lambda path: path.symlink_to("/dev/zero"), "is a device, not a file"),
        (lambda path: path.write_bytes(b"\xff\n"), "is not UTF-8 text"),
        (lambda path: path.write_text("# none\n"), "holds no token"),
        (lambda path: path.write_text("# mine\na novel\n"), "line 2 of "),
        (lambda path: path.write_text("#\n" * 500_001), "has more than 1000000 bytes"),
    ],
)
def test_init_takes_tokens_from_a_file_of_them_alone(made, words, tmp_path):
    file = tmp_path / "tokens"
    made(file)
    told = toolkit("init", tmp_path / "f", "--token-file", file)
    assert told.returncode == 2, told
    assert told.stderr.count(str(file)) == 1
    assert words in told.stderr
    assert "\nhint: " in told.stderr
    assert not (tmp_path / "f").exists()


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, False), (0o644, True)])
def test_init_warns_of_a_token_file_that_everyone_may_read(mode, warned, tmp_path):
    file = tmp_path / "tokens"
    file.write_text(f"123456:{'x' * 35}\n")
    file.chmod(mode)
    told = toolkit("init", tmp_path / "f", "--token-file", file)
    assert told.returncode == 0, told
    assert (f"everyone on this machine may read the tokens in {file}" in told.stderr) is warned


@pytest.mark.parametrize("below", ["", "x", "x/y"])
def test_init_refuses_what_is_no_folder(below, tmp_path):
    file = tmp_path / "file"
    file.write_text("mine")
    told = toolkit("init", file / below)
    assert told.returncode == 2, told
    assert f"error: {file} is no folder" in told.stderr
    assert file.read_text() == "mine"


def test_init_refuses_an_endpoint_that_the_fleet_file_may_not_have(tmp_path):
    told = toolkit("init", tmp_path / "f", "--endpoint", "127.0.0.1:8081")
    assert told.returncode == 2, told
    assert "scheme, host and port" in told.stderr
    assert not (tmp_path / "f").exists()


def test_init_takes_real_tokens_or_another_server_not_both(tmp_path):
    file = tmp_path / "tokens"
    file.write_text(f"123456:{'x' * 35}\n")
    told = toolkit("init", tmp_path / "f", "--token-file", file, "--endpoint", "http://127.0.0.1:8081")
    assert told.returncode == 2, told
    assert "give one of --endpoint, --token-file" in told.stderr
    assert not (tmp_path / "f").exists()


def test_validate_import_finds_an_app_that_does_not_import(tmp_path):
    toolkit("init", tmp_path)
    assert toolkit("-f", tmp_path / "fleet.yaml", "validate", "--import").returncode == 0
    (tmp_path / "bots" / "echo.py").write_text("import no_such_module\n")
    told = toolkit("-f", tmp_path / "fleet.yaml", "validate", "--import")
    assert told.returncode == 2
    assert "no_such_module" in told.stderr
    assert "types.echo.app" in told.stderr


def test_render_writes_what_it_prints(tmp_path):
    toolkit("init", tmp_path)
    fleet = tmp_path / "fleet.yaml"
    assert toolkit("-f", fleet, "render", "--out", tmp_path / "out").returncode == 0
    printed = toolkit("-f", fleet, "render", "--stdout").stdout
    unit = (tmp_path / "out" / "units" / "demo-alice.conf").read_text()
    assert unit in printed
    assert toolkit("-f", fleet, "render", "--stdout").stdout == printed


def test_a_reader_that_leaves_is_no_error():
    done = subprocess.run(
        f"{TOOLKIT} system commands | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_error(closed):
    shell = f"{TOOLKIT} system commands {closed}"
    assert subprocess.run(shell, shell=True, capture_output=True, timeout=60, check=False).returncode == 0


def test_output_that_cannot_be_written_is_told_as_that():
    shell = f"{TOOLKIT} system commands > /dev/full"
    done = subprocess.run(shell, shell=True, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: standard output cannot be written: No space left on device\n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell, tmp_path):
    toolkit("init", tmp_path)
    line = f"toolkit -f {tmp_path}/fleet.yaml bot status "
    words = {
        "bash": {"COMP_WORDS": line, "COMP_CWORD": "5"},
        "zsh": {"_TYPER_COMPLETE_ARGS": line},
        "fish": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell]
    environment = {"_TOOLKIT_COMPLETE": f"complete_{shell}", "PATH": "/bin:/usr/bin", "HOME": "/tmp"}
    shown = toolkit(env=environment | words).stdout
    assert "alice" in shown
    assert "counter" in shown


def test_to_look_at_bots_that_run_loads_no_msgspec():
    source = "import sys, toolkit.observe, toolkit.backends.{}; sys.exit('msgspec' in sys.modules)"
    for backend in ("supervisord", "systemd"):
        done = subprocess.run([sys.executable, "-c", source.format(backend)], timeout=60, check=False)
        assert done.returncode == 0, backend


def test_reading_commands_load_neither_yaml_nor_jsonschema(tmp_path):
    source = """
import sys
sys.argv = ["toolkit", *sys.argv[1:]]
from toolkit.cli.app import run
run(sys.argv[1:])
heavy = {"yaml", "jsonschema", "jinja2", "rich", "pydantic", "telegram", "psutil"} & set(sys.modules)
sys.exit(f"loaded {heavy}" if heavy else 0)
"""
    toolkit("init", tmp_path, "--keep-in-folder")
    fleet = tmp_path / "fleet.yaml"
    # Nothing was deployed, so names come from the files; with a manifest they do not.
    from toolkit import revisions
    from toolkit.paths import fleet_paths
    from toolkit.revisions import Applied

    with revisions.opened(fleet_paths("demo", tmp_path / "state")) as history:
        number = history.begin(fleet, [])
        history.put_in_force([Applied("alice", "echo", "supervisord", "u", "f", number)])
    for command in (["--help"], ["bot", "list"], ["bot", "logs"], ["bot", "health"]):
        words = [sys.executable, "-c", source, "-f", str(fleet), *command]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        assert "loaded" not in done.stderr, (command, done.stderr)
        assert done.returncode == 0, (command, done.stderr)
