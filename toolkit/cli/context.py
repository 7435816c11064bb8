"""What every command starts from: which fleet, where it lies, which bots it has."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from toolkit.cli.output import note
from toolkit.errors import NotDeployedError, SecretError, UsageError
from toolkit.files import in_the_way

if TYPE_CHECKING:
    from toolkit.backends import Backend
    from toolkit.backends.choose import Choice
    from toolkit.fleet.identity import Identity
    from toolkit.fleet.model import Fleet
    from toolkit.paths import FleetPaths
    from toolkit.view import BotView

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON of a stable shape (docs/json.md).")]
# The most that an option may ask for; nan, which is neither less nor more, is refused by the parser alone.
LONGEST_S = 7 * 24 * 3600.0
MOST_LINES = 1_000_000


def _seconds(text: str | float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= LONGEST_S:
        raise typer.BadParameter(f"{text!r} is no number of seconds from 0 to {LONGEST_S:.0f}")
    return value


def seconds_option(name: str, help_text: str) -> Any:
    """An option that takes seconds."""
    return typer.Option(name, help=help_text, parser=_seconds, metavar="SECONDS")


Wait = Annotated[float, seconds_option("--wait", "Seconds in which a bot must get ready.")]


@dataclass(frozen=True, slots=True)
class Invocation:
    """The global options.

    Parameters:
        fleet_file: the fleet file, as the user named it.
        root: what takes the place of the user's state folder, or None.
        debug: whether errors come with a traceback.
    """

    fleet_file: Path
    root: Path | None
    debug: bool

    def load(self) -> "tuple[Fleet, FleetPaths]":
        """The fleet from its files, checked."""
        fleet = self._fleet()
        return fleet, self._paths(_identity(fleet))

    def paths(self) -> "FleetPaths":
        """Where the fleet lies, without reading its files whole where a glance is enough."""
        return self._paths(self._known())

    def choice(self) -> "Choice":
        """The place of the fleet, and why that one."""
        return self._choice(self._known())

    def _fleet(self) -> "Fleet":
        from toolkit.fleet.loader import load

        self._need_file()
        return load(self.fleet_file, os.environ, self.root)

    def _known(self) -> "Identity":
        from toolkit.fleet.identity import quick_identity

        self._need_file()
        known = quick_identity(self.fleet_file)
        if known is None:
            return _identity(self._fleet())
        if self.root is None and known.root and (obstacle := in_the_way(known.root)):
            raise UsageError(f"{self.fleet_file}: root: {obstacle} is no folder", "name another")
        return known

    def _choice(self, known: "Identity") -> "Choice":
        from toolkit.backends.choose import choose

        return choose(known.backend, known.mode, known.fleet, self.root or known.root)

    def _paths(self, known: "Identity") -> "FleetPaths":
        from toolkit.backends.choose import paths_in

        return paths_in(self._choice(known).place, known.fleet, self.root or known.root)

    def _need_file(self) -> None:
        if self.fleet_file.is_file():
            return
        hint = "`toolkit init` writes one; -f FILE or TOOLKIT_FLEET names another"
        if self.fleet_file.exists():
            raise UsageError(f"the fleet file {self.fleet_file} is no regular file", hint)
        raise UsageError(f"no fleet file {self.fleet_file}", hint)


def _identity(fleet: "Fleet") -> "Identity":
    from toolkit.fleet.identity import Identity

    return Identity(fleet.name, fleet.root, fleet.backend, fleet.mode)


def invocation(context: typer.Context) -> Invocation:
    """The global options of this call."""
    found = context.find_object(Invocation)
    if (
        found is None
    ):  # the shell's completion parses the options, but does not run the callback that takes them
        given = context.find_root().params
        root = given.get("root")
        fleet_file = Path(given.get("fleet_file") or "fleet.yaml")
        found = Invocation(fleet_file, Path(root) if root else None, debug=False)
    return found


class InForce(NamedTuple):
    """What was deployed; where that is nothing yet, what the fleet's files have.

    Parameters:
        bots: the type of each, by name.
        changed: the fleet's files that were changed since the last deploy.
        owner: the fleet file that it was deployed from.
    """

    bots: dict[str, str]
    changed: list[Path]
    owner: Path | None


def in_force(call: Invocation, paths: "FleetPaths") -> InForce:
    """The bots of the applied manifest; those of the fleet's files where there is none."""
    from toolkit import revisions

    if paths.database.exists():
        with revisions.opened(paths, to_read=True) as history:
            applied = history.applied()
            if applied:
                bots = {name: row.type for name, row in applied.items()}
                return InForce(bots, history.changed_sources(call.fleet_file), history.owner())
    fleet, _ = call.load()
    return InForce({bot.name: bot.type for bot in fleet.bots.values()}, [], None)


def say_whose(call: Invocation, fleet: str, owner: Path | None) -> None:
    """Tell where the bots are those of another fleet file of the same name: `init` gives all one name."""
    from toolkit.deploy.owner import is_owner

    if owner and not is_owner(owner, call.fleet_file):
        note(f"note: fleet {fleet} is deployed from {owner}, not from {call.fleet_file.absolute()}")


def backend_of(paths: "FleetPaths") -> "Backend":
    """The supervisor of the fleet."""
    from toolkit.backends import backend

    return backend(paths)


@dataclass(frozen=True, slots=True)
class Selection:
    """Bots that were meant.

    Parameters:
        paths: the fleet's.
        bots: the type of each, by name.
        views: of each, if the selectors ask for states; else None.
        changed: the fleet's files that were changed since the last deploy.
    """

    paths: "FleetPaths"
    bots: dict[str, str]
    views: "list[BotView] | None"
    changed: list[Path]


def selected(context: typer.Context, selectors: list[str]) -> Selection:
    """The bots that the selectors mean."""
    from toolkit.observe import observe
    from toolkit.selectors import Candidate, needs_state, select

    call = invocation(context)
    paths = call.paths()
    bots, changed, owner = in_force(call, paths)
    say_whose(call, paths.fleet, owner)
    views = None
    if needs_state(selectors):
        views = observe(paths, bots, backend_of(paths))
    states = {view.name: str(view.state) for view in views or []}
    names = select(selectors, [Candidate(bot, kind, states.get(bot, "")) for bot, kind in bots.items()])
    if bots and not names:
        note("note: no bot is in that state")
    if views is not None:
        views = [view for view in views if view.name in names]
    return Selection(paths, {name: bots[name] for name in names}, views, changed)


def selected_one(context: typer.Context, selector: str) -> "tuple[FleetPaths, str]":
    """Where the one bot lies that the selector means, and its name.

    Raises:
        UsageError: it means several.
    """
    chosen = selected(context, [selector])
    if len(chosen.bots) != 1:
        raise UsageError(f"{selector!r} means {len(chosen.bots)} bots", "name one")
    return chosen.paths, next(iter(chosen.bots))


def complete_bot(context: typer.Context, incomplete: str) -> list[str]:
    """Names and selectors for the shell's completion; nothing where the fleet cannot be read."""
    from toolkit.errors import ToolkitError

    call = invocation(context)
    try:
        bots = in_force(call, call.paths()).bots
    except ToolkitError:
        return []
    words = ["all", *bots, *sorted({f"type:{kind}" for kind in bots.values()})]
    return [word for word in words if word.startswith(incomplete)]


Selectors = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[BOT]...",
        help="Names, globs, type:T, state:S or all.",
        autocompletion=complete_bot,
        show_default=False,
    ),
]


def sandbox_bot(context: typer.Context, selector: str) -> tuple[str, str, str]:
    """The name, the endpoint and the Telegram id of the bot in force that is meant.

    Raises:
        ToolkitError: there is no such bot, or its token must be had by running a command.
    """
    from toolkit import botfile
    from toolkit.secrets import bot_id, read_token

    paths, bot = selected_one(context, selector)
    found = paths.botfile(bot)
    if not found.exists():
        raise NotDeployedError(bot)
    loaded = botfile.load(found)
    if loaded.token is None:
        raise SecretError(f"bot {bot} has no token")
    return bot, loaded.endpoint, bot_id(read_token(loaded.token, os.environ))
