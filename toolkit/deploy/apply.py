"""The steps of a deploy, in their order.

Each is on disk before it is acted on, so that the next deploy finishes what this one left half done.
"""

from collections.abc import Mapping

from toolkit.deploy.plan import Action, InForce, Step
from toolkit.deploy.work import Report, Work
from toolkit.lifecycle import State

COMING = (State.STARTING, State.INITIALIZING, State.RELOADING)


def launch(work: Work, steps: list[Step], report: Report) -> None:
    """Everything in place first, then the supervisor, which starts what may run."""
    for step in steps:
        if step.action is Action.REMOVE:
            _take_away(work, step.bot)
            work.history.forget(step.bot)
    _take_away_forgotten(work)
    work.write(work.by_path)
    work.put_in_force(list(work.prepared.wanted))
    work.options.tell(f"starting the supervisor of fleet {work.prepared.fleet.name}")
    for step in steps:
        if step.action is not Action.NOTHING:
            _tell(work, step)
    work.backend.launch()
    report.views = work.settle([bot for bot, want in work.prepared.wanted.items() if not want.held])


def apply(work: Work, steps: list[Step], report: Report) -> None:
    """Change a running fleet: removals, then all that was down at once, then restarts one by one."""
    gone = [step for step in steps if step.action is Action.REMOVE]
    _remove_all(work, gone)
    # Once the files are put back nothing else tells with what their bots run.
    work.history.note_edited(bot for bot, have in work.found.items() if have.unit_edited)
    refresh(work, steps)
    work.reload(steps)
    # Also what the manifest tells otherwise: a deploy was killed, or the database was lost or is an old one.
    work.put_in_force([step.bot for step in steps if step.action is Action.NOTHING])
    # Last, so that a deploy that is broken off before leaves them to be removed.
    for step in gone:
        work.history.forget(step.bot)
    _limit_all(work, [step for step in steps if step.limits_changed])
    _start_all(work, [step for step in steps if step.action in (Action.START, Action.UPDATE)], report)
    restarts = [step for step in steps if step.action is Action.RESTART]
    for index, step in enumerate(restarts):
        _start_all(work, [step], report)
        if report.views[-1].state is not State.RUNNING:
            report.untouched = [later.bot for later in restarts[index + 1 :]]
            break


def confirm(work: Work, steps: list[Step], report: Report) -> None:
    """Where all is in force: put back what was edited, and have the records say so, whatever they said."""
    with work.staged:
        refresh(work, steps)
    work.reload(steps)
    work.put_in_force([step.bot for step in steps])
    if work.history.last() != (work.revision, "applied"):
        work.history.finish(work.revision, whole=True)
        report.revision = work.revision


def refresh(work: Work, steps: list[Step]) -> None:
    """Bring units up to date, and what else differs or was edited, but for bot files that take a restart."""
    files = [work.paths.botfile(step.bot) for step in steps if step.action is Action.NOTHING]
    units = [work.paths.unit(step.bot) for step in steps if step.action is not Action.REMOVE]
    work.write([*work.shared, *files, *units])


def _remove_all(work: Work, steps: list[Step]) -> None:
    """Drain bots that left the fleet, all at once, and take them out of force."""
    for step in steps:
        _tell(work, step)
    bots = [step.bot for step in steps]
    work.backend.stop(bots, work.stop_s(bots))
    for step in steps:
        work.backend.remove(step.bot)
        _take_away(work, step.bot)


def _limit_all(work: Work, steps: list[Step]) -> None:
    """Change limits of bots: the units have them by now, and most supervisors' bots too."""
    for step in steps:
        if step.action is Action.LIMIT:
            _tell(work, step)
    work.backend.limit({step.bot: work.prepared.wanted[step.bot].limits for step in steps})
    work.put_in_force([step.bot for step in steps if step.action is Action.LIMIT])


def _start_all(work: Work, steps: list[Step], report: Report) -> None:
    """Stop what of these runs, bring units up to date, and start all but those that are only updated."""
    for step in steps:
        _tell(work, step)
    work.write(work.paths.botfile(step.bot) for step in steps)
    # A quarantined bot's runner may still hold its exit, and would be taken for the new one.
    bots = [step.bot for step in steps]
    work.backend.stop(bots, work.stop_s(bots))
    for step in steps:
        if step.unit_changed:
            work.backend.remove(step.bot)
            work.backend.add(step.bot)
    started = [step.bot for step in steps if step.action is not Action.UPDATE]
    work.backend.start(started)
    work.put_in_force([step.bot for step in steps])
    report.views += work.settle(started)


def _take_away_forgotten(work: Work) -> None:
    """Remove units of bots that left the fleet, and of which no record tells: a database may be lost."""
    # A private supervisord alone is launched; others need not load what knows of it.
    from toolkit.backends.supervisord.ownership import installed

    wanted = {work.paths.unit(bot) for bot in work.prepared.wanted}
    for unit in installed(work.paths):
        if unit not in wanted:
            work.options.tell(f"{unit}: removed, as no bot of the fleet has it")
            work.remove(unit)


def _take_away(work: Work, bot: str) -> None:
    """Remove a bot's unit and bot file; its log and what it stored stay."""
    work.remove(work.paths.unit(bot))
    work.remove(work.paths.botfile(bot))


def await_coming(work: Work, found: Mapping[str, InForce], report: Report) -> None:
    """Wait for bots that were on their way up already, as if this deploy had started them."""
    seen = {view.name for view in report.views}
    coming = (bot for bot, have in found.items() if have.state in COMING)
    report.views += work.settle([bot for bot in coming if bot in work.prepared.wanted and bot not in seen])


def _tell(work: Work, step: Step) -> None:
    work.options.tell(f"{step.bot}: {step.action}" + (f" ({step.reason})" if step.reason else ""))
