"""The form of the fleet's files, as JSON Schema (draft 2020-12).

A ``title`` is what the value is, in words that fit after "expected": problems are told with them. The
schema is written to be quick to check for 1,000 bots: their part has no references and no alternatives.
What one value alone cannot show (ranges of durations, names that must exist) is in ``checks``.
"""

from typing import Any

from toolkit.fleet.addresses import ADDRESS_TITLE
from toolkit.fleet.quantities import DURATION_PATTERN, PERCENT_PATTERN, SIZE_PATTERN
from toolkit.paths import BOT_NAME, FLEET_NAME, RESERVED_BOT_NAMES, TYPE_NAME

Schema = dict[str, Any]

# What a sandbox can leave open.
NEEDS = ("home", "devices", "jit", "subprocess")
# Linux takes no longer argument or variable than 128 KiB, and a character may have four bytes.
_MAX_TEXT = 32_000
# Set by the unit itself.
RESERVED_VARIABLES = ("BOT_TOOLKIT_UNIT", "NOTIFY_SOCKET", "WATCHDOG_USEC")

_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"
_PORT = "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_NO_NUL = "^[^\\u0000]*$"


def _object(title: str, description: str, properties: Schema, **more: Any) -> Schema:
    return {
        "title": title,
        "description": description,
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        **more,
    }


def _text(title: str, description: str, pattern: str = _NO_NUL, **more: Any) -> Schema:
    return {
        "title": title,
        "description": description,
        "type": "string",
        "minLength": 1,
        "pattern": pattern,
        **more,
    }


def _whole(description: str, minimum: int, maximum: int, default: int | None = None) -> Schema:
    schema = {
        "title": f"a whole number from {minimum} to {maximum}",
        "description": description,
        "type": "integer",
        "minimum": minimum,
        "maximum": maximum,
    }
    return schema if default is None else {**schema, "default": default}


def _duration(description: str, default: str) -> Schema:
    return {
        "title": "a duration: a number of seconds, or text such as 500ms, 10s, 5m or 1h",
        "description": description,
        "type": ["number", "string"],
        "minimum": 0,
        "pattern": DURATION_PATTERN,
        "default": default,
    }


def _size(description: str, default: str | None = None) -> Schema:
    schema = {
        "title": "a size: a number of bytes, or text such as 64KB, 10MB or 1MiB",
        "description": description,
        "type": ["integer", "string"],
        "minimum": 0,
        "pattern": SIZE_PATTERN,
    }
    return schema if default is None else {**schema, "default": default}


def _choice(description: str, *values: str) -> Schema:
    return {
        "title": "one of " + ", ".join(values),
        "description": description,
        "enum": list(values),
        "default": values[0],
    }


def _reserved(description: str) -> Schema:
    return {"description": description, "not": {}}


_PATH = "a path"
_TARGET = {
    "title": "a target such as bots.echo:build (module:name)",
    "pattern": f"^{_IDENTIFIER}(\\.{_IDENTIFIER})*:{_IDENTIFIER}(\\.{_IDENTIFIER})*$",
}

ENDPOINT = _text(
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
    "items": {"title": "a text", "type": "string", "pattern": _NO_NUL},
}

_EXACTLY_ONE_REFERENCE = "exactly one of file, env, command, credential"

TOKEN = _object(
    _EXACTLY_ONE_REFERENCE,
    "Where the bot's token is to be found; never the token itself.",
    {
        "file": _text(
            _PATH, "A file that holds nothing but the token, relative to this file. Its mode should be 0600."
        ),
        "env": _text(
            "the name of an environment variable", "A variable of the supervisor.", f"^{_IDENTIFIER}$"
        ),
        "command": {**ARGV, "description": "A program that prints the token, with its arguments."},
        "credential": _text(
            "the name of a systemd credential",
            "A credential that systemd passes to the unit.",
            "^[A-Za-z0-9_-][A-Za-z0-9_.@-]*$",
        ),
    },
    minProperties=1,
    maxProperties=1,
    examples=[{"file": "secrets/alice.token"}],
)

BOT = _object(
    "a mapping with type and token",
    "One bot.",
    {
        "type": {"title": "the name of a type", "description": "One of `types`.", "type": "string"},
        "token": TOKEN,
        "endpoint": ENDPOINT,
        "config": CONFIG,
    },
    required=["type"],
)

BOTS = {
    "title": "a mapping of bot names to bots",
    "description": "The bots, by name.",
    "type": "object",
    "propertyNames": {
        "title": "a bot name: up to 32 of a-z, 0-9 and -, a letter first and no - last",
        "pattern": f"^(?:{BOT_NAME.pattern})$",
        "not": {"enum": list(RESERVED_BOT_NAMES)},
    },
    "additionalProperties": BOT,
    "examples": [{"alice": {"type": "echo", "token": {"file": "secrets/alice.token"}}}],
}

APP = _object(
    "exactly one of telegram, async, exec",
    "What the bot is: a python-telegram-bot application, a coroutine, or any program.",
    {
        "telegram": _text(
            _TARGET["title"],
            "A function that takes the bot's context and returns a telegram.ext builder.",
            _TARGET["pattern"],
            examples=["bots.echo:build"],
        ),
        "async": _text(
            _TARGET["title"], "A coroutine function that takes the bot's context.", _TARGET["pattern"]
        ),
        "exec": ARGV,
        "ready": _choice(
            "When the bot is ready: once it runs, or when the app says so (not for telegram).", "start", "app"
        ),
        "token_env": _text(
            "the name of an environment variable",
            "The variable that gives an exec program its token.",
            f"^{_IDENTIFIER}$",
        ),
    },
    oneOf=[{"required": ["telegram"]}, {"required": ["async"]}, {"required": ["exec"]}],
)

LIMITS = _object(
    "a mapping of limits",
    "What the process may use.",
    {
        "open_files": _whole("File descriptors.", 64, 1_048_576, 1024),
        "processes": _whole("Processes and threads of the user.", 1, 4_194_304),
        "core_bytes": _whole("Size of a core dump.", 0, 2**62, 0),
        "nice": _whole("The scheduler's niceness.", -20, 19, 0),
        "memory_high": _size("Memory above which the bot is slowed; systemd only, as all from here on."),
        "memory_max": _size("Memory above which the bot is ended and started anew."),
        "cpu_weight": _whole("Share of busy processors; 100 is everybody's.", 1, 10_000),
        "cpu_quota": {
            "title": "a percentage of one processor such as 50% or 200%",
            "description": "Processor time that the bot has at most.",
            "type": "string",
            "pattern": PERCENT_PATTERN,
        },
        "tasks": _whole("Processes and threads of the bot.", 1, 4_194_304),
        "io_weight": _whole("Share of busy disks; 100 is everybody's.", 1, 10_000),
        "ip_allow": {
            "title": "a list of addresses",
            "description": "The only addresses that packets go to and come from; system mode only.",
            "type": "array",
            "items": {"title": ADDRESS_TITLE, "type": "string"},
            "examples": [["149.154.160.0/20", "91.108.4.0/22", "localhost"]],
        },
    },
)

RESTART = _object(
    "a mapping of restart settings",
    "How a bot that ended unasked comes back.",
    {
        "policy": _choice("When it is started again.", "unexpected", "never"),
        "pause": _duration("Pause before the second try in a row; doubled with each further one.", "1s"),
        "pause_max": _duration("The longest pause.", "60s"),
        "limit": _whole(
            "Failed starts in a row after which no more are tried; 0: no limit.", 0, 1_000_000, 20
        ),
        "healthy": _duration("A run as long as this ends the row of failed starts.", "60s"),
    },
)

HEALTH = _object(
    "a mapping of health limits",
    "When a bot that runs is not well. One that hangs is ended as deaf and started again.",
    {
        "loop": _duration("The event loop, or a program's WATCHDOG=1, later than this: it hangs.", "90s"),
        "poll": _duration("A poll later than its own deadline by more than this: it hangs.", "30s"),
        "handler": _duration("An update in its handler for longer: a trouble, but no hang.", "2m"),
        "stuck": _duration("Nothing begun or ended, or no file to open, for longer: it hangs.", "10m"),
        "start": _duration("The app's import and factory, or its post_init, for longer: it hangs.", "5m"),
    },
)

LOG = _object(
    "a mapping of log settings",
    "The bot's log.",
    {
        "format": _choice("One JSON object a line, or readable text.", "json", "text"),
        "level": {**_choice("The least level.", "DEBUG", "INFO", "WARNING", "ERROR"), "default": "INFO"},
        "max_bytes": _size("Size at which the file is rotated.", "10MB"),
        "keep": _whole("Rotated files that stay.", 0, 1000, 3),
    },
)

TYPE = _object(
    "a mapping with app",
    "What bots of one kind share.",
    {
        "app": APP,
        "search": {
            "title": "a list of folders",
            "description": "Folders in front of Python's search path, relative to the fleet file.",
            "type": "array",
            "items": _text(_PATH, "A folder."),
            "default": ["."],
        },
        "directory": _text(_PATH, "The working folder, relative to the fleet file.", default="."),
        "user": _text(
            "the name of a user: up to 31 of a-z, 0-9, - and _, a letter or _ first",
            "The user that runs the type's bots, in system mode.",
            "^[a-z_][a-z0-9_-]{0,30}$",
        ),
        "python": _text(
            "the absolute path of a Python interpreter",
            "The interpreter that bot-runner is installed in; the toolkit's own where none is named.",
            "^/[^\\u0000]*$",
            examples=["/opt/bots/venv/bin/python"],
        ),
        "endpoint": ENDPOINT,
        "config": CONFIG,
        "environment": {
            "title": "a mapping of variables to texts",
            "description": "Environment variables of the process. No secrets: they are seen by others.",
            "type": "object",
            "propertyNames": {
                "title": "the name of an environment variable",
                "pattern": f"^{_IDENTIFIER}$",
                "not": {"enum": list(RESERVED_VARIABLES)},
            },
            "additionalProperties": {
                "title": f"a text of up to {_MAX_TEXT:,} characters",
                "type": "string",
                "pattern": _NO_NUL,
                "maxLength": _MAX_TEXT,
            },
        },
        "limits": LIMITS,
        "needs": {
            "title": "a list of " + ", ".join(NEEDS),
            "description": "What the sandbox of systemd leaves open for the bots.",
            "type": "array",
            "items": {"title": "one of " + ", ".join(NEEDS), "enum": list(NEEDS)},
            "default": [],
        },
        "restart": RESTART,
        "health": HEALTH,
        "log": LOG,
        "concurrency": {
            "title": "auto, or a whole number from 1 to 256",
            "description": "How many updates a telegram bot handles at once; one chat's always in order.",
            "type": ["integer", "string"],
            "minimum": 1,
            "maximum": 256,
            "pattern": "^auto$",
            "default": "auto",
        },
        "delivery": _choice(
            "What is worse for an update when the process dies: to be lost, or to be handled twice.",
            "at-least-once",
            "at-most-once",
        ),
        "stop_timeout": _duration("Time from SIGTERM that a bot has to finish what it does.", "10s"),
    },
    required=["app"],
)

SCHEMA: Schema = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    **_object(
        "a mapping of the fleet",
        "A fleet of chat bots: fleet.yaml of Bot Toolkit.",
        {
            "version": {"title": "1", "description": "The version of this form.", "const": 1},
            "fleet": _text(
                "a fleet name: up to 24 of a-z and 0-9",
                "The fleet's name.",
                f"^(?:{FLEET_NAME.pattern})$",
                examples=["demo"],
            ),
            "backend": _choice(
                "The supervisor that runs the bots.",
                "auto",
                "supervisord",
                "systemd",
            ),
            "mode": _choice(
                "Whose supervisor: the user's, or the machine's, which runs each bot as a user of its own.",
                "auto",
                "user",
                "system",
            ),
            "root": _text(
                _PATH,
                "A folder, relative to this file, for the user's state folder; in system mode for /.",
            ),
            "endpoint": ENDPOINT,
            "config": CONFIG,
            "types": {
                "title": "a mapping of type names to types",
                "description": "The types, by name.",
                "type": "object",
                "propertyNames": {
                    "title": "a type name: up to 32 of a-z, 0-9, - and _, a letter first",
                    "pattern": f"^{TYPE_NAME.pattern}$",
                },
                "additionalProperties": TYPE,
            },
            "bots": BOTS,
            "placement": _reserved("Reserved for fleets on several machines."),
            "environments": _reserved("Reserved for variants of a fleet."),
        },
        required=["version", "fleet"],
    ),
}

BOTS_SCHEMA: Schema = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    **_object("a mapping with bots", "A file in bots.d.", {"bots": BOTS}, required=["bots"]),
}
