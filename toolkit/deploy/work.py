"""What the steps of a deploy share: what is wanted, what is there, and how it is put in place."""

import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from toolkit import ground
from toolkit.backends import Backend
from toolkit.backends.altered import Alteration, Kind
from toolkit.deploy.edited import Edited, amiss
from toolkit.deploy.plan import Action, InForce, Step
from toolkit.deploy.prepare import Prepared
from toolkit.deploy.settle import Progress, settle, silent, steady
from toolkit.deploy.stopping import longest
from toolkit.files import NewFile, Staged, make_private, remove
from toolkit.lifecycle import State
from toolkit.paths import FleetPaths
from toolkit.render import RenderedFile
from toolkit.revisions import Applied, Revisions
from toolkit.view import BotView

# So many bots are named one by one.
_NAMED = 3


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
    tell: Callable[[str], None] = silent
    progress: Progress = silent


@dataclass(slots=True)
class Report:
    """What a deploy did.

    Parameters:
        revision: its number, also of one that an earlier deploy left broken off; None where nothing had to
            be done.
        altered: what others had done to units when it began.
        edited: the files that were not as an earlier deploy had left them then.
        touched: the files that were written or taken away.
        views: the bots that were started, as they were found at the end.
        untouched: bots whose restart was not begun, because one before them did not get ready.
        ailing: bots that the deploy leaves as they are, and that do not run well: see their steps' reasons.
    """

    steps: list[Step]
    revision: int | None = None
    altered: Sequence[Alteration] = ()
    edited: Sequence[Edited] = ()
    touched: Sequence[Path] = ()
    views: list[BotView] = field(default_factory=list)
    untouched: list[str] = field(default_factory=list)
    ailing: Sequence[str] = ()

    @property
    def put_back(self) -> list[Edited]:
        """The files that were edited or taken away, and are now as they are to be."""
        return [one for one in self.edited if one.path in self.touched]

    @property
    def unready(self) -> list[BotView]:
        """The bots that were started and are not running well."""
        return [view for view in self.views if view.state is not State.RUNNING]


@dataclass(frozen=True, slots=True)
class Work:
    """What every step needs.

    Parameters:
        by_path: the rendered files.
        found: what was in force for each bot.
        altered: what others had done to units.
        links: what has bots come up with the supervisor, or not, against what is wanted.
        at: called with what it is at, in words for whoever is refused meanwhile.
        revision: the number of what is being put in force; 0 where nothing is.
        staged: the files that are on disk, and wait to be put in place.
    """

    prepared: Prepared
    backend: Backend
    history: Revisions
    options: Options
    by_path: dict[Path, RenderedFile]
    found: Mapping[str, InForce]
    altered: Sequence[Alteration]
    links: Sequence[Edited] = ()
    at: Callable[[str], None] = silent
    revision: int = 0
    touched: list[Path] = field(default_factory=list)
    staged: Staged = field(default_factory=Staged)

    @property
    def paths(self) -> FleetPaths:
        """Where the fleet lies."""
        return self.prepared.paths

    @property
    def shared(self) -> list[Path]:
        """What the fleet has besides its bots' files."""
        wanted = self.prepared.wanted
        own = {path for bot in wanted for path in (self.paths.unit(bot), self.paths.botfile(bot))}
        return [path for path in self.by_path if path not in own]

    def stage(self) -> None:
        """Have all rendered files that are not in place on disk, ready to be put there."""
        self._stage(self.by_path)

    def write(self, paths: Iterable[Path]) -> None:
        """Put rendered files in place, those that are not there already."""
        due = list(paths)
        self._stage(path for path in due if path not in self.staged)
        self.touched.extend(self.staged.put(due))

    def _stage(self, paths: Iterable[Path]) -> None:
        new = []
        for file in map(self.by_path.__getitem__, paths):
            if amiss(file):
                group = ground.group_id(file.group) if file.group else None
                # The machine's own folders, such as /etc/sysusers.d, are everybody's to read.
                shared = self.paths.is_system and file.mode & stat.S_IROTH
                make_private(file.path.parent, 0o755 if shared else 0o700)
                new.append(NewFile(file.path, file.content, file.mode, group))
        self.staged.add(new)

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
        if touched or due or unread or self.links:
            self.backend.reload([bot for bot, want in self.prepared.wanted.items() if not want.held])
            self.touched.extend(one.path for one in self.links)

    def stop_s(self, bots: Sequence[str]) -> float:
        """Seconds in which bots must have stopped: the longest that one has to drain, by old file and new."""
        old = [have.bot_file for bot in bots if (have := self.found.get(bot))]
        new = [want.bot_file for bot in bots if (want := self.prepared.wanted.get(bot))]
        return longest([*old, *new])

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
                self.revision,
            )
            for bot in bots
        )

    def settle(self, bots: Sequence[str]) -> list[BotView]:
        """Wait until these bots have settled, and see that those that are ready stay so."""
        if not bots:
            return []
        kinds, wait_s = {bot: self.prepared.wanted[bot].type for bot in bots}, self.options.wait_s
        self.at(f"it waits up to {wait_s:g} s for {_named(bots)} to get ready")
        views = settle(self.paths, kinds, self.backend, wait_s, self.options.progress)
        self.at("")
        return steady(self.paths, views, self.backend)


def _named(bots: Sequence[str]) -> str:
    """The bots, or the first of them."""
    more = len(bots) - _NAMED
    return ", ".join(bots[:_NAMED]) + (f" and {more} more" if more > 0 else "")
