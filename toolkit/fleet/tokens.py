"""Check the bots' tokens as far as that goes without running anything."""

import os
import shlex
import stat
from collections.abc import Mapping
from typing import Any

from toolkit.errors import OddFileError, SecretError
from toolkit.fleet.draft import Draft
from toolkit.fleet.report import line_of
from toolkit.fleet.sources import Document
from toolkit.fleet.yaml_tree import Path
from toolkit.regular_files import open_regular
from toolkit.secrets import MAX_TOKEN_BYTES, TokenReference, bot_id, checked


def reference(token: Mapping[str, Any], document: Document) -> TokenReference:
    """The reference that a sound `token` mapping of a file means, with absolute paths."""
    match dict(token):
        case {"file": file}:
            return TokenReference("file", (document.absolute(file),))
        case {"command": command}:
            return TokenReference("command", argv(command, document))
        case {"env": name}:
            return TokenReference("env", (name,))
        case _:
            return TokenReference("credential", (token["credential"],))


def argv(command: list[str], document: Document) -> tuple[str, ...]:
    """A command whose program, if it is a path, is an absolute one."""
    program, *arguments = command
    return (document.absolute(program) if "/" in program else program, *arguments)


class _TokenFileError(Exception):
    """What is wrong with a token file, and what to do."""


def check(draft: Draft, environ: Mapping[str, str]) -> None:
    """Report tokens that are missing, open to others, or used by two bots.

    Parameters:
        draft: the files, whose form is checked already.
        environ: where tokens given by the name of a variable are looked up; one that is not set there may
            be set where the supervisor starts.
    """
    references: dict[TokenReference, str] = {}
    ids: dict[str, str] = {}
    for name, document in draft.bots.items():
        path: Path = ("bots", name, "token")
        token = draft.sound(document, path, dict)
        if not token or not _is_sound(draft, document, path, token):
            continue
        own = reference(token, document)
        first = references.setdefault(own, name)
        if first != name:
            _report_twice(draft, name, f"the same token as bot {first}, {_place(draft, first)}")
            continue
        telegram_id = _id_of(draft, document, path, own, environ)
        first = ids.setdefault(telegram_id, name) if telegram_id else name
        if first != name:
            message = (
                f"a token of the same Telegram bot, {telegram_id}, as bot {first}, {_place(draft, first)}"
            )
            _report_twice(draft, name, message)


def _is_sound(draft: Draft, document: Document, path: Path, token: Mapping[str, Any]) -> bool:
    ((kind, value),) = token.items()
    items = range(len(value)) if isinstance(value, list) else ()
    places: list[Path] = [(*path, kind), *((*path, kind, item) for item in items)]
    return not any(draft.report.has(document, place) for place in places)


def _place(draft: Draft, bot: str) -> str:
    document = draft.bots[bot]
    return f"{document.shown}:{line_of(document, ('bots', bot, 'token'))}"


def _report_twice(draft: Draft, bot: str, message: str) -> None:
    hint = "Telegram lets one process poll with a token: give each bot its own"
    draft.report.add(draft.bots[bot], ("bots", bot, "token"), message, hint)


def _id_of(
    draft: Draft, document: Document, path: Path, own: TokenReference, environ: Mapping[str, str]
) -> str | None:
    """The Telegram id of the token, where it can be had; what is wrong with it is reported."""
    try:
        if own.kind == "file":
            token = _read_file(own.value[0])
        elif own.kind == "env" and own.value[0] in environ:
            token = checked(environ[own.value[0]], "the variable")
        else:
            return None
    except (SecretError, _TokenFileError) as error:
        message, hint = (error.message, error.hint) if isinstance(error, SecretError) else error.args
        draft.report.add(document, (*path, own.kind), message, hint)
        return None
    return bot_id(token) if token else None


def _read_file(path: str) -> str | None:
    """The token in a file; None where only another user, such as root, may read it.

    Raises:
        _TokenFileError: there is no such file, or it is open to others.
        SecretError: it holds no token.
    """
    try:
        descriptor = open_regular(path, follow=True)
    except OddFileError:
        raise _TokenFileError("not a regular file", "name a file that holds the token") from None
    except PermissionError:
        _check_unreadable(path)
        return None
    except OSError as error:
        hint = "write the token to it, mode 0600; the path is relative to this file"
        raise _TokenFileError(f"cannot be read: {error.strerror}", hint) from None
    try:
        data, mode = os.read(descriptor, MAX_TOKEN_BYTES), os.fstat(descriptor).st_mode
    finally:
        os.close(descriptor)
    # First: what holds no token, as /etc/passwd, may well be for everyone to read.
    token = checked(data.decode("utf-8", "replace"), "the file")
    _refuse_open_mode(mode, path)
    return token


def _refuse_open_mode(mode: int, path: str) -> None:
    if mode & stat.S_IROTH:
        raise _TokenFileError("everyone on this machine may read the file", f"chmod 600 {shlex.quote(path)}")


def _check_unreadable(path: str) -> None:
    """A file of another user, or in a folder of one, is none of ours to judge."""
    try:
        status = os.stat(path)
    except OSError:
        return
    _refuse_open_mode(status.st_mode, path)
    if status.st_uid == os.geteuid():
        raise _TokenFileError("its owner may not read the file", f"chmod 600 {shlex.quote(path)}")
