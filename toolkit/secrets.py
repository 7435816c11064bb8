"""References to tokens, and what is public of a token: the bot's id."""

import os
import re
from collections.abc import Mapping
from typing import Literal

import msgspec

from toolkit.errors import SecretError

# A token stands by itself, or right after `bot` in a URL of the Bot API.
TOKEN_PATTERN = re.compile(r"(?:\b|(?<=bot))([0-9]{3,20}):([A-Za-z0-9_-]{30,})")
_WHOLE_TOKEN = re.compile(r"([0-9]{3,20}):[A-Za-z0-9_-]{20,}")
MAX_TOKEN_BYTES = 4096
# References whose value is the path of a file.
FILE_KINDS = ("file", "stdin")


class TokenReference(msgspec.Struct, frozen=True):
    """Where a token is to be found; never the token itself.

    Parameters:
        kind: ``file`` (a path), ``env`` (a variable's name), ``command`` (its arguments), or
            ``credential`` (the name of a systemd credential). In a bot file also ``stdin``: systemd opens
            the file of this path, which the bot itself may not read, as the runner's standard input.
        value: the path, name or arguments; only a command has more than one.
    """

    kind: Literal["file", "env", "command", "credential", "stdin"]
    value: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.kind} {' '.join(self.value)}"


def bot_id(token: str) -> str:
    """Telegram's id of the bot: the digits before the colon. They are public and survive rotation."""
    return token.partition(":")[0]


def redact(text: str) -> str:
    """The text with whatever looks like a token replaced by ``<id>:***``."""
    return TOKEN_PATTERN.sub(r"\1:***", text)


def holds_token(text: str) -> bool:
    """Whether something that looks like a token stands in the text."""
    return TOKEN_PATTERN.search(text) is not None


def checked(token: str, source: str) -> str:
    """The token without surrounding white space.

    Raises:
        SecretError: it has not the form ``<digits>:<letters>``; the message names only the source.
    """
    token = token.strip()
    if not _WHOLE_TOKEN.fullmatch(token):
        raise SecretError(
            f"{source} holds no bot token", "a token looks like 123456:ABC-DEF…, as @BotFather gives it"
        )
    return token


def read_token(reference: TokenReference, environ: Mapping[str, str]) -> str:
    """The token behind a reference that needs no program to run.

    Parameters:
        reference: a file, environment name or systemd credential; behind ``stdin`` the file is read itself.
        environ: the environment to look in.

    Raises:
        SecretError: the source is missing, unreadable or holds no token, or is a command.
    """
    name = reference.value[0]
    if reference.kind == "env":
        if name not in environ:
            raise SecretError(
                f"the environment variable {name} is not set", "set it where the supervisor is started"
            )
        return checked(environ[name], f"the environment variable {name}")
    if reference.kind == "command":
        raise SecretError("a command must be run to get this token")
    if reference.kind == "credential":
        folder = environ.get("CREDENTIALS_DIRECTORY")
        if not folder:
            raise SecretError(f"no systemd credential {name}: CREDENTIALS_DIRECTORY is not set")
        name = os.path.join(folder, name)
    try:
        with open(name, "rb") as file:
            data = file.read(MAX_TOKEN_BYTES)
        return checked(data.decode(), name)
    except OSError as error:
        raise SecretError(f"{name}: {error.strerror}", "check the token file's path and mode") from None
    except UnicodeDecodeError:
        raise SecretError(f"{name} is not UTF-8 text") from None
