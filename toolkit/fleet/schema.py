"""The form of the fleet's files, as JSON Schema (draft 2020-12).

A ``title`` is what the value is, in words that fit after "expected": problems are told with them. The
schema is written to be quick to check for 1,000 bots: their part has no references and no alternatives.
What one value alone cannot show (ranges of durations, names that must exist) is in ``checks``.
"""

from toolkit.fleet.schema_type import TYPE
from toolkit.fleet.schema_values import (
    ARGV,
    CONFIG,
    ENDPOINT,
    IDENTIFIER,
    PATH,
    Schema,
    choice,
    mapping,
    reserved,
    text,
)
from toolkit.paths import BOT_NAME, FLEET_NAME, RESERVED_BOT_NAMES, TYPE_NAME

_EXACTLY_ONE_REFERENCE = "exactly one of file, env, command, credential"

TOKEN = mapping(
    _EXACTLY_ONE_REFERENCE,
    "Where the bot's token is to be found; never the token itself.",
    {
        "file": text(
            PATH, "A file that holds nothing but the token, relative to this file. Its mode should be 0600."
        ),
        "env": text(
            "the name of an environment variable", "A variable of the supervisor.", f"^{IDENTIFIER}$"
        ),
        "command": {**ARGV, "description": "A program that prints the token, with its arguments."},
        "credential": text(
            "the name of a systemd credential",
            "A credential that systemd passes to the unit.",
            "^[A-Za-z0-9_-][A-Za-z0-9_.@-]*$",
        ),
    },
    minProperties=1,
    maxProperties=1,
    examples=[{"file": "secrets/alice.token"}],
)

BOT = mapping(
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

SCHEMA: Schema = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    **mapping(
        "a mapping of the fleet",
        "A fleet of chat bots: fleet.yaml of Bot Toolkit.",
        {
            "version": {"title": "1", "description": "The version of this form.", "const": 1},
            "fleet": text(
                "a fleet name: up to 24 of a-z and 0-9",
                "The fleet's name.",
                f"^(?:{FLEET_NAME.pattern})$",
                examples=["demo"],
            ),
            "backend": choice(
                "The supervisor that runs the bots.",
                "auto",
                "supervisord",
                "systemd",
            ),
            "mode": choice(
                "Whose supervisor: the user's, or the machine's, which runs each bot as a user of its own.",
                "auto",
                "user",
                "system",
            ),
            "root": text(
                PATH,
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
            "placement": reserved("Reserved for fleets on several machines."),
            "environments": reserved("Reserved for variants of a fleet."),
        },
        required=["version", "fleet"],
    ),
}

BOTS_SCHEMA: Schema = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    **mapping("a mapping with bots", "A file in bots.d.", {"bots": BOTS}, required=["bots"]),
}
