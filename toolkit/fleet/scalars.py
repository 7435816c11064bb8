"""What a plain (unquoted) YAML scalar means: what JSON and YAML 1.2 mean by it.

What YAML 1.1 and 1.2 read differently (`yes`, `0644`, `1_000`) is refused instead of guessed. Dates and
clock times stay text, in both.
"""

import math
import re

_FIRST = frozenset("0123456789+-.~nNtTfFyYoO")
_CONSTANTS: dict[str, bool | None] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_CONSTANTS |= dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(
    ("false", "False", "FALSE"), False
)
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_UNSURE_BOOLEAN = re.compile(r"yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF")
_UNSURE_NUMBER = re.compile(r"[-+]?(?:0[0-9_]+|0[ob][0-7_]+|[0-9][0-9_]*_[0-9_]*(?:\.[0-9_]*)?)")
_INTEGER_DIGITS = 20
_INTEGER_RANGE = range(-(2**63), 2**64)

Scalar = str | int | float | bool | None


def plain(text: str) -> Scalar:
    """The value of a plain scalar.

    Raises:
        ValueError: versions of YAML differ on it, or JSON has no such number; the message does not
            repeat the text.
    """
    if text and text[0] not in _FIRST:
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text) or _HEXADECIMAL.fullmatch(text):
        return _integer(text)
    if _UNSURE_BOOLEAN.fullmatch(text):
        raise ValueError("write true or false, or quote it: YAML versions read this word differently")
    if _UNSURE_NUMBER.fullmatch(text):
        raise ValueError("quote it, or write a plain number: YAML versions read this one differently")
    if _NOT_FINITE.fullmatch(text):
        raise ValueError("expected a finite number")
    if _FLOAT.fullmatch(text):
        return _float(text)
    return text


def _integer(text: str) -> int:
    if len(text) <= _INTEGER_DIGITS:
        number = int(text, 16) if "x" in text else int(text)
        if number in _INTEGER_RANGE:
            return number
    raise ValueError(f"expected a number from {_INTEGER_RANGE.start} to {_INTEGER_RANGE[-1]}")


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("expected a number from -1.79e308 to 1.79e308")
    return number
