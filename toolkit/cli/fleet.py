"""Commands on the fleet's files: init, validate, render."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.context import JsonFlag, invocation
from toolkit.cli.output import echo, emit_json, note
from toolkit.cli.sandbox import DEFAULT_URL
from toolkit.errors import ExitCode, UsageError, counted

if TYPE_CHECKING:
    from toolkit.fleet.model import Fleet
    from toolkit.paths import FleetPaths


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (init, validate, render):
        app.command()(command)


def init(
    folder: Annotated[Path, typer.Argument(help="Where to write it.")] = Path(),
    name: Annotated[str, typer.Option(help="The fleet's name.")] = "demo",
    endpoint: Annotated[
        str, typer.Option(help="The Bot API server.", show_default="where `toolkit sandbox` listens")
    ] = "",
    token_file: Annotated[
        Path | None,
        typer.Option(help="A file of real tokens, one a line: one bot each, on Telegram's own server."),
    ] = None,
    keep_in_folder: Annotated[
        bool, typer.Option("--keep-in-folder", help="Keep sockets, logs and state in the folder itself.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Write an annotated fleet that runs.

    It has a fleet.yaml, two example bots, and tokens that the sandbox takes.
    """
    from toolkit.scaffold import open_to_others, write_fleet

    if token_file and endpoint:
        raise UsageError("give one of --endpoint, --token-file: real tokens are for Telegram's own server")
    server = None if token_file else endpoint or DEFAULT_URL
    written = write_fleet(folder, name, server, token_file, keep_in_folder)
    if as_json:
        emit_json({"fleet": name, "files": [str(path) for path in written]})
    else:
        _tell_written(folder, written, trial=not token_file)
    if token_file and open_to_others(token_file):
        note(
            f"warning: everyone on this machine may read the tokens in {token_file}: chmod 600, or remove it"
        )


def _tell_written(folder: Path, written: list[Path], *, trial: bool) -> None:
    for path in written:
        echo(f"wrote {path}")
    where = "" if folder == Path() else f" -f {folder / 'fleet.yaml'}"
    server = f"--pid-file {folder / 'sandbox.pid'}"
    if trial:
        echo(f"next: `toolkit sandbox --detach {server}` starts a Bot API server to try it with")
    echo(f"next: `toolkit{where} up` starts the bots")
    echo(f"last: `toolkit{where} down` ends them")
    if trial:
        echo(f"last: `toolkit sandbox stop {server}` ends that server")


def validate(
    context: typer.Context,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of fleet.yaml.")] = False,
    import_apps: Annotated[bool, typer.Option("--import", help="Import each type's app as well.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Check the fleet's files, all faults at once."""
    if schema:
        import json

        from toolkit.fleet.schema import SCHEMA

        echo(json.dumps(SCHEMA, indent=2))
        return
    from toolkit.deploy.check import check_fleet
    from toolkit.errors import InvalidFleetError

    call = invocation(context)
    try:
        fleet, paths = call.load()
        check_fleet(fleet, paths, import_apps=import_apps)
    except InvalidFleetError as error:
        if not as_json:
            raise
        shape = [{name: getattr(problem, name) for name in problem.__slots__} for problem in error.problems]
        emit_json({"valid": False, "problems": shape})
        raise typer.Exit(ExitCode.USAGE) from None
    if as_json:
        emit_json({"valid": True, "problems": [], "fleet": fleet.name, "bots": len(fleet.bots)})
    else:
        count = f"{counted(len(fleet.bots), 'bot')} of {counted(len(fleet.types), 'type')}"
        echo(f"{call.fleet_file}: fleet {fleet.name} is valid: {count}")


def render(
    context: typer.Context,
    out: Annotated[Path | None, typer.Option(help="A folder to write the files to.")] = None,
    stdout: Annotated[bool, typer.Option("--stdout", help="Print the files.")] = False,
    polkit: Annotated[
        bool, typer.Option("--polkit", help="Print a polkit rule: the fleet's group may manage its units.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Write or print units and bot files.

    They are what the fleet's files give; nothing is put in force.
    """
    from toolkit.deploy.prepare import prepare
    from toolkit.files import NewFile, in_the_way, make_private, write_together

    if (out is not None) + stdout + polkit != 1:
        raise UsageError("give one of --out DIR, --stdout, --polkit")
    if out is not None and (obstacle := in_the_way(out.absolute())):
        raise UsageError(f"{obstacle} is no folder", "choose another --out")
    fleet, paths = invocation(context).load()
    if polkit:
        _print_polkit_rule(fleet, paths)
        return
    prepared = prepare(fleet, paths, to_run=False)
    relative = [(_within(paths, file.path), file) for file in prepared.files]
    if as_json:
        emit_json(
            {
                "files": [
                    {"path": str(path), "mode": oct(f.mode), "content": f.content} for path, f in relative
                ]
            }
        )
    elif stdout:
        echo("\n".join(f"# {path}\n{file.content}" for path, file in relative))
    if out is not None:
        for path, _ in relative:
            make_private((out / path).parent)
        write_together([NewFile(out / path, file.content, file.mode) for path, file in relative])
        if not as_json:
            echo(f"wrote {counted(len(relative), 'file')} to {out}")


def _print_polkit_rule(fleet: "Fleet", paths: "FleetPaths") -> None:
    from toolkit.place import SYSTEM_SYSTEMD
    from toolkit.render.systemd import polkit_rule

    if paths.place != SYSTEM_SYSTEMD:
        raise UsageError(f"no polkit rule is needed for {paths.place}", "it is for systemd in system mode")
    rule = polkit_rule(fleet, paths)
    echo(rule.content.rstrip("\n"))
    note(f"put it into {rule.path}, and operators into the group {paths.group}")


def _within(paths: "FleetPaths", path: Path) -> Path:
    """A path below the fleet's folder, or in system mode below what all lies under."""
    top = paths.root if paths.is_system else paths.home
    return path.relative_to(top if path.is_relative_to(top) else path.anchor)
