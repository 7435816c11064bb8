"""Every field of the fleet file is drawn by the hostile fleets, or refuses what is hostile by itself."""

import re
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator

from tests.hostile.fleets import DRAWN, UNDRAWN
from toolkit.fleet.schema import SCHEMA

SAMPLES = (
    "it's",
    'say "hi"',
    "100% x",
    "$HOME",
    "one\ntwo",
    "é",
    "-x",
    "a ;b",
    "a\\",
    "[x]",
    " x",
    "x\n",
    "http://it's%$x",
    "/it's é%\n",
)


def texts(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """The fields that take a text, or anything, with the path of each."""
    kinds = schema.get("type", [])
    if path.endswith("config"):
        yield path, {}  # the texts in it are any
    elif "string" in kinds or "enum" in schema:
        yield path, schema
    named = list(schema.get("properties", {}).items())
    if isinstance(schema.get("additionalProperties"), dict):
        named.append(("*", schema["additionalProperties"]))
    if "propertyNames" in schema:
        yield f"{path}.keys".lstrip("."), schema["propertyNames"]
    if "items" in schema:
        named.append(("[]", schema["items"]))
    for name, inner in named:
        yield from texts(inner, f"{path}.{name}".lstrip("."))


def takes(schema: dict[str, Any], text: str) -> bool:
    if "type" not in schema and "enum" not in schema and "pattern" not in schema:
        return True
    # The toolkit reads $ as ECMA-262 does: the very end.
    exact = {
        key: re.sub(r"\$$", r"\\Z", value) if key == "pattern" else value for key, value in schema.items()
    }
    return Draft202012Validator(exact).is_valid(text)


def test_every_field_of_text_is_drawn_or_refuses_what_is_hostile():
    fields = dict(texts(SCHEMA))
    open_to = {path: [text for text in SAMPLES if takes(schema, text)] for path, schema in fields.items()}
    assert {
        path: found for path, found in open_to.items() if found and path not in DRAWN | UNDRAWN.keys()
    } == {}
    # None is named that is no field, or needs no drawing.
    assert [path for path in (*DRAWN, *UNDRAWN) if not open_to.get(path)] == []
    assert open_to["bots.*.token.credential"] == ["-x"]
