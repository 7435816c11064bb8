"""Supervisor's own parser reads every value as it was meant, or rendering refuses it."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from supervisor.datatypes import RestartWhenExitUnexpected

from tests.hostile.texts import TEXT
from toolkit.lifecycle import NO_RESTART_CODES
from toolkit.paths import FleetPaths
from toolkit.render import Machine, supervisord
from toolkit.render.supervisord_text import UnfitError, command_of, ini, unfit_variable, variable

MACHINE = Machine("/opt/toolkit/bin/python")
# Fixtures are functions without state here.
RELAXED = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}

NO_PATH = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]")


def test_every_setting_of_a_unit(fleet, read_back, short_dir):
    section, programs = read_back(fleet, short_dir, stopped=["bob"])
    paths = FleetPaths("demo", short_dir)
    assert list(programs) == ["demo-alice", "demo-bob", "demo-odd"]
    alice, bob, odd = programs.values()
    assert shlex.split(alice.command) == ["/opt/toolkit/bin/bot-runner", str(paths.botfile("alice"))]
    assert shlex.split(odd.command) == ["/opt/o d d/bin/bot-runner", str(paths.botfile("odd"))]
    assert (alice.directory, odd.directory) == ("/srv/bots", "/srv/100% odd; #1/it's")
    assert (alice.autostart, bob.autostart) == (True, False)
    assert (alice.autorestart, odd.autorestart) == (RestartWhenExitUnexpected, False)
    assert tuple(alice.exitcodes) == NO_RESTART_CODES
    assert (alice.startsecs, alice.startretries) == (1, 10)
    assert (alice.stopsignal, alice.stopwaitsecs, odd.stopwaitsecs) == (signal.SIGTERM, 13, 94)
    assert (alice.stopasgroup, alice.killasgroup, alice.redirect_stderr) == (True, True, True)
    assert alice.stdout_logfile == str(paths.stray_log("alice"))
    assert (alice.stdout_logfile_maxbytes, alice.stdout_logfile_backups) == (2**20, 1)
    for name, program in zip(("alice", "bob", "odd"), programs.values(), strict=True):
        digest = supervisord.unit_hash(fleet, name, paths, MACHINE)
        environment = {} if name != "odd" else fleet.types["odd"].environment
        assert program.environment == {"NOTIFY_SOCKET": "", "BOT_TOOLKIT_UNIT": digest, **environment}
    assert len(section.process_group_configs) == 3


def test_every_setting_of_the_supervisor_itself(fleet, read_back, short_dir):
    section, _ = read_back(fleet, short_dir)
    paths = FleetPaths("demo", short_dir)
    assert (section.identifier, section.umask, section.minfds, section.nodaemon) == (
        "demo",
        0o077,
        1024,
        False,
    )
    assert section.logfile == str(paths.supervisor_log)
    assert section.pidfile == str(paths.supervisor_pidfile)
    assert section.childlogdir == str(paths.logs)
    (server,) = section.server_configs
    assert (server["file"], server["chmod"]) == (str(paths.supervisor_socket), 0o700)


@settings(max_examples=40, **RELAXED)
@given(st.lists(TEXT, min_size=1, max_size=10))
def test_variables_are_read_back_or_refused(with_environment, read_back, tmp_path_factory, values):
    home = tmp_path_factory.getbasetemp() / "variables"
    variables = {f"V{number}": value for number, value in enumerate(values)}
    refused = {name for name, value in variables.items() if unfit_variable(name, value)}
    assert all(must_be_refused(variables[name]) for name in refused), variables
    problems = supervisord.problems(with_environment(variables), FleetPaths("demo", home), MACHINE)
    assert {problem.path for problem in problems} == {f"types.odd.environment.{name}" for name in refused}
    fit = {name: value for name, value in variables.items() if name not in refused}
    _, programs = read_back(with_environment(fit), home)
    environment = programs["demo-odd"].environment
    del environment["BOT_TOOLKIT_UNIT"]
    assert environment == {"NOTIFY_SOCKET": "", **fit}
    assert (list(programs), programs["demo-odd"].autostart) == (["demo-alice", "demo-bob", "demo-odd"], True)


def must_be_refused(value: str) -> bool:
    return (
        "\r" in value
        or "\0" in value
        or value.strip("'\"") != value
        or ("'" in value and ('"' in value or "\\\\" in value or value.endswith("\\")))
    )


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("a\rb", "it has a carriage return"),
        ("a\0b", "it has a NUL"),
        ("'a", "it begins or ends with a quote"),
        ('a"', "it begins or ends with a quote"),
        ('it\'s "x" y', "it has both kinds of quotes"),
        ("it's a\\", "it has a single quote, and a backslash that versions of supervisor read differently"),
        (
            "it's \\\\ a",
            "it has a single quote, and a backslash that versions of supervisor read differently",
        ),
        ("it's \\a", ""),
        ("a \\\\", ""),
    ],
)
def test_what_no_version_or_not_every_version_can_be_told_is_refused(value, reason):
    assert unfit_variable("VALUE", value) == reason


@settings(max_examples=200, deadline=None)
@given(TEXT)
def test_posix_rules_read_a_variable_the_same(value):
    try:
        text = variable("VALUE", value)
    except UnfitError:
        return
    lexer = shlex.shlex(text, posix=True)
    lexer.whitespace_split = True
    assert list(lexer) == [f"VALUE={value}"]


@settings(max_examples=80, **RELAXED)
@given(TEXT)
def test_paths_are_read_back_or_refused(fleet, read_back, tmp_path_factory, text):
    directory, python = f"/srv/{text}", f"/opt/{text}/bin/python"
    odd = replace(fleet.types["odd"], directory=directory, python=python)
    fleet = replace(fleet, types={**fleet.types, "odd": odd})
    home = tmp_path_factory.getbasetemp() / "paths"
    paths = FleetPaths("demo", home)
    found = [problem.path for problem in supervisord.problems(fleet, paths, MACHINE)]
    if NO_PATH.search(text):
        assert found == ["types.odd.directory", "types.odd.python"]
        return
    assert found == []
    program = read_back(fleet, home)[1]["demo-odd"]
    assert program.directory == directory
    command = [f"/opt/{text}/bin/bot-runner", str(paths.botfile("odd"))]
    assert shlex.split(program.command) == command
    assert command_of(supervisord.unit(fleet, "odd", paths, MACHINE).content) == command


@settings(max_examples=40, **RELAXED)
@given(TEXT.map(lambda text: re.sub(r"[/\0]", "", text)).filter(lambda text: len(os.fsencode(text)) < 100))
def test_a_home_of_any_name_is_read_back_or_refused(fleet, read_back, tmp_path_factory, text):
    home = tmp_path_factory.getbasetemp() / "homes" / f"x{text}" / "demo"
    paths = FleetPaths("demo", home)
    if supervisord.problems(fleet, paths, MACHINE):
        assert NO_PATH.search(text) or re.search(r"[*?\[\]]", text)
        return
    section, programs = read_back(fleet, home)
    assert section.logfile == str(paths.supervisor_log)
    assert section.pidfile == str(paths.supervisor_pidfile)
    assert section.childlogdir == str(paths.logs)
    assert section.server_configs[0]["file"] == str(paths.supervisor_socket)
    assert programs["demo-odd"].stdout_logfile == str(paths.stray_log("odd"))
    assert shlex.split(programs["demo-odd"].command)[1] == str(paths.botfile("odd"))


def test_a_path_that_is_no_text_is_refused(fleet):
    (problem,) = supervisord.problems(fleet, FleetPaths("demo", Path("/srv/\udcff")), MACHINE)
    assert (problem.path, "not UTF-8" in problem.message) == ("fleet", True)
    with pytest.raises(UnfitError):
        ini("\udcff")


def test_a_refused_value_is_not_repeated(with_environment):
    fleet = with_environment({"VALUE": "'hunter2'"})
    (problem,) = supervisord.problems(fleet, FleetPaths("demo", Path("/srv")), MACHINE)
    assert "hunter2" not in str(problem)
    with pytest.raises(UnfitError) as raised:
        supervisord.unit(fleet, "odd", FleetPaths("demo", Path("/srv")), Machine("/bin/python"))
    assert "hunter2" not in raised.value.message


READ = """
import json, sys
from supervisor.options import ServerOptions
options = ServerOptions()
options.configfile = sys.argv[1]
options.process_config(do_usage=False)
print(json.dumps([p.environment for g in options.configroot.supervisord.process_group_configs
                  for p in g.process_configs][-1]))
"""


@pytest.mark.parametrize(
    "locale", [{"LC_ALL": "C"}, {"LANG": "C"}, {"LC_ALL": "POSIX"}, {"LC_ALL": "C.UTF-8"}, {}]
)
def test_text_beyond_ascii_is_read_in_any_locale(fleet, read_back, short_dir, locale):
    read_back(fleet, short_dir)
    conf = FleetPaths("demo", short_dir).supervisord_conf
    command = [sys.executable, "-P", "-W", "ignore", "-c", READ, str(conf)]
    done = subprocess.run(command, env=locale, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout)["WORDS"] == fleet.types["odd"].environment["WORDS"]
