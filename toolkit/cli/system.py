"""Commands about the toolkit itself: info, commands."""

import sys
from typing import TYPE_CHECKING, Any

import typer

from toolkit import __version__
from toolkit.cli.context import JsonFlag, backend_of, in_force, invocation, say_whose
from toolkit.cli.output import echo, emit_json, table

if TYPE_CHECKING:
    from toolkit.backends import Backend

app = typer.Typer(help="The toolkit and the machine.", no_args_is_help=True)


@app.command()
def info(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Show versions, the fleet, its folders, and the supervisor."""
    facts = _machine() | _fleet(context)
    if as_json:
        emit_json(facts)
    else:
        table([(name.replace("_", " "), _words(value)) for name, value in facts.items()], ("WHAT", "VALUE"))


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "-"
    return (", ".join(value) if isinstance(value, list) else str(value)) or "-"


def _machine() -> dict[str, Any]:
    import platform
    from importlib.metadata import version

    return {
        "toolkit": __version__,
        "python": platform.python_version(),
        "interpreter": sys.executable,
        "system": platform.platform(),
        # The package's own name, `supervisor`, means here how the fleet's supervisor is.
        "supervisord": version("supervisor"),
        "python_telegram_bot": version("python-telegram-bot"),
    }


def _fleet(context: typer.Context) -> dict[str, Any]:
    call = invocation(context)
    if not call.fleet_file.is_file():
        return {"fleet_file": f"{call.fleet_file} (missing)"}
    from toolkit import revisions

    paths = call.paths()
    bots, changed, owner = in_force(call, paths)
    say_whose(call, paths.fleet, owner)
    backend = backend_of(paths)
    last = None
    if paths.database.exists():
        with revisions.opened(paths, to_read=True) as history:
            last = history.last()
    return {
        "fleet": paths.fleet,
        "fleet_file": str(call.fleet_file.absolute()),
        "bots": len(bots),
        "revision": last[0] if last else None,
        "revision_status": last[1] if last else None,
        "undeployed": [str(path) for path in changed],
        "home": str(paths.home),
        "logs": str(paths.logs),
        "backend": backend.name,
        "mode": paths.place.mode,
        "backend_reason": call.choice().reason,
        "control": backend.control(),
    } | _supervisor(backend)


def _supervisor(backend: "Backend") -> dict[str, Any]:
    from toolkit.backends import Supervision, UnaskedError

    supervision, reason = Supervision.ANSWERS, ""
    try:
        backend.units()
    except UnaskedError as error:
        supervision, reason = error.supervision, f"{error.message}; {error.hint}"
    running = supervision is not Supervision.NOT_RUNNING
    return {"supervisor_running": running, "supervisor": str(supervision), "supervisor_reason": reason}


@app.command()
def commands(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List every command with what it does."""
    root = context.find_root().command
    found = sorted(_walk(root, ""))
    if as_json:
        emit_json({"commands": [{"command": name, "help": text} for name, text in found]})
    else:
        width = max(len(name) for name, _ in found)
        for name, text in found:
            echo(f"{name:<{width}}  {text}")


def _walk(command: Any, prefix: str) -> list[tuple[str, str]]:
    """Every leaf below a command; a group that can be called itself counts as one."""
    inner = getattr(command, "commands", {})
    found = (
        []
        if inner and not command.invoke_without_command
        else [(prefix.strip(), command.get_short_help_str(100))]
    )
    for name, each in inner.items():
        found += _walk(each, f"{prefix} {name}")
    return [entry for entry in found if entry[0]]
