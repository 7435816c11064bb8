"""The checks of `toolkit verify` judge facts alone: here those that no real host can be brought to give."""

from datetime import UTC, datetime

import pytest

from toolkit.verify.check import Outcome
from toolkit.verify.expected import Expected
from toolkit.verify.facts import Facts
from toolkit.verify.of_host import all_checks
from toolkit.verify.of_systemd import _number

MADE_AT = "2026-01-31T08:00:00Z"
NOW = datetime(2026, 1, 31, 9, tzinfo=UTC).timestamp()
GOOD = {
    "now": f"{NOW:.0f}",
    "MemAvailable": "1000000",
    "files": "1000 0 100000",
    "nr_open": "1048576",
    "free:/home/x": "1000000",
    "inodes:/home/x": "100000",
    "free:/home/x/log": "1000000",
    "inodes:/home/x/log": "0",
}


def expected(**changes) -> Expected:
    values = {
        "fleet": "demo",
        "backend": "supervisord",
        "mode": "user",
        "owner": "x",
        "sources": (),
        "home": "/home/x",
        "logs": "/home/x/log",
        "database": "/home/x/fleet.db",
        "group": "",
        "target": "",
        "wants": "",
        "revision": 7,
        "status": "applied",
        "made_at": MADE_AT,
        "shared": (),
        "bots": (),
    }
    return Expected(**(values | changes))


def failed(wanted: Expected, **host: str) -> dict[str, str]:
    facts = Facts(host=GOOD | {name.replace("__", ":"): value for name, value in host.items()})
    verdicts = {check.name: check.judge(facts) for check in all_checks(wanted, NOW)}
    del verdicts["database"]  # there are no files here
    return {name: verdict.found for name, verdict in verdicts.items() if verdict.outcome is Outcome.FAILED}


def test_a_good_machine_passes():
    assert failed(expected()) == {}


@pytest.mark.parametrize(
    ("name", "value", "check", "found"),
    [
        ("now", f"{NOW - 60:.0f}", "clock", "it differs by 60 s from the machine that asks"),
        ("MemAvailable", "20000", "memory", "19 MB are left, and 64 MB are needed"),
        ("free:/home/x", "2048", "disk", "/home/x: 2 MB are left"),
        ("inodes:/home/x", "3", "disk", "/home/x: 3 inodes are left"),
        ("files", "99000 0 100000", "open-files", "99000 of 100000 are in use"),
    ],
)
def test_a_machine_that_is_short_of_something_is_told(name, value, check, found):
    assert failed(expected(), **{name: value}) == {check: found}


def test_a_clock_that_nobody_keeps_is_told_where_it_could_be_kept():
    unkept = {"CanNTP": "yes", "NTP": "yes", "NTPSynchronized": "no"}
    assert failed(expected(), **unkept) == {"clock": "it is not synchronised"}
    assert failed(expected(), **(unkept | {"CanNTP": "no"})) == {}


@pytest.mark.parametrize(
    ("status", "found"),
    [("applying", "revision 7 was broken off"), ("failed", "revision 7 did not come to its end")],
)
def test_a_deploy_that_was_not_whole_is_told(status, found):
    assert failed(expected(status=status)) == {"revision": found}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.500s", 1.5),
        ("1min 30s", 90.0),
        ("90000ms", 90.0),
        ("150%", 1.5),
        ("268435456", 268435456.0),
        ("infinity", "infinity"),
        ("", ""),
    ],
)
def test_systemds_words_for_a_number_are_read(text, number):
    assert _number(text) == number


def test_every_check_says_why_and_what_to_do():
    for check in all_checks(expected(), NOW):
        assert check.why, check.name
        assert check.hint, check.name
