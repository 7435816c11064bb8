"""Commands on the whole fleet: init, validate, render, plan, deploy, up, down."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.context import Invocation, JsonFlag, Wait, backend_of, invocation
from toolkit.cli.output import Progress, echo, emit_json, note, table
from toolkit.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolkit.backends.altered import Alteration
    from toolkit.deploy.edited import Edited
    from toolkit.deploy.plan import Step
    from toolkit.deploy.work import Report
    from toolkit.fleet.model import Fleet
    from toolkit.paths import FleetPaths

TakeOver = Annotated[bool, typer.Option("--take-over", help="Deploy it from this fleet file from now on.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (init, validate, render, plan, deploy, up, down):
        app.command()(command)


def init(
    folder: Annotated[Path, typer.Argument(help="Where to write it.")] = Path(),
    name: Annotated[str, typer.Option(help="The fleet's name.")] = "demo",
    endpoint: Annotated[
        str, typer.Option(help="The Bot API server; the default is where `toolkit sandbox` listens.")
    ] = "http://127.0.0.1:8081",
    token_file: Annotated[
        Path | None,
        typer.Option(help="A file of real tokens, one a line: one bot each, on Telegram's own server."),
    ] = None,
    keep_in_folder: Annotated[
        bool, typer.Option("--keep-in-folder", help="Keep sockets, logs and state in the folder itself.")
    ] = False,
) -> None:
    """Write an annotated fleet that runs.

    It has a fleet.yaml, two example bots, and tokens that the sandbox takes.
    """
    from toolkit.scaffold import open_to_others, write_fleet

    written = write_fleet(folder, name, None if token_file else endpoint, token_file, keep_in_folder)
    for path in written:
        echo(f"wrote {path}")
    where = "" if folder == Path() else f" -f {folder / 'fleet.yaml'}"
    if token_file and open_to_others(token_file):
        note(
            f"warning: everyone on this machine may read the tokens in {token_file}: chmod 600, or remove it"
        )
    server = f"--pid-file {folder / 'sandbox.pid'}"
    if not token_file:
        echo(f"next: `toolkit sandbox --detach {server}` starts a Bot API server to try it with")
    echo(f"next: `toolkit{where} up` starts the bots")
    echo(f"last: `toolkit{where} down` ends them")
    if not token_file:
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
        count = f"{len(fleet.bots)} bots of {len(fleet.types)} types"
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
            echo(f"wrote {len(relative)} files to {out}")


def _print_polkit_rule(fleet: "Fleet", paths: "FleetPaths") -> None:
    from toolkit.place import SYSTEM_SYSTEMD
    from toolkit.render.systemd import polkit_rule

    if paths.place != SYSTEM_SYSTEMD:
        raise UsageError(f"no polkit rule is needed for {paths.place}", "it is for systemd in system mode")
    rule = polkit_rule(fleet, paths)
    echo(rule.content.rstrip("\n"))
    note(f"put it into {rule.path}, and operators into the group {paths.group}")


def plan(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Show what a deploy would do, and why.

    The exit code is 3 where there is something to do.
    """
    from toolkit.deploy.execute import foresee
    from toolkit.deploy.plan import Action, summary

    fleet, paths = invocation(context).load()
    seen = foresee(fleet, paths, backend_of(paths))
    if as_json:
        shape = {"fleet": fleet.name, "steps": _steps_json(seen.steps)}
        altered = [one.as_json() for one in seen.altered]
        emit_json(shape | {"altered": altered, "put_back": [one.as_json() for one in seen.edited]})
    else:
        _show_altered(seen.altered)
        _show_steps(seen.steps)
        for one in seen.edited:
            echo(f"put back {one.message}")
        echo(summary(seen.steps) + (f"; {_files(seen.edited)} put back" if seen.edited else ""))
    if seen.edited or any(step.action is not Action.NOTHING for step in seen.steps):
        raise typer.Exit(ExitCode.UNHEALTHY)


def deploy(
    context: typer.Context, wait: Wait = 30.0, take_over: TakeOver = False, as_json: JsonFlag = False
) -> None:
    """Put the fleet's files in force.

    Only what changed is touched, one bot at a time; it stops at the first bot that does not get ready.
    """
    _deploy(invocation(context), wait, take_over, as_json, launch=False)


def up(
    context: typer.Context, wait: Wait = 30.0, take_over: TakeOver = False, as_json: JsonFlag = False
) -> None:
    """Start the fleet's supervisor, and deploy.

    A supervisor that runs already, as the machine's do, is left as it is.
    """
    _deploy(invocation(context), wait, take_over, as_json, launch=True)


def down(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Stop all bots, and end the supervisor.

    The bots drain in parallel; `up` brings all back. The machine's own supervisors go on.
    """
    from toolkit.operate import shutdown

    call = invocation(context)
    paths = call.paths()
    ran = shutdown(paths, call.fleet_file, backend_of(paths), end_supervisor=True)
    if as_json:
        emit_json({"fleet": paths.fleet, "was_running": ran})
    else:
        echo(f"fleet {paths.fleet} is down" if ran else f"fleet {paths.fleet} was not running")


def _within(paths: "FleetPaths", path: Path) -> Path:
    """A path below the fleet's folder, or in system mode below what all lies under."""
    top = paths.root if paths.is_system else paths.home
    return path.relative_to(top if path.is_relative_to(top) else path.anchor)


def _deploy(call: Invocation, wait: float, take_over: bool, as_json: bool, *, launch: bool) -> None:
    from toolkit.deploy import execute
    from toolkit.deploy.work import Options

    fleet, paths = call.load()
    supervisor = backend_of(paths)
    progress = Progress("settled")
    tell = (lambda _line: None) if as_json else progress.line
    options = Options(launch=launch, take_over=take_over, wait_s=wait, tell=tell, progress=progress)
    try:
        report = execute.deploy(fleet, paths, supervisor, options)
    finally:
        progress.clear()
    if as_json:
        emit_json(_report_json(fleet.name, report))
    else:
        _show_report(report)
    if caution := supervisor.fleeting():
        note(f"note: {caution}")
    if report.unready:
        raise typer.Exit(ExitCode.UNHEALTHY)


def _show_report(report: "Report") -> None:
    from toolkit.deploy.plan import Action, summary

    _show_altered(report.altered)
    for view in report.unready:
        note(f"{view.name}: {view.state}" + (f": {view.reason}" if view.reason else ""))
        if view.hint:
            note(f"hint: {view.hint}")
    if report.untouched:
        note(f"stopped there: {', '.join(report.untouched)} not restarted; mend the fault and deploy again")
    for step in report.steps:
        if step.action is Action.NOTHING and step.reason:
            note(f"{step.bot}: {step.reason}")
    for one in report.put_back:
        echo(f"put back {one.message}")
    if report.revision is None and report.put_back:
        echo(f"{_files(report.put_back)} put back; else what is in force is what the fleet's files say")
        return
    if report.revision is None:
        echo("nothing to do: what is in force is what the fleet's files say")
        return
    running = len(report.views) - len(report.unready)
    outcome = f"; {running} of {len(report.views)} running" if report.views else ""
    echo(f"revision {report.revision}: {summary(report.steps)}{outcome}")


def _files(those: "Sequence[Edited]") -> str:
    return "1 file" if len(those) == 1 else f"{len(those)} files"


def _steps_json(steps: "list[Step]") -> list[dict[str, str]]:
    return [{"bot": step.bot, "action": str(step.action), "reason": step.reason} for step in steps]


def _report_json(fleet: str, report: "Report") -> dict[str, object]:
    return {
        "fleet": fleet,
        "revision": report.revision,
        "steps": _steps_json(report.steps),
        "bots": [view.as_json() for view in report.views],
        "untouched": report.untouched,
        "altered": [one.as_json() for one in report.altered],
        "put_back": [one.as_json() for one in report.put_back],
    }


def _show_altered(altered: "Sequence[Alteration]") -> None:
    for one in altered:
        note(one.message)
        note(f"hint: {one.hint}")


def _show_steps(steps: "list[Step]") -> None:
    from toolkit.deploy.plan import Action

    rows = [
        (step.bot, str(step.action), step.reason)
        for step in steps
        if step.action is not Action.NOTHING or step.reason
    ]
    if rows:
        table(rows, ("BOT", "ACTION", "REASON"))
