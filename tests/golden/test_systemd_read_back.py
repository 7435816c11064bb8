"""systemd reads every value as it was meant, or rendering refuses it."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile.texts import TEXT
from toolkit.fleet.addresses import prefixes
from toolkit.fleet.model import Resources
from toolkit.paths import fleet_paths
from toolkit.place import SYSTEM_SYSTEMD, USER_SYSTEMD
from toolkit.render import Machine, UnfitError, systemd
from toolkit.render.systemd_text import program_of
from toolkit.secrets import TokenReference

MACHINE = Machine("/opt/toolkit/bin/python", systemd=252)
SYSTEM = fleet_paths("demo", place=SYSTEM_SYSTEMD)
ALLOWED = prefixes(["localhost", "link-local", "multicast", "149.154.160.0/20", "2001:67c:4e8::/48"])
# Fixtures are functions without state here.
RELAXED = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


@pytest.fixture
def fleet(fleet):
    """A fleet without what systemd refuses."""
    bots = fleet.bots | {"bob": replace(fleet.bots["bob"], token=None)}
    return replace(fleet, bots=bots)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder of units that everyone may read, as systemd's test mode must not be root."""
    made = Path(tempfile.mkdtemp(prefix="bt", dir="/tmp"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def put(folder: Path, fleet, paths=SYSTEM) -> dict[str, Path]:
    """Write the fleet's units to the folder; their paths by name."""
    files = systemd.shared_files(fleet, paths, MACHINE)[:2]
    files += [systemd.unit(fleet, bot, paths, MACHINE) for bot in fleet.bots]
    for file in files:
        (folder / file.path.name).write_text(file.content, encoding="utf-8")
    return {file.path.name: folder / file.path.name for file in files}


def with_type(fleet, **changes):
    return replace(fleet, types=fleet.types | {"odd": replace(fleet.types["odd"], **changes)})


def with_token(fleet, token):
    return replace(fleet, bots=fleet.bots | {"odd": replace(fleet.bots["odd"], token=token)})


@settings(max_examples=20, **RELAXED)
@given(st.lists(TEXT, min_size=1, max_size=10))
def test_variables_are_read_back_or_refused(fleet, reader, folder, values):
    variables = {f"V{number}": value for number, value in enumerate(values)}
    hostile = with_type(fleet, environment=variables)
    found = {problem.path.rpartition(".")[2] for problem in systemd.problems(hostile, SYSTEM, MACHINE)}
    assert found == {name for name, value in variables.items() if any(map(is_no_text, value))}
    if found:
        with pytest.raises(UnfitError):
            systemd.unit(hostile, "odd", SYSTEM, MACHINE)
    fit = {name: value for name, value in variables.items() if name not in found}
    fleet = with_type(fleet, environment=fit)
    put(folder, fleet)
    section = reader.read(folder, "bot-demo-odd.service")
    digest = systemd.unit_hash(fleet, "odd", SYSTEM, MACHINE)
    wanted = {"BOT_TOOLKIT_UNIT": digest, "HOME": str(SYSTEM.state("odd"))} | fit
    assert reader.environment(section) == "".join(f"\t\tEnvironment: {k}={v}\n" for k, v in wanted.items())


def is_no_text(character: str) -> bool:
    """Whether systemd takes the character for none: NUL, or one of Unicode's noncharacters."""
    code = ord(character)
    return code == 0 or 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE


@settings(max_examples=40, **RELAXED)
@given(TEXT, TEXT, TEXT)
def test_paths_are_read_back_or_refused(fleet, reader, folder, python, token, home):
    fleet = with_type(fleet, python=f"/opt/{python}/bin/python")
    token_file = os.path.normpath(f"/srv/x{token}")
    fleet = with_token(fleet, TokenReference("file", (token_file,)))
    paths = replace(fleet_paths("demo", Path(f"/srv/{home}"), USER_SYSTEMD), user_units=folder)
    found = {problem.path for problem in systemd.problems(fleet, paths, MACHINE)}
    hostile = re.search(r"[\x01-\x1f\x7f'\"\\]", python) or any(map(is_no_text, python))
    assert ("types.odd.python" in found) == bool(hostile)
    assert ("bots.odd.token.file" in found) == bool(
        re.search("[\n\r]", token_file) or any(map(is_no_text, token_file))
    )
    assert ({"fleet", "root"} & found != set()) == any(map(is_no_text, home))
    if found:
        return
    put(folder, fleet, paths)
    section = reader.read(folder, "bot-demo-odd.service")
    words = reader.words(reader.setting(section, "Command Line"))
    assert words[1:] == [str(paths.botfile("odd"))]
    # systemd tidies the program's own path, as the kernel would.
    assert os.path.normpath(words[0]) == os.path.normpath(f"/opt/{python}/bin/bot-runner")
    assert program_of(systemd.unit(fleet, "odd", paths, MACHINE).content) == f"/opt/{python}/bin/bot-runner"
    assert reader.setting(section, "StandardInputFile") == token_file


def test_every_setting_is_read_as_it_was_meant(fleet, reader, folder):
    fleet = with_token(fleet, TokenReference("file", ("/srv/100% odd \\",)))
    fleet = with_type(fleet, resources=Resources(10**8, 2 * 10**8, 50, 150, 64, 20, ALLOWED))
    put(folder, fleet)
    section = reader.read(folder, "bot-demo-alice.service")
    for name, value in {
        "Type": "notify",
        "NotifyAccess": "main",
        "Restart": "always",
        "RestartSec": "100ms",
        "TimeoutStopSec": "13s",
        "WatchdogSec": "1min 30s",
        "KillMode": "mixed",
        "OOMPolicy": "stop",
        "Slice": "bot-demo.slice",
        "DynamicUser": "yes",
        "User": "bot-demo-alice",
        "Group": "bot-demo",
        "UMask": "0077",
        "StandardInput": "file",
        "StandardInputFile": "/srv/bots/secrets/alice.token",
        "StandardOutput": "journal",
        "RuntimeDirectoryMode": "0750",
        "StateDirectoryMode": "0700",
        "ProtectSystem": "strict",
        "ProtectHome": "yes",
        "ProtectProc": "invisible",
        "ProcSubset": "pid",
        "PrivateUsers": "yes",
        "MemoryDenyWriteExecute": "yes",
        "ReadOnlyPaths": "/run",
        "InaccessiblePaths": "-/var/lib/bot-toolkit/demo/records",
        "SystemCallErrorNumber": "EPERM",
        "LimitNOFILE": "1024",
    }.items():
        assert reader.setting(section, name) == value, name
    section = reader.read(folder, "bot-demo-odd.service")
    for name, value in {
        "Restart": "no",
        "TimeoutStopSec": "1min 34s",
        "StandardInputFile": "/srv/100% odd \\",
        "MemoryHigh": "100000000",
        "MemoryMax": "200000000",
        "CPUWeight": "50",
        "CPUQuotaPerSecSec": "1.500000s",
        "TasksMax": "64",
        "IOWeight": "20",
        "LimitNPROC": "100",
        "Nice": "5",
    }.items():
        assert reader.setting(section, name) == value, name
    assert set(re.findall(r"IPAddressAllow: (.*)", section)) == set(ALLOWED)
    assert set(re.findall(r"IPAddressDeny: (.*)", section)) == {"0.0.0.0/0", "::/0"}
    assert reader.words(reader.setting(section, "Command Line")) == [
        "/opt/o d d/bin/bot-runner",
        "/var/lib/bot-toolkit/demo/botfiles/odd.json",
    ]


def test_the_target_holds_nobody_up_and_takes_its_bots_along(fleet, reader, folder):
    put(folder, fleet)
    target = reader.read(folder, "bot-demo.target")
    assert reader.setting(target, "DefaultDependencies") == "no"
    assert "bot-demo-alice.service" not in target
    (folder / "bot-demo.target.wants").mkdir()
    (folder / "bot-demo.target.wants/bot-demo-alice.service").symlink_to("../bot-demo-alice.service")
    target = reader.read(folder, "bot-demo.target")
    assert "\t\tWants: bot-demo-alice.service" in target
    assert "\t\tAfter: bot-demo-alice.service" not in target
    assert "\t\tPartOf: bot-demo.target" in reader.read(folder, "bot-demo-alice.service")


@pytest.mark.parametrize("needs", [frozenset(), frozenset({"home", "devices", "jit", "subprocess"})])
@pytest.mark.parametrize("place", [SYSTEM_SYSTEMD, USER_SYSTEMD], ids=str)
def test_systemd_has_no_complaint_of_any_unit(fleet, reader, place, needs):
    with tempfile.TemporaryDirectory(prefix="bt", dir="/tmp") as name:
        folder = Path(name)
        runner = folder / "o d%d$/bot-runner"
        runner.parent.mkdir()
        runner.write_text("#!/bin/sh\n")
        runner.chmod(0o755)
        python = str(runner.with_name("python"))
        types = {key: replace(type_, python=python, needs=needs) for key, type_ in fleet.types.items()}
        paths = replace(fleet_paths("demo", folder, place), root=Path("/"), user_units=folder)
        units = put(folder, replace(fleet, types=types), paths)
        mode = "--user" if place is USER_SYSTEMD else "--system"
        assert reader.verify(list(units.values()), mode) == ""


@pytest.mark.parametrize(
    ("change", "path", "words"),
    [
        ({"machine": Machine("/x/python", systemd=248)}, "backend", "248"),
        ({"machine": Machine("/x/python")}, "backend", "no systemd"),
        ({"root": Path("/srv")}, "root", "cannot lie elsewhere"),
        ({"token": TokenReference("env", ("TOKEN",))}, "bots.odd.token.env", "every user"),
        ({"token": TokenReference("file", ("/a\nb",))}, "bots.odd.token.file", "a line break"),
        (
            {"token": TokenReference("credential", ("t",)), "place": USER_SYSTEMD},
            "bots.odd.token.credential",
            "own systemd",
        ),
        (
            {"resources": Resources(ip_allow=()), "place": USER_SYSTEMD},
            "types.odd.limits.ip_allow",
            "own systemd",
        ),
        ({"python": "/opt/it's/bin/python"}, "types.odd.python", "a quote"),
    ],
)
def test_what_systemd_must_not_be_told_is_refused_with_its_place(fleet, change, path, words):
    fleet = replace(fleet, bots={"odd": fleet.bots["odd"]})
    if "token" in change:
        fleet = with_token(fleet, change["token"])
    resources = change.get("resources", Resources())
    fleet = with_type(fleet, python=change.get("python", "/opt/odd/bin/python"), resources=resources)
    paths = fleet_paths("demo", change.get("root"), change.get("place", SYSTEM_SYSTEMD))
    (problem,) = systemd.problems(fleet, paths, change.get("machine", MACHINE))
    assert words in problem.message
    assert problem.path == path


def test_a_refused_value_is_not_repeated(fleet):
    (problem,) = [
        problem
        for problem in systemd.problems(with_type(fleet, environment={"V": "hunter2\0"}), SYSTEM, MACHINE)
        if "environment" in problem.path
    ]
    assert "hunter2" not in str(problem)
