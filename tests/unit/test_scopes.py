"""Configuration scopes are merged, and every value knows where it comes from."""

import copy

from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.config.scopes import merge


def test_mappings_are_merged_at_every_depth_and_the_rest_is_replaced():
    merged = merge(
        [
            ("global", {"a": {"x": 1, "y": {"z": 1}}, "list": [1, 2], "gone": {"b": {"c": 1}}, "kept": None}),
            ("type", {"a": {"x": 2}, "list": [3], "gone": 5}),
            ("instance", {"a": {"y": {"w": 3}}, "new": {"deep": True}}),
        ]
    )
    assert merged.values == {
        "a": {"x": 2, "y": {"z": 1, "w": 3}},
        "list": [3],
        "gone": 5,
        "kept": None,
        "new": {"deep": True},
    }
    assert merged.origins == {
        "a.x": "type",
        "a.y.z": "global",
        "a.y.w": "instance",
        "list": "type",
        "gone": "type",
        "kept": "global",
        "new.deep": "instance",
    }


def test_an_empty_mapping_is_a_value_until_it_is_filled():
    assert merge([("global", {"a": {}})]).origins == {"a": "global"}
    assert merge([("global", {"a": {}}), ("type", {"a": {"b": 1}})]).origins == {"a.b": "type"}
    assert merge([("global", {"a": 1}), ("type", {"a": {}})]).origins == {"a": "type"}
    assert merge([("global", {"a": {"b": 1}}), ("type", {"a": {}})]).origins == {"a.b": "global"}


def test_keys_that_hold_dots_stay_apart():
    merged = merge([("global", {"a.b": 1, "a": {"b": 2}, "": 3, 'q"': 4})])
    assert merged.origins == {'"a.b"': "global", "a.b": "global", '""': "global", '"q\\""': "global"}


LAYER = st.dictionaries(
    st.sampled_from("ab.c"),
    st.recursive(
        st.integers(0, 3),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner),
    ),
)


def plain(below, above):
    """The same, told in the simplest way."""
    if isinstance(below, dict) and isinstance(above, dict):
        return {
            key: plain(below.get(key), above[key]) if key in above else below[key] for key in below | above
        }
    return above


def leaves(value, path=()):
    if isinstance(value, dict) and value:
        return {leaf for key, inner in value.items() for leaf in leaves(inner, (*path, key))}
    return {path}


@settings(max_examples=150, deadline=None)
@given(st.lists(LAYER, max_size=4))
def test_every_leaf_has_an_origin_and_no_layer_is_changed(layers):
    before = copy.deepcopy(layers)
    merged = merge([(str(number), layer) for number, layer in enumerate(layers)])
    wanted = {}
    for layer in layers:
        wanted = plain(wanted, layer)
    assert merged.values == wanted
    assert layers == before
    assert len(merged.origins) == (len(leaves(merged.values)) if merged.values else 0)
    for layer in range(len(layers)):
        # What a scope is said to give, it gives.
        for path in leaves(merged.values):
            name = ".".join(f'"{key}"' if key == "." else key for key in path)
            if merged.values and merged.origins[name] == str(layer):
                value = layers[layer]
                for key in path:
                    value = value[key]
