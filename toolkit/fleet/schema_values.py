"""Kinds of values in the fleet's files, as JSON Schema; each title fits after "expected"."""

from typing import Any

from toolkit.fleet.quantities import DURATION_PATTERN, SIZE_PATTERN

Schema = dict[str, Any]

IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"
NO_NUL = "^[^\\u0000]*$"
PATH = "a path"
_PORT = "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"


def mapping(title: str, description: str, properties: Schema, **more: Any) -> Schema:
    """A mapping of these keys and no others."""
    return {
        "title": title,
        "description": description,
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        **more,
    }


def text(title: str, description: str, pattern: str = NO_NUL, **more: Any) -> Schema:
    """A text that is not empty."""
    return {
        "title": title,
        "description": description,
        "type": "string",
        "minLength": 1,
        "pattern": pattern,
        **more,
    }


def whole(description: str, minimum: int, maximum: int, default: int | None = None) -> Schema:
    """A whole number."""
    schema = {
        "title": f"a whole number from {minimum} to {maximum}",
        "description": description,
        "type": "integer",
        "minimum": minimum,
        "maximum": maximum,
    }
    return schema if default is None else {**schema, "default": default}


def duration(description: str, default: str) -> Schema:
    """A duration, as ``quantities`` reads it."""
    return {
        "title": "a duration: a number of seconds, or text such as 500ms, 10s, 5m or 1h",
        "description": description,
        "type": ["number", "string"],
        "minimum": 0,
        "pattern": DURATION_PATTERN,
        "default": default,
    }


def size(description: str, default: str | None = None) -> Schema:
    """A size, as ``quantities`` reads it."""
    schema = {
        "title": "a size: a number of bytes, or text such as 64KB, 10MB or 1MiB",
        "description": description,
        "type": ["integer", "string"],
        "minimum": 0,
        "pattern": SIZE_PATTERN,
    }
    return schema if default is None else {**schema, "default": default}


def choice(description: str, *values: str) -> Schema:
    """One of these values; the first is the default."""
    return {
        "title": "one of " + ", ".join(values),
        "description": description,
        "enum": list(values),
        "default": values[0],
    }


def reserved(description: str) -> Schema:
    """A key that nobody may use yet."""
    return {"description": description, "not": {}}


ENDPOINT = text(
    "a Bot API server such as https://api.telegram.org: scheme, host and port (1 to 65535), no path",
    "The Bot API server. A bot's own wins over its type's, and that over the fleet's.",
    "^https?://([^\\s/?#@:\\[\\]]+|\\[[0-9A-Fa-f:.]+\\])(:" + _PORT + ")?/?$",
    examples=["https://api.telegram.org", "http://127.0.0.1:8081"],
)

CONFIG = {
    "title": "a mapping of keys to values",
    "description": "Configuration. Bots see the fleet's, their type's and their own merged; the latter wins.",
    "type": "object",
    "examples": [{"greeting": "Hello"}],
}

ARGV = {
    "title": "a program and its arguments, as a list of texts",
    "description": "A program and its arguments, as a list; no shell reads it.",
    "type": "array",
    "minItems": 1,
    "items": {"title": "a text", "type": "string", "pattern": NO_NUL},
}
