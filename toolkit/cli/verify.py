"""The command that checks hosts."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.context import Invocation, JsonFlag, invocation
from toolkit.cli.output import echo, emit_json, table
from toolkit.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from toolkit.verify.run import Result

_AGAIN = "from toolkit.cli.app import main; main()"
_MARKS = {"passed": "ok", "failed": "FAILED", "skipped": "skipped"}


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(verify)


def verify(
    context: typer.Context,
    hosts: Annotated[
        str | None,
        typer.Option(help="Check these instead, as ssh://user@host:port,…; -f names the fleet file there."),
    ] = None,
    remote_toolkit: Annotated[str, typer.Option(help="The command on those hosts.")] = "toolkit",
    sudo: Annotated[bool, typer.Option("--sudo", help="Become root on those hosts.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Show what passed as well.")] = False,
    junitxml: Annotated[Path | None, typer.Option(help="Write a report as JUnit's XML.")] = None,
    show_expected: Annotated[
        bool, typer.Option("--expected", help="Print what is to be found here, as JSON, and check nothing.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Check that all is in force on a host as it was deployed.

    The exit code is 3 where a check fails.
    """
    from toolkit.verify.run import Remote, verify_here, verify_hosts

    call = invocation(context)
    if show_expected:
        import msgspec

        from toolkit.verify.expected import expected

        echo(msgspec.json.encode(expected(call.paths(), call.fleet_file)).decode())
        return
    if hosts is not None:
        names = [name.strip() for name in hosts.split(",") if name.strip()]
        if not names:
            raise UsageError("--hosts names no host", "name some, as ssh://user@host:port,…")
        remote = Remote(hosts=names, toolkit=[remote_toolkit, *_options(call)], sudo=sudo)
        results = verify_hosts(remote, junitxml)
    else:
        command = [sys.executable, "-P", "-c", _AGAIN, *_options(call, here=True)]
        results = verify_here(call.paths(), call.fleet_file, command, junitxml)
    _report(results, everything=everything, as_json=as_json)


def _options(call: Invocation, *, here: bool = False) -> list[str]:
    """The global options again, for the same fleet."""
    fleet = call.fleet_file.absolute() if here else call.fleet_file
    root = call.root.absolute() if call.root and here else call.root
    return ["-f", str(fleet), *(["--root", str(root)] if root else [])]


def _report(results: "list[Result]", *, everything: bool, as_json: bool) -> None:
    counts = {name: sum(result.verdict.outcome == name for result in results) for name in _MARKS}
    if as_json:
        shapes = [result.as_json() for result in results]
        emit_json({"healthy": not counts["failed"], **counts, "checks": shapes})
    else:
        _show(results, everything=everything)
        echo(", ".join(f"{count} {name}" for name, count in counts.items() if count) or "no checks")
    if counts["failed"]:
        raise typer.Exit(ExitCode.UNHEALTHY)


def _show(results: "list[Result]", *, everything: bool) -> None:
    shown = [result for result in results if everything or result.verdict.outcome == "failed"]
    if not shown:
        return
    hosts = any(result.case.host for result in results)
    rows = []
    for result in shown:
        check, verdict = result.case.check, result.verdict
        mark, found = _MARKS[verdict.outcome], verdict.found or "-"
        row = (check.bot or "-", check.name, mark, found, check.why, result.hint)
        rows.append((result.case.host, *row) if hosts else row)
    headers = ("BOT", "CHECK", "RESULT", "FOUND", "WHY", "HINT")
    table(rows, ("HOST", *headers) if hosts else headers, sentences=3)
