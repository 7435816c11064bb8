"""Write a fleet that runs, for `toolkit init`: copies of the templates, filled in."""

import re
import secrets
import stat
from pathlib import Path

from toolkit.errors import OddFileError, RefusedError, SecretError, UsageError
from toolkit.files import in_the_way, write_atomically
from toolkit.paths import FLEET_NAME
from toolkit.regular_files import read_regular
from toolkit.secrets import checked
from toolkit.templates import environment, template_folder

# Of a file of tokens: some 20,000 of them.
_MOST_BYTES = 1_000_000
SAMPLE_BOTS = {"alice": "echo", "bob": "echo", "carol": "counter"}


def write_fleet(
    folder: Path, fleet: str, endpoint: str | None, token_file: Path | None, keep_in_folder: bool
) -> list[Path]:
    """Write an annotated fleet file, its example bots and their tokens.

    Parameters:
        folder: where to; made if it is missing.
        endpoint: a Bot API server to try the fleet with; None for Telegram's own.
        token_file: real tokens, one a line, one bot each; without it made-up ones, fit for the sandbox.
        keep_in_folder: whether the fleet keeps its sockets, logs and state in ``state`` there.

    Returns:
        The files written.

    Raises:
        RefusedError: one of the files is there already; nothing was written.
        UsageError: the name, the folder, the endpoint or the token file will not do.
    """
    if not FLEET_NAME.fullmatch(fleet):
        raise UsageError(f"--name {fleet!r} is no name for a fleet", "1 to 24 of a-z and 0-9")
    if endpoint is not None:
        _check_endpoint(endpoint)
    tokens = _real_tokens(token_file) if token_file else {bot: _made_up_token() for bot in SAMPLE_BOTS}
    bots = {bot: SAMPLE_BOTS.get(bot, "echo") for bot in tokens}
    template = environment("init", trim_blocks=True).get_template("fleet.yaml.j2")
    root = "state" if keep_in_folder else None
    contents = {folder / f"secrets/{bot}.token": token + "\n" for bot, token in tokens.items()}
    contents |= {folder / name: text for name, text in _examples().items()}
    # The fleet file comes last: where it stands, all that it names stands too.
    contents[folder / "fleet.yaml"] = template.render(fleet=fleet, endpoint=endpoint, bots=bots, root=root)
    present = [path for path in contents if path.exists()]
    if present:
        raise RefusedError(f"{present[0]} is there already", "choose an empty folder")
    for path in contents:
        if obstacle := in_the_way(path.parent):
            raise UsageError(f"{obstacle} is no folder", "choose another folder")
    for path, content in contents.items():
        secret = path.parent.name == "secrets"
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if secret else 0o777)
        write_atomically(path, content, 0o600 if secret else 0o644)
    return list(contents)


def _examples() -> dict[Path, str]:
    """The example bots, by their paths in a fleet's folder."""
    source = template_folder() / "init"
    files = (path for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {
        path.relative_to(source): path.read_text(encoding="utf-8")
        for path in sorted(files)
        if path.suffix != ".j2"
    }


def _made_up_token() -> str:
    """A token of the right form that no real bot has: ids below 1,000,000 were never given to bots."""
    return f"{secrets.randbelow(900_000) + 100_000}:{secrets.token_urlsafe(27)[:35]}"


def open_to_others(token_file: Path) -> bool:
    """Whether everybody on this machine may read a file of tokens."""
    return bool(token_file.stat().st_mode & stat.S_IROTH)


def _check_endpoint(endpoint: str) -> None:
    from toolkit.fleet.schema_values import ENDPOINT

    if not re.search(ENDPOINT["pattern"], endpoint):
        raise UsageError(f"--endpoint {endpoint!r} will not do", f"name {ENDPOINT['title']}")


def _real_tokens(path: Path) -> dict[str, str]:
    hint = "name a file with one token a line"
    try:
        content = read_regular(path, _MOST_BYTES, follow=True).decode()
        lines = [(number, line.strip()) for number, line in enumerate(content.splitlines(), 1)]
        tokens = [
            checked(line, f"line {number} of {path}")
            for number, line in lines
            if line and not line.startswith("#")
        ]
    except OddFileError as error:
        raise UsageError(error.message, hint) from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", hint) from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text", hint) from None
    except SecretError as error:
        raise UsageError(error.message, error.hint) from None
    if not tokens:
        raise UsageError(f"{path} holds no token", "put one token a line into it")
    names = [*SAMPLE_BOTS, *(f"bot{number}" for number in range(4, len(tokens) + 1))]
    return dict(zip(names, tokens, strict=False))
