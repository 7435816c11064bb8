"""The bot's token: read from where the bot file says, known to nothing but the bot."""

import os

from bot_runner import programs
from bot_runner.failure import BotFailedError
from toolkit.botfile import BotFile
from toolkit.errors import SecretError
from toolkit.lifecycle import FailureClass
from toolkit.secrets import MAX_TOKEN_BYTES, checked, read_token

COMMAND_S = 15.0


def resolve(bot: BotFile) -> str | None:
    """The token, or None where the bot has none. What it stood in, variable or standard input, is emptied.

    A command that fails may work the next time, as when a vault is away: that is temporary.

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
            printed = programs.output(reference.value, COMMAND_S, MAX_TOKEN_BYTES)
            return checked(printed.decode("utf-8", "replace"), f"the output of {reference.value[0]}")
        if reference.kind == "stdin":
            return checked(_standard_input().decode("utf-8", "replace"), reference.value[0])
        token = read_token(reference, os.environ)
    except SecretError as error:
        raise BotFailedError(FailureClass.BAD_CONFIG, f"token: {error.message}") from None
    except BotFailedError as failure:
        raise BotFailedError(failure.failure, f"the token command {failure.reason}") from None
    if reference.kind == "env":
        os.environ.pop(reference.value[0], None)
    return token


def _standard_input() -> bytes:
    """All of it; from then on there is nothing to be read there, for the bot neither."""
    try:
        data = os.read(0, MAX_TOKEN_BYTES)
    except OSError as error:
        raise SecretError(f"standard input: {error.strerror}") from None
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return data
