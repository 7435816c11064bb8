"""Formatted text in the sandbox: commands that users type, HTML and Markdown of bots."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.sandbox.args import Args
from toolkit.sandbox.entities import find_entities, trim, utf16_length
from toolkit.sandbox.html import parse_html
from toolkit.sandbox.markdown import parse_markdown
from toolkit.sandbox.methods import compose
from toolkit.sandbox.replies import ApiError


def shown(text, entities):
    """Each entity with the text that it covers."""
    units = text.encode("utf-16-le")
    cut = {
        id(e): units[2 * e["offset"] : 2 * (e["offset"] + e["length"])].decode("utf-16-le") for e in entities
    }
    return [(e["type"], cut[id(e)]) for e in entities]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("/start", [("bot_command", "/start")]),
        ("/start@some_bot now", [("bot_command", "/start@some_bot")]),
        ("😀 /help", [("bot_command", "/help")]),
        ("a/b and/or /x/y", []),
        (
            "see https://example.org/a?b#c, @someone",
            [("url", "https://example.org/a?b#c,"), ("mention", "@someone")],
        ),
        ("mail me@example.org", [("email", "me@example.org")]),
        ("#tag #1", [("hashtag", "#tag")]),
        ("nothing", []),
    ],
)
def test_plain_text(text, found):
    assert shown(text, find_entities(text)) == found


@pytest.mark.parametrize(
    ("source", "text", "found"),
    [
        ("<b>a</b> &lt;&amp;&#33;", "a <&!", [("bold", "a")]),
        ("<b>a<i>😀</i></b>", "a😀", [("bold", "a😀"), ("italic", "😀")]),
        ('<a href="https://x.y/?a=1&amp;b=2">l</a>', "l", [("text_link", "l")]),
        ('<pre><code class="language-python">x</code></pre>', "x", [("pre", "x")]),
        (
            '<span class="tg-spoiler">s</span><tg-spoiler>t</tg-spoiler>',
            "st",
            [("spoiler", "s"), ("spoiler", "t")],
        ),
        ("<blockquote expandable>q</blockquote>", "q", [("expandable_blockquote", "q")]),
        ("<b></b>plain", "plain", []),
    ],
)
def test_html(source, text, found):
    plain, entities = parse_html(source)
    assert plain == text
    assert shown(plain, entities) == found


def test_html_details():
    assert parse_html('<a href="u?a&amp;b">l</a>')[1][0]["url"] == "u?a&b"
    assert parse_html('<pre><code class="language-c">x</code></pre>')[1][0]["language"] == "c"


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("<b>x", 'Can\'t find end tag corresponding to start tag "b" at byte offset 0'),
        ("é<blink>x</blink>", 'Unsupported start tag "blink" at byte offset 2'),
        ("a < b", 'Unsupported start tag "" at byte offset 2'),
        ("</b>", "Unexpected end tag at byte offset 0"),
        ("<b><i>x</b></i>", 'Unmatched end tag at byte offset 7, expected "</i>", found "</b>"'),
    ],
)
def test_wrong_html(source, why):
    with pytest.raises(ApiError) as refused:
        parse_html(source)
    assert refused.value.description == f"Bad Request: can't parse entities: {why}"


@pytest.mark.parametrize(
    ("source", "text", "found"),
    [
        (r"*b* _i_ __u__ ~s~ ||p||", "b i u s p", "bold italic underline strikethrough spoiler"),
        (r"*b _i_*\!", "b i!", "bold italic"),
        (r"`c\`` x", "c` x", "code"),
        ("```py\nx = 1```", "x = 1", "pre"),
        ("[l](http://x/\\))", "l", "text_link"),
        (">q1\n>q2\nrest", "q1\nq2\nrest", "blockquote"),
        (r"1\.5 \\ a", "1.5 \\ a", ""),
    ],
)
def test_markdown_v2(source, text, found):
    plain, entities = parse_markdown(source, second=True)
    assert plain == text
    assert [each["type"] for each in entities] == found.split()


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("a.b", "Character '.' is reserved and must be escaped with the preceding '\\'"),
        ("*a", "Can't find end of bold entity at byte offset 0"),
        ("é `a", "Can't find end of code entity at byte offset 3"),
        ("*_a*_", "Can't find end of italic entity at byte offset 4"),
        ("[a](x", "Can't find end of a URL at byte offset 3"),
    ],
)
def test_wrong_markdown_v2(source, why):
    with pytest.raises(ApiError) as refused:
        parse_markdown(source, second=True)
    assert refused.value.description == f"Bad Request: can't parse entities: {why}"


def test_old_markdown():
    text, entities = parse_markdown("*b* _i_ `c` [l](u) a.b [x] snake\\_case", second=False)
    assert text == "b i c l a.b x snake_case"
    assert [each["type"] for each in entities] == ["bold", "italic", "code", "text_link"]
    with pytest.raises(ApiError):
        parse_markdown("snake_case", second=False)


_MARKED = st.text(st.sampled_from("ab é😀\n*_~|`[]()<>/&;#>.!\\bipre="), max_size=40)


@given(_MARKED)
def test_whatever_is_sent_the_entities_fit_the_text(source):
    for parse in (
        parse_html,
        lambda text: parse_markdown(text, second=True),
        lambda text: parse_markdown(text, second=False),
    ):
        with suppress(ApiError):
            text, entities = trim(*parse(source))
            assert all(each["length"] > 0 and each["offset"] >= 0 for each in entities)
            assert all(each["offset"] + each["length"] <= utf16_length(text) for each in entities)


def test_trimming_moves_entities():
    text, entities = trim(*parse_html("  <b> a </b> "))
    assert text == "a"
    assert shown(text, entities) == [("bold", "a")]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"text": ""}, "message text is empty"),
        ({"text": " \n"}, "message text is empty"),
        ({"text": "<b></b>", "parse_mode": "HTML"}, "message text is empty"),
        ({"text": "x" * 4097}, "message is too long"),
        ({"text": "😀" * 2049}, "message is too long"),
        ({"text": "x", "parse_mode": "rst"}, "unsupported parse_mode"),
        ({"text": "x", "entities": "{"}, "can't parse message entities JSON object"),
    ],
)
def test_refused_texts(values, why):
    with pytest.raises(ApiError) as refused:
        compose.text_fields(Args(values))
    assert refused.value.description == f"Bad Request: {why}"


@pytest.mark.parametrize(
    "markup",
    [
        "[]",
        '{"x": 1}',
        '{"inline_keyboard": 1}',
        '{"inline_keyboard": [[{"text": ""}]]}',
        '{"inline_keyboard": [[{"text": "a"}]]}',
        '{"inline_keyboard": [[{"text": "a", "callback_data": ""}]]}',
        '{"inline_keyboard": [["a"]]}',
        '{"inline_keyboard": [[{"text": "a", "callback_data": "' + "é" * 33 + '"}]]}',
    ],
)
def test_refused_keyboards(markup):
    with pytest.raises(ApiError) as refused:
        compose.markup(Args({"reply_markup": markup}))
    assert refused.value.code == 400


def test_keyboards():
    assert compose.markup(Args({})) is None
    assert compose.markup(Args({"reply_markup": '{"keyboard": [["a", {"text": "b"}]]}'}))
    assert compose.markup(Args({"reply_markup": {"remove_keyboard": True}}))
