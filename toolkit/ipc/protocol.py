"""Frames and messages of the control socket: JSON-RPC 2.0 in length-prefixed frames. No I/O.

A frame is its payload's length as four bytes, big-endian, then the payload: one JSON-RPC 2.0 object
(https://www.jsonrpc.org/specification). A call names, as ``bot``, the bot that it is meant for, and an answer
the bot that gives it: a bot may have laid the socket of another in the place of its own.
"""

import json
import struct
from dataclasses import dataclass, field
from typing import Any

from toolkit.errors import ProtocolError

PROTOCOL_VERSION = 1
MAX_FRAME = 1024 * 1024
_LENGTH = struct.Struct(">I")

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
OVERSIZE = -32001
TIMEOUT = -32002
BUSY = -32003
REFUSED = -32004


class RpcError(ProtocolError):
    """An error that a peer answered or that is to be answered.

    Parameters:
        code: a JSON-RPC error code, one of the constants of this module.
        message: what is wrong.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Request:
    """A call.

    Parameters:
        id: None for a notification, which gets no answer.
        method: what is asked.
        params: what the method takes.
        deadline: after this moment of the machine's monotonic clock, in seconds, nobody waits for the answer
            any more, and the call must have no effect; None where it may come however late.
        bot: whom it is meant for; "" for whoever answers, as callers before this member had it.
    """

    id: int | str | None
    method: str
    params: dict[str, Any] = field(default_factory=dict)
    deadline: float | None = None
    bot: str = ""


class FrameDecoder:
    """Cuts a byte stream into payloads."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def pending(self) -> int:
        """Bytes of a frame that is not whole yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes as they come; give the payloads that are whole.

        Raises:
            RpcError: OVERSIZE, a frame is announced that is longer than MAX_FRAME. The stream cannot
                be read on after that.
        """
        self._buffer += data
        payloads = []
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > MAX_FRAME:
                raise RpcError(OVERSIZE, f"a frame of {length} bytes; at most {MAX_FRAME} are allowed")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                break
            payloads.append(bytes(self._buffer[_LENGTH.size : end]))
            del self._buffer[:end]
        return payloads


def frame(message: dict[str, Any]) -> bytes:
    """One message as a frame.

    Raises:
        RpcError: OVERSIZE, the message is longer than MAX_FRAME.
    """
    payload = json.dumps(message, separators=(",", ":")).encode()
    if len(payload) > MAX_FRAME:
        raise RpcError(OVERSIZE, f"an answer of {len(payload)} bytes; at most {MAX_FRAME} are allowed")
    return _LENGTH.pack(len(payload)) + payload


def call(request: Request) -> bytes:
    """The frame of a call."""
    message = {"jsonrpc": "2.0", "id": request.id, "method": request.method, "params": request.params}
    given = {} if request.deadline is None else {"deadline": request.deadline}
    return frame(message | given | _named(request.bot))


def result(request_id: int | str | None, value: object, bot: str = "") -> bytes:
    """The frame of an answer, with the name of the bot that gives it."""
    return frame({"jsonrpc": "2.0", "id": request_id, "result": value} | _named(bot))


def failure(request_id: int | str | None, error: RpcError, bot: str = "") -> bytes:
    """The frame of an error, with the name of the bot that gives it."""
    body = {"code": error.code, "message": error.message}
    return frame({"jsonrpc": "2.0", "id": request_id, "error": body} | _named(bot))


def _named(bot: str) -> dict[str, str]:
    return {"bot": bot} if bot else {}


def _json_object(payload: bytes) -> dict[str, Any]:
    try:
        message = json.loads(payload)
    except (ValueError, RecursionError):
        raise RpcError(PARSE_ERROR, "not JSON") from None
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, "not a JSON-RPC 2.0 object")
    return message


def parse_request(payload: bytes) -> Request:
    """The call in a payload.

    Raises:
        RpcError: PARSE_ERROR or INVALID_REQUEST or INVALID_PARAMS.
    """
    message = _json_object(payload)
    request_id, method = message.get("id"), message.get("method")
    params, bot = message.get("params", {}), message.get("bot", "")
    if isinstance(request_id, bool) or not isinstance(request_id, int | str | None):
        raise RpcError(INVALID_REQUEST, "an id is a number, a string or null")
    if not isinstance(method, str):
        raise RpcError(INVALID_REQUEST, "no method")
    if not isinstance(bot, str):
        raise RpcError(INVALID_REQUEST, "a bot is named by a string")
    if not isinstance(params, dict):
        raise RpcError(INVALID_PARAMS, "params must be an object")
    deadline = message.get("deadline")
    if isinstance(deadline, bool) or not isinstance(deadline, int | float | None):
        raise RpcError(INVALID_REQUEST, "a deadline is a number of seconds")
    return Request(request_id, method, params, deadline, bot)


def parse_answer(payload: bytes, bot: str = "") -> Any:
    """The result in a payload.

    Parameters:
        bot: who was asked. An answer without a name, as older runners give it, is taken for that bot's.

    Raises:
        RpcError: the error that the peer answered; PARSE_ERROR or INVALID_REQUEST for garbage; REFUSED where
            another bot answered.
    """
    message = _json_object(payload)
    answering = message.get("bot", bot)
    if bot and answering != bot:
        raise RpcError(REFUSED, f"another bot answers in the place of {bot}: {str(answering)[:64]}")
    error = message.get("error")
    if isinstance(error, dict):
        code = error.get("code")
        raise RpcError(
            code if type(code) is int else INTERNAL_ERROR, str(error.get("message", "unknown error"))
        )
    if "result" not in message:
        raise RpcError(INVALID_REQUEST, "an answer without a result")
    return message["result"]
