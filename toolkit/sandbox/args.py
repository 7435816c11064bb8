"""The parameters of a call, which come as text in a form or as values in JSON.

Telegram takes both and is lenient: a number may be text, a value out of range is clamped.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec

from toolkit.sandbox.replies import bad_request, encode

T = TypeVar("T")
_NUMBER = re.compile(r"\s*[+-]?[0-9]{1,19}\s*")
_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that came with a call."""

    name: str
    content_type: str
    content: bytes


class Args:
    """The parameters of one call.

    Parameters:
        values: by name; text where they came in a form or a query string.
        files: uploads by the name of their part.
    """

    __slots__ = ("files", "values")

    def __init__(self, values: Mapping[str, Any], files: Mapping[str, Upload] | None = None) -> None:
        self.values = values
        self.files = files or {}

    def text(self, name: str) -> str:
        """A parameter as text; empty where it is missing."""
        value = self.values.get(name)
        if value is None:
            return ""
        if isinstance(value, str):
            return value
        return encode(value).decode()

    def integer(self, name: str, default: int = 0) -> int:
        """A parameter as a whole number; the default where it is missing or none."""
        value = self.values.get(name)
        if isinstance(value, str) and _NUMBER.fullmatch(value):
            return int(value)
        if isinstance(value, int | float) and abs(value) < 1 << 63:
            return int(value)
        return default

    def number(self, name: str) -> float:
        """A parameter as a number; 0 where it is missing or none."""
        try:
            return float(self.text(name) or 0)
        except ValueError:
            return 0.0

    def flag(self, name: str) -> bool:
        """Whether a parameter says yes."""
        return self.text(name).strip().lower() in {"true", "yes", "1"}

    def json(self, name: str, kind: type[T], words: str) -> T | None:
        """A parameter that is a JSON value; None where it is missing or empty.

        Parameters:
            name: of the parameter.
            kind: ``dict`` or ``list``.
            words: what Telegram calls it in the error.

        Raises:
            ApiError: 400, it is no JSON or of another kind.
        """
        value = self.values.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, str):
            try:
                value = _decode(value)
            except (msgspec.DecodeError, RecursionError):
                raise bad_request(f"can't parse {words} JSON object") from None
        if not isinstance(value, kind):
            raise bad_request(f"object expected as {words}")
        return value

    def objects(self, name: str, words: str) -> list[dict[str, Any]]:
        """A parameter that is a JSON list of objects; empty where it is missing.

        Raises:
            ApiError: 400, it is something else.
        """
        found = self.json(name, list, words) or []
        if not all(isinstance(each, dict) for each in found):
            raise bad_request(f"expected an Object in the array of {words}")
        return found


def form_values(data: bytes) -> dict[str, Any]:
    """The parameters in a query string or a urlencoded form."""
    return dict(parse_qsl(data.decode(errors="replace"), keep_blank_values=True))


def json_values(data: bytes) -> dict[str, Any]:
    """The parameters in a JSON body.

    Raises:
        ApiError: 400, it is no JSON object.
    """
    if not data.strip():
        return {}
    try:
        values = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise bad_request("can't parse JSON object") from None
    if not isinstance(values, dict):
        raise bad_request("object expected")
    return values
