"""Tokens are known when they are seen, and never told."""

import pytest

from toolkit.errors import SecretError
from toolkit.secrets import (
    TokenReference,
    bot_id,
    checked,
    holds_token,
    read_token,
    redact,
)

TOKEN = "123456:" + "AbC-_" * 7


@pytest.mark.parametrize(
    "text",
    [
        TOKEN,
        f"https://api.telegram.org/bot{TOKEN}/getMe",
        f"https://api.telegram.org/file/bot{TOKEN}/photo.jpg",
        f"token={TOKEN};",
        f"'{TOKEN}'",
        f"a {TOKEN}\nb {TOKEN}",
    ],
)
def test_a_token_is_found_and_hidden_wherever_it_stands(text):
    assert holds_token(text)
    assert "AbC" not in redact(text)
    assert "123456:***" in redact(text)


@pytest.mark.parametrize(
    "text", ["sha256:" + "0" * 64, "12:30:00", "http://127.0.0.1:8081/x", "123456:short"]
)
def test_what_is_no_token_stays(text):
    assert not holds_token(text)
    assert redact(text) == text


def test_the_id_is_what_stands_before_the_colon():
    assert bot_id(TOKEN) == "123456"


def test_white_space_around_a_token_is_taken_off():
    assert checked(f" {TOKEN}\n", "x") == TOKEN


@pytest.mark.parametrize("text", ["", "secret", "123456:AbC-_AbC", f"{TOKEN} {TOKEN}", f"bot{TOKEN}"])
def test_what_is_no_token_is_refused_without_repeating_it(text):
    with pytest.raises(SecretError, match="the file holds no bot token") as raised:
        checked(text, "the file")
    assert "AbC" not in str(raised.value) + raised.value.hint


def test_a_token_is_read_from_where_its_reference_says(tmp_path):
    (tmp_path / "name").write_text(TOKEN + "\n")
    environ = {"BOT_TOKEN": TOKEN, "CREDENTIALS_DIRECTORY": str(tmp_path)}
    for reference in (
        TokenReference("file", (str(tmp_path / "name"),)),
        TokenReference("env", ("BOT_TOKEN",)),
        TokenReference("credential", ("name",)),
    ):
        assert read_token(reference, environ) == TOKEN


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        (TokenReference("file", ("/nowhere/a.token",)), "/nowhere/a.token: No such file"),
        (TokenReference("file", ("/proc/self/exe",)), "/proc/self/exe is not UTF-8|holds no bot token"),
        (TokenReference("env", ("NOT_THERE",)), "NOT_THERE is not set"),
        (TokenReference("env", ("BAD",)), "BAD holds no bot token"),
        (TokenReference("credential", ("name",)), "CREDENTIALS_DIRECTORY is not set"),
        (TokenReference("command", ("pass", "x")), "must be run"),
    ],
)
def test_a_token_that_cannot_be_had_says_why(reference, said):
    with pytest.raises(SecretError, match=said):
        read_token(reference, {"BAD": "AbC"})


def test_a_reference_reads_well():
    assert str(TokenReference("command", ("pass", "alice"))) == "command pass alice"
