"""The answers of the Bot API, in Telegram's own form.

https://core.telegram.org/bots/api#making-requests
"""

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode


def encode(value: Any) -> bytes:
    """JSON; also of the numbers beyond 64 bits that a client may have sent, which msgspec refuses."""
    try:
        return _encode(value)
    except OverflowError:
        return json.dumps(value).encode()


class ApiError(Exception):
    """A call that Telegram would refuse.

    Parameters:
        code: the HTTP status and ``error_code``.
        description: in Telegram's words, which bots compare.
        retry_after: seconds, with 429.
    """

    def __init__(self, code: int, description: str, retry_after: int = 0) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer."""

    status: int
    body: bytes
    content_type: bytes = b"application/json"
    retry_after: int = 0


def bad_request(what: str) -> ApiError:
    """``400 Bad Request: <what>``."""
    return ApiError(400, f"Bad Request: {what}")


def not_found() -> ApiError:
    """What Telegram answers where no method or bot can be made of the path."""
    return ApiError(404, "Not Found")


def phrase(code: int) -> str:
    """The standard words of a status."""
    try:
        return HTTPStatus(code).phrase
    except ValueError:
        return "Error"


def success(result: Any) -> Reply:
    """The reply to a call that was done."""
    return Reply(200, encode({"ok": True, "result": result}))


def failure(error: ApiError) -> Reply:
    """The reply to a call that was refused."""
    body: dict[str, Any] = {"ok": False, "error_code": error.code, "description": error.description}
    if error.retry_after:
        body["parameters"] = {"retry_after": error.retry_after}
    return Reply(error.code, encode(body), retry_after=error.retry_after)
