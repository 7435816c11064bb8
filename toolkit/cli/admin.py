"""Commands that change which bots run: start, stop, restart, pause, shutdown."""

from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.context import JsonFlag, Selectors, Wait, backend_of, invocation, seconds_option, selected
from toolkit.cli.output import Progress, echo, emit_json, note
from toolkit.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from toolkit.paths import FleetPaths
    from toolkit.view import BotView

Finish = Annotated[float, seconds_option("--wait", "Seconds in which updates under way must be finished.")]
Resume = Annotated[float, seconds_option("--wait", "Seconds in which a bot must be at work again.")]
app = typer.Typer(help="Start, stop, restart and pause bots.", no_args_is_help=True)


def _chosen(
    context: typer.Context, selectors: list[str] | None, as_json: bool
) -> "tuple[FleetPaths, dict[str, str]]":
    """Where the fleet lies, and the bots that are meant; where those are none, the command ends here."""
    if not selectors:
        raise UsageError("which bots?", "name them, or say `all`")
    chosen = selected(context, selectors)
    if not chosen.bots:
        _report([], "", as_json)
        raise typer.Exit
    return chosen.paths, chosen.bots


def _report(views: "list[BotView]", wanted: str, as_json: bool) -> None:
    """Tell how the bots are now; exit 3 where one is not as wanted."""
    if as_json:
        emit_json({"bots": [view.as_json() for view in views]})
    else:
        for view in views:
            echo(f"{view.name}: {view.state}" + (f": {view.reason}" if view.reason else ""))
            if view.hint and view.state != wanted:
                note(f"hint: {view.hint}")
    if any(view.state != wanted for view in views):
        raise typer.Exit(ExitCode.UNHEALTHY)


@app.command("start-bot")
def start_bot(
    context: typer.Context, bots: Selectors = None, wait: Wait = 30.0, as_json: JsonFlag = False
) -> None:
    """Start bots.

    From now on they come back by themselves.
    """
    from toolkit.operate import start

    paths, names = _chosen(context, bots, as_json)
    with Progress("settled") as progress:
        views = start(paths, names, backend_of(paths), wait, progress, note)
    _report(views, "RUNNING", as_json)


@app.command("stop-bot")
def stop_bot(context: typer.Context, bots: Selectors = None, as_json: JsonFlag = False) -> None:
    """Drain and stop bots.

    They stay stopped, also over deploys and reboots, until `start-bot`.
    """
    from toolkit.operate import stop

    paths, names = _chosen(context, bots, as_json)
    _report(stop(paths, names, backend_of(paths), note), "STOPPED", as_json)


@app.command("restart-bot")
def restart_bot(
    context: typer.Context, bots: Selectors = None, wait: Wait = 30.0, as_json: JsonFlag = False
) -> None:
    """Drain and start bots again, one by one.

    It stops at the first that does not get ready, and where another command changes the fleet meanwhile.
    """
    from toolkit.operate import restart

    paths, names = _chosen(context, bots, as_json)
    with Progress("restarted") as progress:
        views = restart(paths, names, backend_of(paths), wait, progress, note)
    if len(views) < len(names) and not as_json:
        note(f"stopped there: {len(names) - len(views)} not restarted")
    _report(views, "RUNNING", as_json)
    if len(views) < len(names):
        raise typer.Exit(ExitCode.UNHEALTHY)


@app.command("pause-bot")
def pause_bot(
    context: typer.Context, bots: Selectors = None, wait: Finish = 30.0, as_json: JsonFlag = False
) -> None:
    """Have bots take no more updates.

    They finish what they took and stay up; a crash does not end the pause, `resume-bot` or a new start does.
    """
    _pause(context, bots, wait, as_json, paused=True)


@app.command("resume-bot")
def resume_bot(
    context: typer.Context, bots: Selectors = None, wait: Resume = 30.0, as_json: JsonFlag = False
) -> None:
    """Have paused bots take updates again."""
    _pause(context, bots, wait, as_json, paused=False)


def _pause(
    context: typer.Context, bots: list[str] | None, wait: float, as_json: bool, *, paused: bool
) -> None:
    from toolkit.pausing import pause

    paths, names = _chosen(context, bots, as_json)
    with Progress("paused" if paused else "resumed") as progress:
        views = pause(paths, names, backend_of(paths), wait, progress, paused=paused)
    _report(views, "PAUSED" if paused else "RUNNING", as_json)
    if paused and any(view.details.get("unfinished") for view in views):
        raise typer.Exit(ExitCode.UNHEALTHY)


@app.command("shutdown-system")
def shutdown_system(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Stop all bots, not the supervisor.

    They drain in parallel; `up` brings them back.
    """
    from toolkit.shutdown import shutdown

    call = invocation(context)
    paths = call.paths()
    ran = shutdown(paths, call.fleet_file, backend_of(paths), end_supervisor=False)
    if as_json:
        emit_json({"fleet": paths.fleet, "was_running": ran})
    else:
        echo(f"all bots of fleet {paths.fleet} are stopped")
