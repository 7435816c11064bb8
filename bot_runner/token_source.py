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
    """The token, or None where the bot has none. A variable that held it is taken out of the environment.

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
            printed = programs.output(reference.value, COMMAND_S)[:MAX_TOKEN_BYTES]
            return checked(printed.decode("utf-8", "replace"), f"the output of {reference.value[0]}")
        token = read_token(reference, os.environ)
    except SecretError as error:
        raise BotFailedError(FailureClass.BAD_CONFIG, f"token: {error.message}") from None
    except BotFailedError as failure:
        raise BotFailedError(failure.failure, f"the token command {failure.reason}") from None
    if reference.kind == "env":
        os.environ.pop(reference.value[0], None)
    return token
