"""Durations and sizes as people write them."""

import re

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)(B|KB|MB|GB|KiB|MiB|GiB)")
_BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_PERCENT = re.compile(r"([1-9][0-9]{0,5})%")

DURATION_PATTERN = f"^{_DURATION.pattern}$"
SIZE_PATTERN = f"^{_SIZE.pattern}$"
PERCENT_PATTERN = f"^{_PERCENT.pattern}$"


def seconds(value: float | str) -> float:
    """The seconds of a duration: a number of them, or text such as ``500ms``, ``10s``, ``5m``, ``1h``.

    Raises:
        ValueError: it is no duration.
    """
    if not isinstance(value, str):
        return float(value)
    match = _DURATION.fullmatch(value)
    if match is None:
        raise ValueError("not a duration")
    return float(match[1]) * _SECONDS[match[2]]


def byte_count(value: int | str) -> int:
    """The bytes of a size: a number of them, or text such as ``64KB`` (thousands) or ``1MiB``.

    Raises:
        ValueError: it is no size.
    """
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value)
    if match is None:
        raise ValueError("not a size")
    return int(float(match[1]) * _BYTES[match[2]])


def percent(value: str) -> int:
    """The percent of text such as ``50%``.

    Raises:
        ValueError: it is no percentage.
    """
    match = _PERCENT.fullmatch(value)
    if match is None:
        raise ValueError("not a percentage")
    return int(match[1])
