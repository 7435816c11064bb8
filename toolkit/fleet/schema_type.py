"""The form of a type in the fleet's files: what bots share."""

from toolkit.fleet.addresses import ADDRESS_TITLE
from toolkit.fleet.quantities import PERCENT_PATTERN
from toolkit.fleet.schema_values import (
    ARGV,
    CONFIG,
    ENDPOINT,
    IDENTIFIER,
    NO_NUL,
    PATH,
    choice,
    duration,
    mapping,
    size,
    text,
    whole,
)

# What a sandbox can leave open.
NEEDS = ("home", "devices", "jit", "subprocess")
# Linux takes no longer argument or variable than 128 KiB, and a character may have four bytes.
_MAX_TEXT = 32_000
# Set by the unit itself.
RESERVED_VARIABLES = ("BOT_TOOLKIT_UNIT", "NOTIFY_SOCKET", "WATCHDOG_USEC")

_TARGET = {
    "title": "a target such as bots.echo:build (module:name)",
    "pattern": f"^{IDENTIFIER}(\\.{IDENTIFIER})*:{IDENTIFIER}(\\.{IDENTIFIER})*$",
}

APP = mapping(
    "exactly one of telegram, async, exec",
    "What the bot is: a python-telegram-bot application, a coroutine, or any program.",
    {
        "telegram": text(
            _TARGET["title"],
            "A function that takes the bot's context and returns a telegram.ext builder.",
            _TARGET["pattern"],
            examples=["bots.echo:build"],
        ),
        "async": text(
            _TARGET["title"], "A coroutine function that takes the bot's context.", _TARGET["pattern"]
        ),
        "exec": ARGV,
        "ready": choice(
            "When the bot is ready: once it runs, or when the app says so (not for telegram).", "start", "app"
        ),
        "token_env": text(
            "the name of an environment variable",
            "The variable that gives an exec program its token.",
            f"^{IDENTIFIER}$",
        ),
    },
    oneOf=[{"required": ["telegram"]}, {"required": ["async"]}, {"required": ["exec"]}],
)

LIMITS = mapping(
    "a mapping of limits",
    "What the process may use.",
    {
        "open_files": whole("File descriptors.", 64, 1_048_576, 1024),
        "processes": whole("Processes and threads of the user.", 1, 4_194_304),
        "core_bytes": whole("Size of a core dump.", 0, 2**62, 0),
        "nice": whole("The scheduler's niceness.", -20, 19, 0),
        "memory_high": size("Memory above which the bot is slowed; systemd only, as all from here on."),
        "memory_max": size("Memory above which the bot is ended and started anew."),
        "cpu_weight": whole("Share of busy processors; 100 is everybody's.", 1, 10_000),
        "cpu_quota": {
            "title": "a percentage of one processor such as 50% or 200%",
            "description": "Processor time that the bot has at most.",
            "type": "string",
            "pattern": PERCENT_PATTERN,
        },
        "tasks": whole("Processes and threads of the bot.", 1, 4_194_304),
        "io_weight": whole("Share of busy disks; 100 is everybody's.", 1, 10_000),
        "ip_allow": {
            "title": "a list of addresses",
            "description": "The only addresses that packets go to and come from; system mode only.",
            "type": "array",
            "items": {"title": ADDRESS_TITLE, "type": "string"},
            "examples": [["149.154.160.0/20", "91.108.4.0/22", "localhost"]],
        },
    },
)

RESTART = mapping(
    "a mapping of restart settings",
    "How a bot that ended unasked comes back.",
    {
        "policy": choice("When it is started again.", "unexpected", "never"),
        "pause": duration("Pause before the second try in a row; doubled with each further one.", "1s"),
        "pause_max": duration("The longest pause.", "60s"),
        "limit": whole(
            "Failed starts in a row after which no more are tried; 0: no limit.", 0, 1_000_000, 20
        ),
        "healthy": duration("A run as long as this ends the row of failed starts.", "60s"),
    },
)

HEALTH = mapping(
    "a mapping of health limits",
    "When a bot that runs is not well. One that hangs is ended as deaf and started again.",
    {
        "loop": duration("The event loop, or a program's WATCHDOG=1, later than this: it hangs.", "90s"),
        "poll": duration("A poll later than its own deadline by more than this: it hangs.", "30s"),
        "handler": duration("An update in its handler for longer: a trouble, but no hang.", "2m"),
        "stuck": duration("Nothing begun or ended, or no file to open, for longer: it hangs.", "10m"),
        "start": duration("The app's import and factory, or its post_init, for longer: it hangs.", "5m"),
    },
)

LOG = mapping(
    "a mapping of log settings",
    "The bot's log.",
    {
        "format": choice("One JSON object a line, or readable text.", "json", "text"),
        "level": {**choice("The least level.", "DEBUG", "INFO", "WARNING", "ERROR"), "default": "INFO"},
        "max_bytes": size("Size at which the file is rotated.", "10MB"),
        "keep": whole("Rotated files that stay.", 0, 1000, 3),
    },
)

TYPE = mapping(
    "a mapping with app",
    "What bots of one kind share.",
    {
        "app": APP,
        "search": {
            "title": "a list of folders",
            "description": "Folders in front of Python's search path, relative to the fleet file.",
            "type": "array",
            "items": text(PATH, "A folder."),
            "default": ["."],
        },
        "directory": text(PATH, "The working folder, relative to the fleet file.", default="."),
        "user": text(
            "the name of a user: up to 31 of a-z, 0-9, - and _, a letter or _ first",
            "The user that runs the type's bots, in system mode.",
            "^[a-z_][a-z0-9_-]{0,30}$",
        ),
        "python": text(
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
                "pattern": f"^{IDENTIFIER}$",
                "not": {"enum": list(RESERVED_VARIABLES)},
            },
            "additionalProperties": {
                "title": f"a text of up to {_MAX_TEXT:,} characters",
                "type": "string",
                "pattern": NO_NUL,
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
        "delivery": choice(
            "What is worse for an update when the process dies: to be lost, or to be handled twice.",
            "at-least-once",
            "at-most-once",
        ),
        "stop_timeout": duration("Time from SIGTERM that a bot has to finish what it does.", "10s"),
    },
    required=["app"],
)
