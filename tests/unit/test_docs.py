"""The documents keep up with the code."""

import re
from pathlib import Path

import pytest

from toolkit.fleet import schema, schema_type
from toolkit.lifecycle import FailureClass, State
from toolkit.sandbox.faults import KINDS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    "part",
    [
        schema.SCHEMA,
        schema_type.TYPE,
        schema_type.APP,
        schema_type.LIMITS,
        schema_type.RESTART,
        schema_type.HEALTH,
        schema_type.LOG,
        schema.BOT,
        schema.TOKEN,
    ],
)
def test_every_key_of_the_fleet_file_is_told(part):
    text = (DOCS / "fleet.md").read_text()
    assert [key for key in part["properties"] if f"`{key}" not in text] == []


def test_every_state_and_failure_class_is_told():
    text = (DOCS / "json.md").read_text() + (DOCS / "operations.md").read_text()
    assert [state for state in State if f"`{state}`" not in text] == []
    assert [failure.name for failure in FailureClass if f"`{failure.name}`" not in text] == []
    rows = dict(
        re.findall(
            r"^\| (\d+) \| ([^|:]+?)(?::[^|]*)? \|", (DOCS / "operations.md").read_text(), re.MULTILINE
        )
    )
    assert {str(failure.code): failure.words for failure in FailureClass}.items() <= rows.items()


def test_every_fault_of_the_sandbox_is_told():
    text = (DOCS / "sandbox.md").read_text()
    assert [kind for kind in KINDS if f"| `{kind}` |" not in text] == []
