"""`limits.ip_allow`: what is an address for a filter, and what the filter is given."""

from dataclasses import replace

import pytest

from toolkit.botfile import App
from toolkit.errors import InvalidFleetError
from toolkit.fleet.loader import load
from toolkit.fleet.model import Bot, Fleet
from toolkit.paths import fleet_paths
from toolkit.place import SYSTEM_SYSTEMD
from toolkit.render import Machine, supervisord, systemd
from toolkit.secrets import TokenReference

HEAD = "version: 1\nfleet: demo\ntypes:\n  tasks:\n    app: {async: 'm:f'}\n    limits:\n      ip_allow:"


@pytest.fixture
def loaded(tmp_path):
    """Load a fleet with such a list, each entry in a line of its own from line 8 on."""

    def loaded(*entries: str) -> Fleet:
        lines = "".join(f"\n      - {entry}" for entry in entries) or " []"
        (tmp_path / "fleet.yaml").write_text(HEAD + lines + "\n")
        return load(tmp_path / "fleet.yaml", {})

    return loaded


@pytest.mark.parametrize(
    ("entries", "allowed"),
    [
        ((), ()),
        (("192.0.2.7", "149.154.160.0/20"), ("149.154.160.0/20", "192.0.2.7/32")),
        (("'2001:67c:4e8::/48'", "10.0.0.0/255.0.0.0"), ("10.0.0.0/8", "2001:67c:4e8::/48")),
        (("localhost", "127.0.0.1", "'::1'"), ("127.0.0.0/8", "::1/128")),
        (("link-local", "multicast"), ("169.254.0.0/16", "224.0.0.0/4", "fe80::/64", "ff00::/8")),
        (("10.0.0.0/9", "10.128.0.0/9"), ("10.0.0.0/8",)),
    ],
)
def test_the_filter_gets_the_fewest_prefixes(loaded, entries, allowed):
    assert loaded(*entries).types["tasks"].resources.ip_allow == allowed


def test_without_the_key_nothing_is_filtered(tmp_path):
    (tmp_path / "fleet.yaml").write_text(HEAD.partition("    limits")[0])
    assert load(tmp_path / "fleet.yaml", {}).types["tasks"].resources.ip_allow is None


def test_every_fault_is_told_with_its_line(loaded):
    faults = {
        "any": "leave the list out",
        "loclahost": "did you mean `localhost`?",
        "api.telegram.org": "names of hosts",
        "149.154.167.220/20": "write 149.154.160.0/20, or the address alone",
        "10.0.0.0/33": "expected an address",
        "'fe80::1%eth0'": "expected an address",
        "'::ffff:192.0.2.7'": "write it as IPv4",
        "10": "quote it",
        "''": "expected an address",
    }
    with pytest.raises(InvalidFleetError) as caught:
        loaded(*faults, "192.0.2.7")
    problems = caught.value.problems
    assert [(problem.line, problem.path) for problem in problems] == [
        (8 + index, f"types.tasks.limits.ip_allow.{index}") for index in range(len(faults))
    ]
    for words, problem in zip(faults.values(), problems, strict=True):
        assert words in str(problem)


def test_supervisord_is_not_told_of_a_filter_that_it_does_not_have(loaded):
    fleet = loaded()
    (problem,) = supervisord.problems(fleet, fleet_paths("demo"), Machine("/x/python"))
    assert (problem.line, problem.path) == (7, "types.tasks.limits.ip_allow")
    assert "no such limit" in problem.message


@pytest.mark.parametrize(
    ("endpoint", "entries", "reached"),
    [
        ("http://192.0.2.7:8081", ("192.0.2.0/24",), True),
        ("http://192.0.2.7:8081", ("localhost", "198.51.100.0/24"), False),
        ("http://[2001:db8::1]", ("'2001:db8::/32'",), True),
        ("http://[2001:db8::1]", ("192.0.2.0/24",), False),
        ("http://localhost:8081", ("'::1'",), True),
        ("http://localhost:8081", ("192.0.2.0/24",), False),
        ("http://127.0.0.1:8081", (), False),
        ("https://api.telegram.org", ("192.0.2.0/24",), True),  # nobody knows where that lies
    ],
)
@pytest.mark.parametrize("where", ["endpoint", "types.tasks.endpoint", "bots.alice.endpoint"])
def test_a_bot_api_that_the_filter_cuts_off_is_refused(loaded, endpoint, entries, reached, where):
    fleet = loaded(*entries)
    type_ = replace(fleet.types["tasks"], app=App(kind="telegram", target="m:f"))
    bot = Bot("alice", "tasks")
    match where:
        case "endpoint":
            fleet = replace(fleet, endpoint=endpoint)
        case "types.tasks.endpoint":
            type_ = replace(type_, endpoint=endpoint)
        case _:
            type_ = replace(type_, endpoint="http://203.0.113.1")
            bot = replace(bot, endpoint=endpoint)
    fleet = replace(fleet, types={"tasks": type_}, bots={"alice": bot})
    paths, machine = fleet_paths("demo", None, SYSTEM_SYSTEMD), Machine("/x/python", systemd=252)
    problems = systemd.problems(fleet, paths, machine)
    assert [endpoint in problem.message for problem in problems] == ([] if reached else [True])
    # A program of its own may have other business there.
    fleet = replace(fleet, types={"tasks": replace(type_, app=App(kind="async", target="m:f"))})
    assert systemd.problems(fleet, paths, machine) == []


def test_supervisord_is_not_asked_for_a_credential(loaded):
    fleet = replace(loaded(), bots={"a": Bot("a", "tasks", TokenReference("credential", ("x",)))})
    problems = supervisord.problems(fleet, fleet_paths("demo"), Machine("/x/python"))
    assert "bots.a.token.credential" in [problem.path for problem in problems]
