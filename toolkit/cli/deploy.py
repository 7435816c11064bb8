"""Commands that put the fleet in force, or take it down: plan, deploy, up, down."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.context import Invocation, JsonFlag, Wait, backend_of, invocation
from toolkit.cli.output import Progress, echo, emit_json, note, table
from toolkit.errors import ExitCode, counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolkit.backends.altered import Alteration
    from toolkit.deploy.edited import Edited
    from toolkit.deploy.plan import Step
    from toolkit.deploy.work import Report

TakeOver = Annotated[bool, typer.Option("--take-over", help="Deploy it from this fleet file from now on.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (plan, deploy, up, down):
        app.command()(command)


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
    from toolkit.shutdown import shutdown

    call = invocation(context)
    paths = call.paths()
    ran = shutdown(paths, call.fleet_file, backend_of(paths), end_supervisor=True)
    if as_json:
        emit_json({"fleet": paths.fleet, "was_running": ran})
    else:
        echo(f"fleet {paths.fleet} is down" if ran else f"fleet {paths.fleet} was not running")


def _deploy(call: Invocation, wait: float, take_over: bool, as_json: bool, *, launch: bool) -> None:
    from toolkit.deploy import execute
    from toolkit.deploy.settle import silent
    from toolkit.deploy.work import Options

    fleet, paths = call.load()
    supervisor = backend_of(paths)
    with Progress("settled") as progress:
        tell = silent if as_json else progress.line
        options = Options(launch=launch, take_over=take_over, wait_s=wait, tell=tell, progress=progress)
        report = execute.deploy(fleet, paths, supervisor, options)
    if as_json:
        emit_json(_report_json(fleet.name, report))
    else:
        _show_report(report)
    if caution := supervisor.fleeting():
        note(f"note: {caution}")
    if report.unready or report.ailing:
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
    counts = Counter(one.kind for one in those)
    return " and ".join(counted(count, kind) for kind, count in counts.items())


def _steps_json(steps: "list[Step]") -> list[dict[str, str | bool]]:
    return [
        {
            "bot": step.bot,
            "action": str(step.action),
            "reason": step.reason,
            "token_is_late": step.token_is_late,
        }
        for step in steps
    ]


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
        table(rows, ("BOT", "ACTION", "REASON"), sentences=1)
