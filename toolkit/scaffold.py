"""Write a fleet that runs, for `toolkit init`: copies of the templates, filled in."""

import secrets
from pathlib import Path

from toolkit.errors import RefusedError, SecretError, UsageError
from toolkit.files import write_atomically
from toolkit.paths import FLEET_NAME
from toolkit.secrets import checked
from toolkit.templates import template_folder

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
        SecretError: the token file cannot be read or holds no token.
    """
    import jinja2

    if not FLEET_NAME.fullmatch(fleet):
        raise UsageError(f"--name {fleet!r} is no name for a fleet", "1 to 24 of a-z and 0-9")
    tokens = _real_tokens(token_file) if token_file else {bot: _made_up_token() for bot in SAMPLE_BOTS}
    bots = {bot: SAMPLE_BOTS.get(bot, "echo") for bot in tokens}
    source = template_folder() / "init"
    text = jinja2.Template(
        (source / "fleet.yaml.j2").read_text(encoding="utf-8"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
    ).render(fleet=fleet, endpoint=endpoint, bots=bots, root="state" if keep_in_folder else None)
    contents = {folder / f"secrets/{bot}.token": token + "\n" for bot, token in tokens.items()}
    for path in sorted(p for p in source.rglob("*") if p.is_file() and p.suffix != ".j2"):
        if "__pycache__" not in path.parts:
            contents[folder / path.relative_to(source)] = path.read_text(encoding="utf-8")
    # The fleet file comes last: where it stands, all that it names stands too.
    contents[folder / "fleet.yaml"] = text
    present = [path for path in contents if path.exists()]
    if present:
        raise RefusedError(f"{present[0]} is there already", "choose an empty folder")
    for path, content in contents.items():
        secret = path.parent.name == "secrets"
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if secret else 0o777)
        write_atomically(path, content, 0o600 if secret else 0o644)
    return list(contents)


def _made_up_token() -> str:
    """A token of the right form that no real bot has: ids below 1,000,000 were never given to bots."""
    return f"{secrets.randbelow(900_000) + 100_000}:{secrets.token_urlsafe(27)[:35]}"


def _real_tokens(path: Path) -> dict[str, str]:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise SecretError(f"{path}: {error}", "name a file with one token a line") from None
    tokens = [checked(line, f"{path}") for line in lines if line and not line.startswith("#")]
    if not tokens:
        raise SecretError(f"{path} holds no token", "put one token a line into it")
    names = [*SAMPLE_BOTS, *(f"bot{number}" for number in range(4, len(tokens) + 1))]
    return dict(zip(names, tokens, strict=False))
