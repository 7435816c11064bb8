"""Put a fleet in force.

Each step is on disk before it is acted on, so that the next deploy finishes what this one left half done.
"""

import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from toolkit import ground, revisions
from toolkit.backends import STOP_S, Backend
from toolkit.backends.altered import Alteration, Kind, refuse_masked
from toolkit.deploy.leftovers import sweep
from toolkit.deploy.observed import in_force
from toolkit.deploy.owner import need_owner
from toolkit.deploy.plan import Action, InForce, Step, plan
from toolkit.deploy.prepare import Prepared, prepare
from toolkit.deploy.settle import settle, steady
from toolkit.errors import RefusedError
from toolkit.files import NewFile, make_private, remove, write_together
from toolkit.fleet.model import Fleet
from toolkit.lifecycle import State
from toolkit.lock import changing
from toolkit.observe import BotView
from toolkit.paths import FleetPaths
from toolkit.place import PRIVATE_SUPERVISORD
from toolkit.render import RenderedFile
from toolkit.revisions import Applied, Revisions

# Beyond its time to drain, for the supervisor to kill it.
_STOP_MARGIN_S = 5.0
_NOT_OURS = "name this fleet otherwise, or pass --take-over to deploy it from here on"
COMING = (State.STARTING, State.INITIALIZING, State.RELOADING)


def _silent(*_: object) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a deploy is to be done.

    Parameters:
        launch: whether to start the private supervisor where it does not run.
        take_over: whether to take a fleet over that was deployed from another fleet file.
        wait_s: seconds in which a bot must get ready.
        tell: called with a line for people at each step.
        progress: called with the number of bots that have settled and of all.
    """

    launch: bool = False
    take_over: bool = False
    wait_s: float = 30.0
    tell: Callable[[str], None] = _silent
    progress: Callable[[int, int], None] = _silent


@dataclass(slots=True)
class Report:
    """What a deploy did.

    Parameters:
        revision: its number; None where nothing had to be done.
        altered: what others had done to units when it began.
        views: the bots that were started, as they were found at the end.
        untouched: bots whose restart was not begun, because one before them did not get ready.
    """

    steps: list[Step]
    revision: int | None = None
    altered: Sequence[Alteration] = ()
    views: list[BotView] = field(default_factory=list)
    untouched: list[str] = field(default_factory=list)

    @property
    def unready(self) -> list[BotView]:
        """The bots that were started and are not running well."""
        return [view for view in self.views if view.state is not State.RUNNING]


@dataclass(frozen=True, slots=True)
class _Deploy:
    """What every step needs."""

    prepared: Prepared
    backend: Backend
    history: Revisions
    number: int
    options: Options
    by_path: dict[Path, RenderedFile]
    found: Mapping[str, InForce]
    altered: Sequence[Alteration]
    touched: list[Path] = field(default_factory=list)

    @property
    def paths(self) -> FleetPaths:
        return self.prepared.paths

    @property
    def shared(self) -> list[Path]:
        """What the fleet has besides its bots' files."""
        wanted = self.prepared.wanted
        own = {path for bot in wanted for path in (self.paths.unit(bot), self.paths.botfile(bot))}
        return [path for path in self.by_path if path not in own]

    def write(self, paths: Iterable[Path]) -> None:
        """Put rendered files in place, those that are not there already."""
        new = []
        for file in map(self.by_path.__getitem__, paths):
            group = ground.group_id(file.group) if file.group else None
            if _content(file.path) != file.content or not _is_kept(file.path, file.mode, group):
                # The machine's own folders, such as /etc/sysusers.d, are everybody's to read.
                shared = self.paths.is_system and file.mode & stat.S_IROTH
                make_private(file.path.parent, 0o755 if shared else 0o700)
                new.append(NewFile(file.path, file.content, file.mode, group))
        write_together(new)
        self.touched.extend(file.path for file in new)

    def remove(self, path: Path) -> None:
        """Take a file away."""
        if path.exists():
            remove(path)
            self.touched.append(path)

    def reload(self, steps: Sequence[Step]) -> None:
        """Have the supervisor read its units, once, if one of them was written or taken away.

        That may have been by a deploy that was broken off before it came here, or by others.
        """
        touched = any(path.parent == self.paths.units for path in self.touched)
        due = any(step.unit_changed or step.action in (Action.LIMIT, Action.REMOVE) for step in steps)
        unread = any(one.kind is Kind.UNREAD for one in self.altered)
        if touched or due or unread:
            self.backend.reload([bot for bot, want in self.prepared.wanted.items() if not want.held])

    def stop_s(self, bots: Sequence[str]) -> float:
        """Seconds in which bots must have stopped: the longest that one has to drain, by old file and new."""
        old = [have.bot_file for bot in bots if (have := self.found.get(bot))]
        new = [want.bot_file for bot in bots if (want := self.prepared.wanted.get(bot))]
        known = [file.stop_s + _STOP_MARGIN_S for file in (*old, *new) if file]
        return max(known, default=STOP_S)

    def put_in_force(self, bots: Sequence[str]) -> None:
        """Remember what the supervisor now has for these bots."""
        wanted = self.prepared.wanted
        self.history.put_in_force(
            Applied(
                bot,
                wanted[bot].type,
                self.backend.name,
                wanted[bot].unit_hash,
                wanted[bot].bot_file.fingerprint(),
                self.number,
            )
            for bot in bots
        )

    def settle(self, bots: Sequence[str]) -> list[BotView]:
        """Wait until these bots have settled, and see that those that are ready stay so."""
        kinds = {bot: self.prepared.wanted[bot].type for bot in bots}
        views = settle(self.paths, kinds, self.backend, self.options.wait_s, self.options.progress)
        return steady(self.paths, views, self.backend)


def _content(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _is_kept(path: Path, mode: int, group: int | None) -> bool:
    """Whether a file is for those alone who are to read it."""
    found = path.stat()
    return stat.S_IMODE(found.st_mode) == mode and group in (None, found.st_gid)


def deploy(fleet: Fleet, paths: FleetPaths, backend: Backend, options: Options) -> Report:
    """Plan, apply, report.

    Raises:
        RefusedError: another command changes the fleet, it belongs to another fleet file, a unit is masked,
            or its supervisor does not run and may not be launched.
        BackendError: the supervisor refused the units, or failed; what was done stays, and the next deploy
            goes on from there.
    """
    ground.lay(paths)
    with (
        changing(paths.lock, "toolkit up" if options.launch else "toolkit deploy"),
        revisions.opened(paths) as history,
    ):
        if not options.take_over:
            need_owner(history, fleet.name, fleet.file, _NOT_OURS)
        alive = backend.alive()
        if not alive and paths.place != PRIVATE_SUPERVISORD:
            backend.launch()  # which is refused in its own words: the service is another's
            alive = True
        if not alive and not options.launch:
            raise RefusedError(
                f"the supervisor of fleet {fleet.name} is not running", "start it with `toolkit up`"
            )
        prepared = prepare(fleet, paths, history.held())
        altered = backend.altered(list(prepared.wanted))
        refuse_masked(altered)
        ground.make(prepared.folders)
        kinds = {bot: want.type for bot, want in prepared.wanted.items()}
        if not alive:
            for bot in sweep(
                paths, max((want.bot_file.stop_s for want in prepared.wanted.values()), default=0) + 2
            ):
                options.tell(f"{bot}: ended a process that had outlived its supervisor")
        applied = history.applied()
        found = in_force(paths, applied, kinds, backend)
        steps = plan(prepared.wanted, found)
        report = Report(steps, altered=altered)
        by_path = {file.path: file for file in prepared.files}
        history.claim(fleet.file)
        forgotten = prepared.wanted.keys() - applied.keys()
        if alive and not forgotten and all(step.action is Action.NOTHING for step in steps):
            work = _Deploy(prepared, backend, history, 0, options, by_path, found, altered)
            _refresh(work, steps)
            work.reload(steps)
            history.note_sources(fleet.sources)
            _await_coming(work, found, report)
            return report
        backend.check(prepared.files)
        report.revision = history.begin(fleet.file, prepared.files)
        work = _Deploy(prepared, backend, history, report.revision, options, by_path, found, altered)
        whole = False
        try:
            (_apply if alive else _launch)(work, steps, report)
            _await_coming(work, found, report)
            whole = not report.untouched
        finally:
            history.finish(report.revision, whole=whole)
        if whole:
            history.note_sources(fleet.sources)
        return report


def foresee(fleet: Fleet, paths: FleetPaths, backend: Backend) -> tuple[list[Step], Sequence[Alteration]]:
    """The plan that a deploy would follow now, and what others have done to units. Changes nothing.

    Raises:
        RefusedError: a deploy would be refused, as a unit is masked.
    """
    held: frozenset[str] = frozenset()
    applied: dict[str, Applied] = {}
    if paths.database.exists():
        with revisions.opened(paths, to_read=True) as history:
            held, applied = history.held(), history.applied()
    wanted = prepare(fleet, paths, held).wanted
    altered = backend.altered(list(wanted)) if backend.alive() else ()
    refuse_masked(altered)
    kinds = {bot: want.type for bot, want in wanted.items()}
    return plan(wanted, in_force(paths, applied, kinds, backend)), altered


def _launch(work: _Deploy, steps: list[Step], report: Report) -> None:
    """Everything in place first, then the supervisor, which starts what may run."""
    for step in steps:
        if step.action is Action.REMOVE:
            _take_away(work, step.bot)
            work.history.forget(step.bot)
    wanted_units = {work.paths.unit(bot) for bot in work.prepared.wanted}
    for stale in set(work.paths.units.glob("*.conf")) - wanted_units:
        remove(stale)
    work.write(work.by_path)
    for folder in (work.paths.logs, work.paths.supervisor_socket.parent):
        make_private(folder)
    work.put_in_force(list(work.prepared.wanted))
    work.options.tell(f"starting the supervisor of fleet {work.prepared.fleet.name}")
    for step in steps:
        if step.action is not Action.NOTHING:
            _tell(work, step)
    work.backend.launch()
    report.views = work.settle([bot for bot, want in work.prepared.wanted.items() if not want.held])


def _apply(work: _Deploy, steps: list[Step], report: Report) -> None:
    """Change a running fleet: removals, then all that was down at once, then restarts one by one."""
    gone = [step for step in steps if step.action is Action.REMOVE]
    _remove_all(work, gone)
    _refresh(work, steps)
    work.reload(steps)
    # What runs and is not in the manifest, as after the database was lost, is remembered again.
    known = work.history.applied()
    unchanged = [step.bot for step in steps if step.action is Action.NOTHING]
    work.put_in_force([bot for bot in unchanged if bot not in known])
    # Last, so that a deploy that is broken off before leaves them to be removed.
    for step in gone:
        work.history.forget(step.bot)
    _limit_all(work, [step for step in steps if step.action is Action.LIMIT])
    _start_all(work, [step for step in steps if step.action in (Action.START, Action.UPDATE)], report)
    restarts = [step for step in steps if step.action is Action.RESTART]
    for index, step in enumerate(restarts):
        _restart(work, step, report)
        if report.views[-1].state is not State.RUNNING:
            report.untouched = [later.bot for later in restarts[index + 1 :]]
            break


def _refresh(work: _Deploy, steps: list[Step]) -> None:
    """Bring units up to date, and what else differs or was edited, but for bot files that take a restart."""
    files = [work.paths.botfile(step.bot) for step in steps if step.action is Action.NOTHING]
    units = [work.paths.unit(step.bot) for step in steps if step.action is not Action.REMOVE]
    work.write([*work.shared, *files, *units])


def _remove_all(work: _Deploy, steps: list[Step]) -> None:
    """Drain bots that left the fleet, all at once, and take them out of force."""
    for step in steps:
        _tell(work, step)
    bots = [step.bot for step in steps]
    work.backend.stop(bots, work.stop_s(bots))
    for step in steps:
        work.backend.remove(step.bot)
        _take_away(work, step.bot)


def _limit_all(work: _Deploy, steps: list[Step]) -> None:
    """Change limits of running bots: the units have them by now, and most supervisors' bots too."""
    for step in steps:
        _tell(work, step)
    work.backend.limit({step.bot: work.prepared.wanted[step.bot].limits for step in steps})


def _start_all(work: _Deploy, steps: list[Step], report: Report) -> None:
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
    started = [step.bot for step in steps if step.action is Action.START]
    work.backend.start(started)
    work.put_in_force([step.bot for step in steps])
    report.views += work.settle(started)


def _restart(work: _Deploy, step: Step, report: Report) -> None:
    _tell(work, step)
    work.write([work.paths.botfile(step.bot)])
    work.backend.stop([step.bot], work.stop_s([step.bot]))
    if step.unit_changed:
        work.backend.remove(step.bot)
        work.backend.add(step.bot)
    work.backend.start([step.bot])
    work.put_in_force([step.bot])
    report.views += work.settle([step.bot])


def _take_away(work: _Deploy, bot: str) -> None:
    """Remove a bot's unit and bot file; its log and what it stored stay."""
    work.remove(work.paths.unit(bot))
    work.remove(work.paths.botfile(bot))


def _await_coming(work: _Deploy, found: Mapping[str, InForce], report: Report) -> None:
    """Wait for bots that were on their way up already, as if this deploy had started them."""
    seen = {view.name for view in report.views}
    coming = (bot for bot, have in found.items() if have.state in COMING)
    report.views += work.settle([bot for bot in coming if bot in work.prepared.wanted and bot not in seen])


def _tell(work: _Deploy, step: Step) -> None:
    work.options.tell(f"{step.bot}: {step.action}" + (f" ({step.reason})" if step.reason else ""))
