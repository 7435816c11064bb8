"""The glance at a fleet file is right, or says that it is not sure."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.fleet.identity import Identity, quick_identity
from toolkit.fleet.yaml_tree import parse
from toolkit.scaffold import write_fleet


@pytest.mark.parametrize(
    ("text", "name", "root"),
    [
        ("version: 1\nfleet: demo\n", "demo", None),
        ("fleet: demo", "demo", None),
        (
            "# a comment: {[\n\nversion: 1\nfleet:   demo   # its name [a-z]\nroot: ./state\nbots:\n",
            "demo",
            "state",
        ),
        ("fleet: demo\nroot: /srv/x\nendpoint: http://127.0.0.1:8081\n", "demo", "/srv/x"),
        ("fleet: demo\nendpoint: https://h\nroot: ../x\nconfig: {a: 'b\n  c'}\nbots: {}\n", "demo", "../x"),
        ("fleet: demo\nconfig:\n  fleet: other\n  root: x\ntypes:\n  a: |\n    root: y\n", "demo", None),
        ("fleet: demo\r\nroot: state\r\n", "demo", "state"),
        ("\ufefffleet: demo\n", "demo", None),
    ],
)
def test_what_is_plain_is_read(tmp_path, text, name, root):
    (tmp_path / "fleet.yaml").write_text(text, encoding="utf-8", newline="")
    wanted = None if root is None else Path(tmp_path, root).resolve()
    assert quick_identity(tmp_path / "fleet.yaml") == Identity(name, wanted)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "version: 1\n",
        "fleet: 123\n",
        "fleet: 1e5\n",
        "fleet: 0x1f\n",
        "fleet: true\n",
        "fleet: yes\n",
        "fleet: 'demo'\n",
        "fleet: Demo\n",
        "fleet: demo\nfleet: other\n",
        "fleet: demo\n  more\n",
        "fleet:\n  demo\n",
        "fleet: demo\nroot:\n",
        "fleet: demo\nroot: ~\n",
        "fleet: demo\nroot: 5\n",
        "fleet: demo\nroot: my state\n",
        "fleet: demo\nroot: state\n  more\n",
        "fleet: demo\nconfig: {a: 1}\nroot: state\n",
        "fleet: demo\nconfig:\n  a: 1\nroot: state\n",
        "fleet: demo\nconfig: 'a\nroot: state\nbots: b'\n",
        "fleet: demo\n'root': state\n",
        "fleet: demo\n<<: {root: x}\n",
        "fleet: demo\n? root\n: x\n",
        "{fleet: demo}\n",
        " fleet: demo\n",
        "---\nfleet: demo\n",
        "fleet: demo\nother: 1\n",
        "fleet: &a demo\n",
        "fleet: !!str demo\n",
    ],
)
def test_what_is_not_sure_is_left_to_yaml(tmp_path, text):
    (tmp_path / "fleet.yaml").write_text(text)
    assert quick_identity(tmp_path / "fleet.yaml") is None


def test_the_supervisor_is_read_too(tmp_path):
    path = tmp_path / "fleet.yaml"
    path.write_text("fleet: demo\nbackend: systemd\nmode: system\nbots:\n")
    assert quick_identity(path) == Identity("demo", None, "systemd", "system")


@pytest.mark.parametrize(
    "line",
    ["backend: upstart", "mode: root", "backend:", "bots: {}\n  a\nmode: user", "config: {}\nmode: user"],
)
def test_a_supervisor_that_is_not_sure_is_left_to_yaml(tmp_path, line):
    (tmp_path / "fleet.yaml").write_text(f"fleet: demo\n{line}\n")
    assert quick_identity(tmp_path / "fleet.yaml") is None


def test_a_file_that_cannot_be_read_is_not_sure(tmp_path):
    assert quick_identity(tmp_path / "none.yaml") is None
    (tmp_path / "fleet.yaml").write_bytes(b"fleet: demo\n#\xff")
    assert quick_identity(tmp_path / "fleet.yaml") is None


@pytest.mark.parametrize("keep", [True, False])
def test_the_file_that_init_writes_needs_no_yaml(tmp_path, keep):
    write_fleet(tmp_path, "demo", "http://127.0.0.1:8081", None, keep)
    assert quick_identity(tmp_path / "fleet.yaml") == Identity("demo", tmp_path / "state" if keep else None)


LINE = st.sampled_from(
    [
        "version: 1",
        "fleet: demo",
        "fleet: other # x",
        "root: state",
        "root: /x",
        "endpoint: http://h:1",
        "config: {greeting: Hello}",
        "config: 'it goes",
        "config: {a: 'b",
        "config: [",
        "on'",
        "'}",
        "]",
        "config:",
        "  fleet: inner",
        "  root: inner",
        "  a: |",
        "    root: text",
        "  - x",
        "types: >",
        "bots:",
        "bots: &a",
        "  more",
        "",
        "# fleet: comment",
        "backend: auto",
        "backend: systemd",
        "mode: system",
        "mode: user",
        "'fleet': quoted",
        '"root": quoted',
        "---",
        "...",
        "? root",
        ": x",
        "<<: {root: x}",
        "root:",
        "root: a: b",
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(LINE, max_size=9))
def test_it_never_says_other_than_yaml(tmp_path_factory, lines):
    path = tmp_path_factory.getbasetemp() / "fleet.yaml"
    path.write_text("\n".join(lines))
    known = quick_identity(path)
    tree = parse("\n".join(lines))
    if known is not None and not tree.faults:
        name, root, backend, mode = known
        assert tree.value["fleet"] == name
        assert tree.value.get("backend", "auto") == backend
        assert tree.value.get("mode", "auto") == mode
        assert (str(path.parent / tree.value["root"]) if "root" in tree.value else None) == (
            root and str(root)
        )
