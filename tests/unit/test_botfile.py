"""The bot file is read back as it was written, and says by its fingerprint what matters."""

import msgspec
import pytest

from toolkit import botfile
from toolkit.botfile import App, BotFile, Files, Limits
from toolkit.errors import ToolkitError
from toolkit.secrets import TokenReference

BOT = BotFile(
    fleet="demo",
    name="alice",
    type="echo",
    backend="supervisord",
    app=App(kind="exec", argv=("/bin/é", 'a"b', "\n")),
    directory="/srv",
    token=TokenReference("file", ("/srv/a.token",)),
    config={"b": [1, None, 2.5], "a": {"é": 2**63}},
    origins={"b": "type", "a.é": "global"},
    files=Files(state="/s", socket="/s/c", run_record="/s/r", log="/l"),
)


def test_it_is_read_back_as_it_was_written(tmp_path):
    path = tmp_path / "bot.json"
    path.write_text(botfile.encode(BOT), encoding="utf-8")
    assert botfile.load(path) == BOT


def test_the_same_bot_gives_the_same_text_in_whatever_order_its_config_came():
    other = msgspec.structs.replace(BOT, config={"a": BOT.config["a"], "b": BOT.config["b"]})
    assert botfile.encode(other) == botfile.encode(BOT)
    assert other.fingerprint() == BOT.fingerprint()


def test_the_fingerprint_changes_with_what_changes_the_run_and_not_with_origins():
    assert msgspec.structs.replace(BOT, origins={}).fingerprint() == BOT.fingerprint()
    for change in ({"config": {}}, {"limits": Limits(nice=1)}, {"stop_s": 11.0}, {"token": None}):
        assert msgspec.structs.replace(BOT, **change).fingerprint() != BOT.fingerprint()


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b'{"version": 1}', b"{" * 100_000])
def test_what_is_no_bot_file_is_refused(tmp_path, data):
    path = tmp_path / "bot.json"
    path.write_bytes(data)
    with pytest.raises(ToolkitError, match=r"bot\.json: not a bot file"):
        botfile.load(path)


def test_unknown_fields_and_other_versions_are_refused():
    data = msgspec.to_builtins(BOT)
    with pytest.raises(ToolkitError, match="unknown field `other`"):
        botfile.decode(msgspec.json.encode({**data, "other": 1}))
    with pytest.raises(ToolkitError, match="version 2"):
        botfile.decode(msgspec.json.encode({**data, "version": 2}))


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ToolkitError, match=r"bot\.json: No such file"):
        botfile.load(tmp_path / "bot.json")
