"""Frames and messages of the control socket, against hostile bytes."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.ipc import protocol
from toolkit.ipc.protocol import FrameDecoder, Request, RpcError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=300)), st.integers(min_value=1, max_value=400))
def test_payloads_come_out_as_they_went_in_however_they_are_cut(payloads, size):
    stream = b"".join(len(payload).to_bytes(4, "big") + payload for payload in payloads)
    decoder = FrameDecoder()
    out = [payload for at in range(0, len(stream), size) for payload in decoder.feed(stream[at : at + size])]
    assert out == payloads
    assert decoder.pending == 0


@settings(deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=20))
def test_garbage_is_waited_for_or_refused_and_never_kept_beyond_a_frame(chunks):
    decoder = FrameDecoder()
    payloads, code = [], 0
    for chunk in chunks:
        try:
            payloads += decoder.feed(chunk)
        except RpcError as error:
            code = error.code
            break
        assert decoder.pending <= protocol.MAX_FRAME + 4
    assert code in {0, protocol.OVERSIZE}
    for payload in payloads:
        with pytest.raises(RpcError) as refused:
            protocol.parse_request(payload)
        assert refused.value.code in {protocol.PARSE_ERROR, protocol.INVALID_REQUEST}


@settings(deadline=None)
@given(JSON)
def test_any_json_is_a_request_or_a_clean_error(value):
    outcome: Request | int
    try:
        outcome = protocol.parse_request(json.dumps(value).encode())
    except RpcError as error:
        outcome = error.code
    clean = outcome in {protocol.INVALID_REQUEST, protocol.INVALID_PARAMS}
    assert clean or isinstance(outcome, Request)


@settings(deadline=None)
@given(st.integers() | st.text(), st.text(), st.dictionaries(st.text(), JSON, max_size=3))
def test_a_call_comes_out_as_it_went_in(request_id, method, params):
    (payload,) = FrameDecoder().feed(protocol.call(Request(request_id, method, params)))
    assert protocol.parse_request(payload) == Request(request_id, method, params)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", protocol.PARSE_ERROR),
        (b"[" * 100_000, protocol.PARSE_ERROR),
        (b"9" * 10_000, protocol.PARSE_ERROR),
        (b"\xff\xfe", protocol.PARSE_ERROR),
        (b"[]", protocol.INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":{},"method":"x"}', protocol.INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":true,"method":"x"}', protocol.INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":1}', protocol.INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":1,"method":"x","params":[]}', protocol.INVALID_PARAMS),
    ],
)
def test_what_is_no_call_says_why(payload, code):
    with pytest.raises(RpcError) as error:
        protocol.parse_request(payload)
    assert error.value.code == code


@pytest.mark.parametrize("code", [b'"x"', b"null", b"[]", b"1e999", b"true"])
def test_an_error_whose_code_is_none_is_an_error_all_the_same(code):
    with pytest.raises(RpcError, match="odd") as error:
        protocol.parse_answer(b'{"jsonrpc":"2.0","id":1,"error":{"code":%s,"message":"odd"}}' % code)
    assert error.value.code == protocol.INTERNAL_ERROR
