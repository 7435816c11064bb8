"""The bot's token: read from where the bot file says, known to nothing but the bot."""

import os
import subprocess

from bot_runner.failure import BotFailedError
from toolkit.botfile import BotFile
from toolkit.errors import SecretError
from toolkit.lifecycle import FailureClass
from toolkit.secrets import MAX_TOKEN_BYTES, TokenReference, checked, read_token

COMMAND_S = 15.0


def resolve(bot: BotFile) -> str | None:
    """The token, or None where the bot has none. A variable that held it is taken out of the environment.

    Raises:
        BotFailedError: BAD_CONFIG, its source is missing or holds no token; TEMPORARY, its command failed.
    """
    reference = bot.token
    if reference is None:
        if bot.app.kind == "telegram":
            raise BotFailedError(FailureClass.BAD_CONFIG, "a telegram bot needs a token")
        return None
    try:
        if reference.kind == "command":
            return checked(_run(reference), f"the output of {reference.value[0]}")
        token = read_token(reference, os.environ)
    except SecretError as error:
        raise BotFailedError(FailureClass.BAD_CONFIG, error.message) from None
    if reference.kind == "env":
        os.environ.pop(reference.value[0], None)
    return token


def _run(reference: TokenReference) -> str:
    """What the command prints. That it fails may pass, as when a vault is away; so it is retried."""
    name = reference.value[0]
    try:
        done = subprocess.run(
            reference.value, stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_S, check=False
        )
    except subprocess.TimeoutExpired:
        reason = f"the token command {name} took longer than {COMMAND_S:g} s"
        raise BotFailedError(FailureClass.TEMPORARY, reason) from None
    except OSError as error:
        reason = f"the token command {name}: {error.strerror}"
        raise BotFailedError(FailureClass.BAD_CONFIG, reason) from None
    if done.returncode:
        reason = f"the token command {name} failed with code {done.returncode}"
        raise BotFailedError(FailureClass.TEMPORARY, reason)
    return done.stdout[:MAX_TOKEN_BYTES].decode("utf-8", "replace")
