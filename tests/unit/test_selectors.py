import pytest

from toolkit.errors import UsageError
from toolkit.selectors import Candidate, needs_state, select

BOTS = [
    Candidate("alice", "echo", "RUNNING"),
    Candidate("bob", "echo", "FAILED"),
    Candidate("carol", "counter", "RUNNING"),
]


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [
        ([], ["alice", "bob", "carol"]),
        (["all"], ["alice", "bob", "carol"]),
        (["bob"], ["bob"]),
        (["carol", "alice"], ["alice", "carol"]),
        (["type:echo"], ["alice", "bob"]),
        (["state:failed"], ["bob"]),
        (["*o*"], ["bob", "carol"]),
        (["alice", "type:e*"], ["alice", "bob"]),
        (["state:QUARANTINED"], []),
        (["state:BACKOFF", "alice"], ["alice"]),
    ],
)
def test_selects(selectors, expected):
    assert select(selectors, BOTS) == expected


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("alcie", "alice"),
        ("type:ehco", "type:echo"),
        ("tpye:echo", "type:echo"),
        ("state:runing", "state:RUNNING"),
        ("stat:FAILED", "state:FAILED"),
    ],
)
def test_what_no_bot_can_be_is_an_error_with_the_nearest_name(wrong, nearest):
    with pytest.raises(UsageError) as caught:
        select([wrong], BOTS)
    assert wrong in caught.value.message
    assert caught.value.hint == f"did you mean `{nearest}`?"


def test_one_wrong_selector_spoils_the_whole_call():
    with pytest.raises(UsageError):
        select(["alice", "type:nope"], BOTS)


def test_all_of_an_empty_fleet_is_nothing():
    assert select(["all"], []) == []


def test_states_are_needed_only_where_they_are_asked_for():
    assert needs_state(["alice", "state:RUNNING"])
    assert not needs_state(["alice", "type:echo", "all"])
