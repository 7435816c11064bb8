"""YAML text becomes plain values with lines, and nothing hostile gets far."""

import json
import re

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.fleet.yaml_tree import MAX_DEPTH, parse

TOKEN = "123456:" + "A" * 35


def test_every_value_knows_its_line():
    tree = parse("a: 1\nb:\n  - x\n  - c: |\n      text\n      more\n    d: 2\n")
    assert tree.value == {"a": 1, "b": ["x", {"c": "text\nmore\n", "d": 2}]}
    assert tree.lines == {
        (): 1,
        ("a",): 1,
        ("b",): 2,
        ("b", 0): 3,
        ("b", 1): 4,
        ("b", 1, "c"): 4,
        ("b", 1, "d"): 7,
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("12", 12),
        ("-7", -7),
        ("0x1f", 31),
        ("1.5", 1.5),
        ("-.5e3", -500.0),
        ("1e3", 1000.0),
        ("12:30", "12:30"),
        ("2026-11-23", "2026-11-23"),
        ("2026-11-23T10:00:00Z", "2026-11-23T10:00:00Z"),
        ("y", "y"),
        ("nope", "nope"),
        ("1.2.3", "1.2.3"),
        ('"yes"', "yes"),
        ("'012'", "012"),
        ("!!str 5", "5"),
        ("! 5", "5"),
        ("18446744073709551615", 2**64 - 1),
        ('"\\U0001F600 é"', "\U0001f600 é"),
    ],
)
def test_scalars_mean_what_json_and_yaml_1_2_mean(text, value):
    tree = parse(f"key: {text}")
    assert tree.faults == []
    assert tree.value == {"key": value}
    assert type(tree.value["key"]) is type(value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("yes", "true or false"),
        ("Off", "true or false"),
        ("0644", "quote it"),
        ("089", "quote it"),
        ("1_000", "quote it"),
        ("0b11", "quote it"),
        ("0o17", "quote it"),
        (".inf", "finite"),
        ("-.INF", "finite"),
        (".nan", "finite"),
        ("1e999", "from -1.79e308 to 1.79e308"),
        ("18446744073709551616", "from -9223372036854775808 to 18446744073709551615"),
        ("1" * 5000, "from -9223372036854775808 to 18446744073709551615"),
        ("!!int 5", "tag"),
        ("!secret 5", "tag"),
        ("!!binary aGk=", "tag"),
        ("!x {a: 1}", "tag"),
    ],
)
def test_what_is_not_sure_is_refused(text, said):
    (fault,) = parse(f"a: 1\nkey: {text}\nb: 2").faults
    assert (fault.line, fault.path) == (2, ("key",))
    assert said in fault.message + fault.hint


def test_a_key_that_stands_twice_is_told_at_every_depth_and_the_first_counts():
    tree = parse("a: {x: 1, x: 2}\nb: 1\na: {y: 1, y: 2}\n<<: {c: 1}\n<<: {d: 2}\n")
    assert tree.value == {"a": {"x": 1}, "b": 1, "c": 1}
    assert [(fault.line, fault.path) for fault in tree.faults] == [
        (1, ("a", "x")),
        (3, ("a",)),
        (3, ("a", "y")),
        (5, ("<<",)),
    ]
    assert "first in line 1" in tree.faults[1].message


def test_anchors_aliases_and_merge_keys():
    tree = parse(
        "base: &b {x: 1, y: [1]}\nmore: &m {y: 2, z: 3}\none:\n  <<: *b\n  x: 5\n"
        "two: {<<: [*b, *m]}\nsame: *b\nquoted: {'<<': 1}\n"
    )
    assert tree.faults == []
    assert tree.value["one"] == {"x": 5, "y": [1]}
    assert tree.value["two"] == {"x": 1, "y": [1], "z": 3}
    assert tree.value["same"] == {"x": 1, "y": [1]}
    assert tree.value["quoted"] == {"<<": 1}
    assert tree.value["base"] == {"x": 1, "y": [1]}
    assert tree.lines["one", "y"] == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("&a [*a]", "inside its own anchor"),
        ("a: &a {b: {c: *a}}", "inside its own anchor"),
        ("a: *b", "anchor that does not exist"),
        ("a: 1\n---\nb: 2", "second YAML document"),
        ("? [x]\n: y", "no plain text"),
        ("? {x: 1}\n: y", "no plain text"),
        ("&a x: 1", "anchor or a tag"),
        ("!!int 5: 1", "anchor or a tag"),
        ("a: &x 1\n*x : 2", "no plain text"),
        ("a: [", "not YAML"),
        ("a: b: c", "not YAML"),
        ("a: \x01", "not YAML"),
        ('a: "\\ud800"', "not YAML"),
        ("a: %", "not YAML"),
        ("[" * (MAX_DEPTH + 1), "levels deep"),
        ("- " * 1000, "levels deep"),
        ("<<: 5", "a mapping, or a list of mappings"),
    ],
)
def test_what_cannot_be_read_is_one_clear_fault(text, said):
    tree = parse(text)
    assert [said in fault.message for fault in tree.faults] == [True]
    assert tree.unread == ("mapping, or" not in said)


def test_a_tab_is_named_and_where_an_open_quote_begins_is_told():
    [fault] = parse("a:\n\tb: 1\n").faults
    assert (fault.line, fault.hint) == (2, "YAML is indented by spaces, never by tabs")
    [fault] = parse('a: 1\nb: "x\nc: 2\n').faults
    assert fault.message.endswith("; it begins in line 2")
    assert fault.hint == ""


def lol(levels: int) -> str:
    rows = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "a0: &a0 [" + ", ".join("0123456789") + "]\n" + "\n".join(rows)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (lol(9), "values"),
        ("a: &a '" + "x" * 100_000 + "'\nb: [" + "*a," * 1000 + "]", "values"),
        (
            "a: &a 1\n"
            + "\n".join(f"b{n}: &b{n} [[[[[[*{f'b{n - 1}' if n else 'a'}]]]]]]" for n in range(20)),
            "levels deep",
        ),
        ("a: &a {" + ",".join(f"k{n}: 1" for n in range(1000)) + "}\n" + "b: {<<: *a}\n" * 600, "values"),
    ],
    ids=["laughs", "long text", "deep by aliases", "merges"],
)
def test_bombs_are_refused_before_they_are_built(text, said):
    tree = parse(text)
    assert said in tree.faults[-1].message
    assert tree.unread


def test_literal_tokens_are_found_in_keys_and_values():
    text = f"a: {TOKEN}\nb: [x, 'https://api.telegram.org/bot{TOKEN}/']\n{TOKEN}: 1\nc: sha256:{'0' * 64}\n"
    assert parse(text).tokens == [("a",), ("b", 1), (TOKEN,)]


# JSON writes what lies beyond as surrogates, which YAML does not know.
TEXT = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=10)
# 1e3 is a number in JSON and YAML 1.2, and text to PyYAML.
EXPONENT = re.compile(r"[-+]?[0-9.]+[eE][-+]?[0-9]+")
TEXT = TEXT.filter(lambda text: not EXPONENT.fullmatch(text))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=15,
)


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_what_yaml_writes_is_read_back(value):
    tree = parse(yaml.safe_dump(value))
    unsure = [fault for fault in tree.faults if "YAML versions" not in fault.message]
    assert unsure == []
    if not tree.faults:
        assert tree.value == value


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_json_is_read_as_what_it_is(value):
    tree = parse(json.dumps({"value": value}))
    assert (tree.faults, tree.value) == ([], {"value": value})


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("ab:- \n[]{},&*!|>'\"%#?<~01x\t\\"), max_size=60) | st.text(max_size=40))
def test_any_text_gives_a_tree_or_a_fault(text):
    tree = parse(text)
    assert bool(tree.faults) or not tree.unread
