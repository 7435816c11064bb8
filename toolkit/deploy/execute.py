"""Put a fleet in force: look, plan, and have the steps taken."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from toolkit import ground, revisions
from toolkit.backends import Backend
from toolkit.backends.altered import Alteration, refuse_masked
from toolkit.deploy.apply import apply, await_coming, confirm, launch
from toolkit.deploy.edited import Edited, edited, in_text, kept_otherwise, moved
from toolkit.deploy.leftovers import sweep
from toolkit.deploy.observed import in_force
from toolkit.deploy.owner import need_owner
from toolkit.deploy.plan import Action, InForce, Step, Wanted, plan
from toolkit.deploy.prepare import Prepared, prepare
from toolkit.deploy.room import make_sure
from toolkit.deploy.work import Options, Report, Work
from toolkit.errors import RefusedError
from toolkit.files import remove_unfinished
from toolkit.fleet.model import Fleet
from toolkit.lifecycle import State
from toolkit.lock import changing
from toolkit.paths import FleetPaths
from toolkit.place import PRIVATE_SUPERVISORD
from toolkit.revisions import Applied, Written

_AILING = (State.BACKOFF, State.QUARANTINED)
_NOT_OURS = "name this fleet otherwise, or pass --take-over to deploy it from here on"


def deploy(fleet: Fleet, paths: FleetPaths, backend: Backend, options: Options) -> Report:
    """Plan, apply, report.

    Raises:
        RefusedError: another command changes the fleet, it belongs to another fleet file, a unit is masked,
            or its supervisor does not run and may not be launched.
        BackendError: the supervisor refused the units, or failed; what was done stays, and the next deploy
            goes on from there.
    """
    found = ground.lay(paths)
    with (
        changing(paths.lock, "toolkit up" if options.launch else "toolkit deploy") as hold,
        revisions.opened(paths) as history,
    ):
        if not options.take_over:
            need_owner(history.owner(), fleet.name, fleet.file, _NOT_OURS)
        alive = _runs(paths, backend, may_launch=options.launch)
        prepared = prepare(fleet, paths, history.held())
        altered = backend.altered(list(prepared.wanted))
        refuse_masked(altered)
        found |= ground.make(prepared.folders)
        if not alive:
            for bot in sweep(paths):
                options.tell(f"{bot}: ended a process that had outlived its supervisor")
        seen = _look(prepared, backend, history.applied(), history.written(), found)
        steps = seen.steps
        by_path = {file.path: file for file in prepared.files}
        remove_unfinished(by_path)
        work = Work(prepared, backend, history, options, by_path, seen.have, altered, seen.links, hold.tell)
        work.touched.extend(found)
        report = Report(steps, altered=altered, edited=seen.edited, touched=work.touched)
        report.ailing = _ailing(seen, prepared.wanted)
        history.claim(fleet.file)
        number = history.holding(prepared.files) if alive else None
        if number and all(step.action is Action.NOTHING for step in steps):
            confirm(replace(work, revision=number), steps, report)
            history.note_sources(fleet.sources)
            await_coming(work, seen.have, report)
            return report
        backend.check(prepared.files)
        with work.staged:
            make_sure(work, steps)
            _carry_out(work, steps, report, alive=alive)
        return report


def _carry_out(work: Work, steps: list[Step], report: Report, *, alive: bool) -> None:
    """Take the steps, as a new revision."""
    fleet, history = work.prepared.fleet, work.history
    report.revision = history.begin(fleet.file, work.prepared.files)
    work = replace(work, revision=report.revision)
    whole = False
    try:
        (apply if alive else launch)(work, steps, report)
        await_coming(work, work.found, report)
        whole = not report.untouched
    finally:
        history.finish(report.revision, whole=whole)
    if whole:
        history.note_sources(fleet.sources)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is there, against what is wanted.

    Parameters:
        have: what is in force for each bot.
        missed: the files and folders that are not as an earlier deploy left them.
        links: what has bots come up with the supervisor, or not, against what is wanted.
        steps: the plan.
    """

    have: dict[str, InForce]
    missed: list[Edited]
    links: list[Edited]
    steps: list[Step]

    @property
    def edited(self) -> list[Edited]:
        """All that is to be put back."""
        return [*self.missed, *self.links]


def _ailing(seen: _Seen, wanted: Mapping[str, Wanted]) -> list[str]:
    """The bots that are to run, are left as they are, and do not run well."""
    left = [step.bot for step in seen.steps if step.action is Action.NOTHING]
    return [bot for bot in left if seen.have[bot].state in _AILING and not wanted[bot].held]


def _look(
    prepared: Prepared,
    backend: Backend,
    applied: dict[str, Applied],
    written: Written,
    found: Mapping[Path, str],
) -> _Seen:
    """Compare what is there with what is wanted.

    Parameters:
        found: of folders and records, what is otherwise.
    """
    paths, wanted = prepared.paths, prepared.wanted
    missed = [*edited(prepared.files, written), *moved(prepared.folders, found, written, paths.tmpfiles)]
    kinds = {bot: want.type for bot, want in wanted.items()}
    have = in_force(paths, applied, kinds, backend, in_text(missed))
    links = kept_otherwise(backend, wanted, have, {one.path for one in missed})
    return _Seen(have, missed, links, plan(wanted, have))


def _runs(paths: FleetPaths, backend: Backend, *, may_launch: bool) -> bool:
    """Whether the supervisor runs; another's is launched right away, which it refuses in its own words.

    Raises:
        RefusedError: it does not, and may not be launched.
    """
    if backend.alive():
        return True
    if paths.place != PRIVATE_SUPERVISORD:
        backend.launch()
        return True
    if not may_launch:
        message = f"the supervisor of fleet {paths.fleet} is not running"
        raise RefusedError(message, "start it with `toolkit up`")
    return False


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a deploy would do now.

    Parameters:
        altered: what others have done to units.
        edited: the files that it would put back.
    """

    steps: list[Step]
    altered: Sequence[Alteration]
    edited: Sequence[Edited]


def foresee(fleet: Fleet, paths: FleetPaths, backend: Backend) -> Foreseen:
    """The plan that a deploy would follow now. Changes nothing.

    Raises:
        RefusedError: a deploy would be refused, as a unit is masked.
    """
    held: frozenset[str] = frozenset()
    applied: dict[str, Applied] = {}
    written = Written()
    if paths.database.exists():
        with revisions.opened(paths, to_read=True) as history:
            held, applied, written = history.held(), history.applied(), history.written()
    prepared = prepare(fleet, paths, held)
    altered = backend.altered(list(prepared.wanted)) if backend.alive() else ()
    refuse_masked(altered)
    seen = _look(prepared, backend, applied, written, ground.look(paths, prepared.folders))
    return Foreseen(seen.steps, altered, seen.edited)
