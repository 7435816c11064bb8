"""Commands that look at bots and at what they left: list, status, logs, health, dead letters."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.cli.context import (
    MOST_LINES,
    JsonFlag,
    Selectors,
    backend_of,
    complete_bot,
    invocation,
    selected,
    selected_one,
)
from toolkit.cli.output import duration, echo, emit_json, error, json_text, note, size, table
from toolkit.errors import ExitCode, UsageError, counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toolkit.dead_letters import Kept
    from toolkit.logs import LogSource
    from toolkit.paths import FleetPaths
    from toolkit.view import BotView

app = typer.Typer(help="Look at bots.", no_args_is_help=True)


def _views(context: typer.Context, selectors: list[str] | None) -> "tuple[list[BotView], list[Path]]":
    from toolkit.observe import observe

    chosen = selected(context, selectors or [])
    if chosen.views is not None:
        return chosen.views, chosen.changed
    return observe(chosen.paths, chosen.bots, backend_of(chosen.paths)), chosen.changed


def _say_stale(changed: list[Path]) -> None:
    if changed:
        more = f" and {len(changed) - 1} more" if changed[1:] else ""
        note(f"note: {changed[0].name}{more} changed since the last deploy; see `toolkit plan`")


@app.command("list")
def list_bots(context: typer.Context, bots: Selectors = None, as_json: JsonFlag = False) -> None:
    """Show bots, a line each."""
    views, changed = _views(context, bots)
    if as_json:
        emit_json({"bots": [view.as_json() for view in views], "undeployed": [str(path) for path in changed]})
        return
    rows = [
        (
            view.name,
            view.type,
            view.backend,
            str(view.state),
            "yes" if view.ready else "no",
            str(view.pid or "-"),
            duration(view.uptime_s),
            str(view.restarts),
            size(view.memory_bytes),
            "-" if view.cpu_percent is None else f"{view.cpu_percent:.1f} %",
            view.reason,
        )
        for view in views
    ]
    table(
        rows,
        ("NAME", "TYPE", "BACKEND", "STATE", "READY", "PID", "UPTIME", "RESTARTS", "MEMORY", "CPU", "REASON"),
        sentences=1,
        spare="BACKEND",
    )
    _say_stale(changed)


@app.command()
def status(context: typer.Context, bots: Selectors = None, as_json: JsonFlag = False) -> None:
    """Show all that is known of bots.

    The exit code is 3 where one that should run is not well.
    """
    views, changed = _views(context, bots)
    if any(view.backend == "systemd" for view in views):
        from toolkit.journal import explained

        views = explained(invocation(context).paths(), views)
    if as_json:
        emit_json({"bots": [view.as_json() for view in views], "undeployed": [str(path) for path in changed]})
    elif views:
        echo("\n\n".join("\n".join(_described(view)) for view in views))
        _say_stale(changed)
    if any(view.state != "DEFINED" and not view.well for view in views):
        raise typer.Exit(ExitCode.UNHEALTHY)


def _described(view: "BotView") -> list[str]:
    told = view.details
    facts: dict[str, Any] = {
        "type": view.type,
        "backend": view.backend,
        "state": f"{view.state}{': ' + view.reason if view.reason else ''}",
        "hint": view.hint,
        "telegram": f"@{told['username']}" if told.get("username") else "",
        "pid": view.pid,
        "uptime": duration(view.uptime_s) if view.uptime_s is not None else "",
        "restarts": view.restarts,
        "memory": size(view.memory_bytes) if view.memory_bytes else "",
        "cpu": "" if view.cpu_percent is None else f"{view.cpu_percent:.1f} %",
        "updates": told.get("updates_handled"),
        "errors": told.get("errors"),
        "delivery": told.get("delivery"),
        "in the spool": told.get("spool"),
        "set aside": told.get("dead_letters"),
        "last poll": _ago(told.get("poll_age_s")),
        "loop lag": "" if told.get("loop_lag_s") is None else f"{told['loop_lag_s'] * 1000:.0f} ms",
        "oldest in flight": _ago(told.get("oldest_in_flight_s")),
        "last exit": _exit_words(told.get("last_exit")),
    }
    return [view.name] + [
        f"  {name + ':':<17} {fact}" for name, fact in facts.items() if fact not in (None, "")
    ]


def _ago(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.1f} s ago"


def _exit_words(last_exit: dict[str, Any] | None) -> str:
    if not last_exit:
        return ""
    from toolkit.lifecycle import FailureClass

    failure = FailureClass.of(last_exit.get("failure") or "")
    parts = [last_exit["at"], failure.words if failure else last_exit["kind"], last_exit.get("reason")]
    return ", ".join(str(part) for part in parts if part)


@app.command()
def health(context: typer.Context, bots: Selectors = None, as_json: JsonFlag = False) -> None:
    """Show whether bots do their work.

    The exit code is 3 where one does not, unless an operator paused or stopped it.
    """
    views, _ = _views(context, bots)
    sick = [view for view in views if not view.well]
    if as_json:
        keys = ("name", "state", "ready", "reason", "hint", "poll_age_s", "loop_lag_s", "oldest_in_flight_s")
        shapes = [view.as_json() for view in views]
        emit_json({"healthy": not sick, "bots": [{key: shape[key] for key in keys} for shape in shapes]})
    else:
        rows = [(view.name, str(view.state), view.reason or "-", view.hint or "-") for view in views]
        table(rows, ("NAME", "STATE", "REASON", "HINT"), sentences=2)
    if sick:
        raise typer.Exit(ExitCode.UNHEALTHY)


@app.command()
def logs(
    context: typer.Context,
    bots: Selectors = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as the logs grow.")] = False,
    lines: Annotated[
        int,
        typer.Option("-n", "--lines", min=0, max=MOST_LINES, help="The newest lines to show; 0 for all."),
    ] = 50,
    since: Annotated[str, typer.Option(help="An age such as 10m, or a time such as 2026-01-31T08:00Z.")] = "",
    grep: Annotated[str, typer.Option(help="A regular expression that a line must hold.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Show bots' logs, merged by time."""
    import re
    from datetime import UTC, datetime

    from toolkit import logs as library

    try:
        pattern = re.compile(grep) if grep else None
    except re.error as fault:
        raise UsageError(f"--grep {grep}: {fault}") from None
    wanted = library.Filter(library.parse_since(since, datetime.now(UTC)) if since else "", pattern)
    chosen = selected(context, bots or [])
    source = _log_source(chosen.paths, chosen.bots, follow)

    def show(line: library.Line) -> None:
        echo(json_text(line.as_json()) if as_json else line.as_text(with_bot=len(chosen.bots) > 1))

    for line in source.last(wanted, lines or None):
        show(line)
    for unread in source.faults:
        error(unread.message, unread.hint)
    if follow:
        for line in source.follow(wanted):
            show(line)
    if source.faults:
        raise typer.Exit(ExitCode.FAILED)


def _log_source(paths: "FleetPaths", bots: "Iterable[str]", follow: bool) -> "LogSource":
    """Under systemd the journal, else the runners' own files."""
    if paths.place.backend == "systemd":
        from toolkit.journal import Journal

        return Journal(paths, bots)
    from toolkit.logs import LogFiles

    return LogFiles({bot: paths.log(bot) for bot in bots}, follow=follow)


@app.command("dead-letters")
def dead_letters(context: typer.Context, bots: Selectors = None, as_json: JsonFlag = False) -> None:
    """Show updates that were set aside.

    The bot died three times while it handled them, or they could not be read. The exit code is 1 where some
    cannot be looked at.
    """
    from toolkit.dead_letters import kept

    chosen = selected(context, bots or [])
    found = kept(chosen.paths, chosen.bots)
    if as_json:
        emit_json({"bots": [each.as_json() for each in found]})
    else:
        _show_letters(found)
    for each in found:
        _complain_of(each.bot, each.unreadable)
        if each.fault:
            error(f"{each.bot}: {each.fault.message}", each.fault.hint)
    if any(each.fault or each.unreadable for each in found):
        raise typer.Exit(ExitCode.FAILED)


def _show_letters(found: "list[Kept]") -> None:
    rows = [
        (each.bot, str(letter["update_id"]), str(letter["attempts"]), letter["at"], letter["reason"])
        for each in found
        for letter in each.letters
    ]
    if rows:
        table(rows, ("BOT", "UPDATE", "ATTEMPTS", "SET ASIDE", "REASON"), sentences=1)
    elif not any(each.fault or each.unreadable for each in found):
        echo("no update is set aside")
    if more := sum(each.more for each in found):
        note(f"and {more} more")


@app.command("retry-update")
def retry_update(
    context: typer.Context,
    bot: Annotated[
        str, typer.Argument(metavar="BOT", autocompletion=complete_bot, help="A selector that means one bot.")
    ],
    updates: Annotated[list[str], typer.Argument(metavar="UPDATE_ID...", help="Ids of updates, or all.")],
    as_json: JsonFlag = False,
) -> None:
    """Have updates that were set aside handled again.

    Where the bot does not run, it handles them when it starts.
    """
    from dataclasses import asdict

    from toolkit.dead_letters import retry

    wrong = [word for word in updates if not word.isdecimal()]
    if wrong and updates != ["all"]:
        raise UsageError(f"{wrong[0]!r} is no update's id", f"`toolkit bot dead-letters {bot}` shows them")
    paths, name = selected_one(context, bot)
    done = retry(paths, name, None if wrong else [int(word) for word in updates])
    if as_json:
        emit_json({"bot": name} | asdict(done))
    elif done.retried:
        count = counted(len(done.retried), "update")
        echo(f"{name}: {count} to be handled again {'now' if done.running else 'when it starts'}")
    elif not done.missing and not done.unreadable:
        echo(f"{name}: nothing is set aside")
    for number in done.missing:
        error(
            f"{name} has set no update {number} aside",
            f"`toolkit bot dead-letters {name}` shows those that it has",
        )
    _complain_of(name, done.unreadable)
    if done.missing or done.unreadable:
        raise typer.Exit(ExitCode.FAILED)


def _complain_of(bot: str, unreadable: "list[dict[str, Any]]") -> None:
    for letter in unreadable:
        error(f"{bot}: update {letter['update_id']}: {letter['fault']}", letter["hint"])
