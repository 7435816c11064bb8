"""What the applied revision put in force, as one document: what a host's checks are made from."""

import os
import pwd
import re
import sys
from collections.abc import Iterator, Mapping
from itertools import accumulate
from pathlib import Path

import msgspec

from toolkit import botfile, lock, revisions
from toolkit.botfile import BotFile
from toolkit.deploy import access
from toolkit.deploy.stopping import bot_file_in_place
from toolkit.errors import NotDeployedError, ToolkitError
from toolkit.paths import FleetPaths, is_bot_name
from toolkit.render import RenderedFile, botfiles, supervisord_text, systemd_text
from toolkit.revisions import Applied, Revisions
from toolkit.secrets import FILE_KINDS
from toolkit.verify import folders, service
from toolkit.verify.folders import Kept, Own
from toolkit.verify.service import Service

VERSION = 1
# Seconds for which a command that changes the fleet is waited for: a restart, or a deploy of some bots.
CHANGE_S = 60.0
_SEE_WHO = "see who wrote that; `toolkit deploy` makes a revision of the fleet's files"
_USER = re.compile(r"^(?:user|User)=(.*)$", re.MULTILINE)


class File(msgspec.Struct, frozen=True):
    """A file as it was rendered.

    Parameters:
        user: who owns it, "" in user mode.
        group: likewise.
    """

    path: str
    text: str
    mode: int
    user: str = ""
    group: str = ""


class Bot(msgspec.Struct, frozen=True, kw_only=True):
    """A bot as it was put in force.

    Parameters:
        held: whether an operator keeps it stopped.
        user: who runs it.
        python: the interpreter that its runner is installed in, by the unit in place; "" where unknown.
        runs_as: who starts that interpreter, by the unit in place.
        secret: the file of its token, "" where the token is not in a file.
        code: the folders of its code.
        bot: its bot file.
    """

    name: str
    held: bool
    unit: File
    unit_hash: str
    bot_file: File
    fingerprint: str
    user: str
    python: str
    runs_as: str
    secret: str
    code: tuple[str, ...] = ()
    bot: BotFile

    @property
    def service(self) -> str:
        """What its unit is called."""
        return os.path.basename(self.unit.path)


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """A fleet on a host.

    Parameters:
        sources: the fleet's files.
        made_at: when the newest revision was made, RFC 3339 in UTC.
        shared: rendered files that are no bot's own.
        group: the operators' Unix group, "" in user mode.
        target: systemd's target of the fleet, "" under supervisord.
        wants: the folder of links to the bots that come up with the target.
        folders: those that the toolkit made, in system mode.
        kept: those of the administrator that others may not write to.
        service: the machine's supervisord, where the fleet is a guest there.
    """

    version: int = VERSION
    fleet: str
    backend: str
    mode: str
    owner: str
    sources: tuple[str, ...]
    home: str
    logs: str
    database: str
    lock: str
    group: str
    target: str
    wants: str
    revision: int
    status: str
    made_at: str
    shared: tuple[File, ...]
    bots: tuple[Bot, ...]
    folders: tuple[Own, ...] = ()
    kept: tuple[Kept, ...] = ()
    service: Service | None = None

    @property
    def is_system(self) -> bool:
        """Whether the fleet is in system mode."""
        return self.mode == "system"

    @property
    def shared_units(self) -> list[str]:
        """The paths of the fleet's target and slice, under systemd."""
        return [file.path for file in self.shared if file.path.endswith((".target", ".slice"))]


def expected(paths: FleetPaths, fleet_file: Path) -> Expected:
    """What this host's database says, when the command is done that changes the fleet just now.

    Raises:
        NotDeployedError: nothing is deployed.
        RefusedError: such a command takes too long.
        ToolkitError: the database cannot be used, or does not know the files of what is in force.
    """
    if not paths.database.exists():
        raise NotDeployedError(f"fleet {paths.fleet}")
    lock.wait_until_free(paths.lock, CHANGE_S)
    with revisions.opened(paths, to_read=True) as history:
        applied, last = history.applied(), history.last()
        if last is None:
            raise NotDeployedError(f"fleet {paths.fleet}")
        numbers = {last[0], *(row.revision for row in applied.values())}
        rendered = {number: history.files(number) for number in numbers}
        for number in sorted(numbers):
            _need_own(paths, number, rendered[number])
        return _expected(paths, fleet_file, history, applied, last, rendered)


def _need_own(paths: FleetPaths, number: int, files: Mapping[Path, RenderedFile]) -> None:
    """Refuse a revision of other files than a fleet has: all operators may write it, root looks at them."""
    units = (paths.units / paths.slice, paths.units / paths.target)
    own = {paths.supervisord_conf, paths.sysusers, paths.tmpfiles, *units}
    for bot in filter(is_bot_name, _names(files, paths)):
        own |= {paths.unit(bot), paths.botfile(bot)}
    foreign = sorted(files.keys() - own)
    if foreign:
        message = (
            f"{paths.database}: its revision {number} names {foreign[0]}, which is no file of this fleet"
        )
        raise ToolkitError(message, _SEE_WHO)


def _expected(
    paths: FleetPaths,
    fleet_file: Path,
    history: Revisions,
    applied: Mapping[str, Applied],
    last: tuple[int, str],
    rendered: Mapping[int, Mapping[Path, RenderedFile]],
) -> Expected:
    number, status = last
    held = history.held()
    owner = "root" if paths.is_system else _owner(paths.home)
    bots = tuple(
        _bot(paths, row, rendered[row.revision], name in held, owner) for name, row in applied.items()
    )
    own = {Path(file.path) for bot in bots for file in (bot.unit, bot.bot_file)}
    newest = rendered[number]
    others = {paths.unit(name) for name in _names(newest, paths)}
    files = [file for path, file in newest.items() if path not in own | others]
    shared = tuple(_file(paths, file) for file in files if not _is_bot_file(file))
    systemd = paths.place.backend == "systemd"
    return Expected(
        fleet=paths.fleet,
        backend=paths.place.backend,
        mode=paths.place.mode,
        owner=owner,
        sources=tuple(map(str, revisions.sources(fleet_file))),
        home=str(paths.home),
        logs="" if systemd else str(paths.logs),
        database=str(paths.database),
        lock=str(paths.lock),
        group=paths.group if paths.is_system else "",
        target=paths.target if systemd else "",
        wants=str(paths.units / f"{paths.target}.wants") if systemd else "",
        revision=number,
        status=status,
        made_at=history.made_at(number),
        shared=shared,
        bots=bots,
        folders=folders.own(paths, shared) if paths.is_system else (),
        kept=folders.kept(revisions.sources(fleet_file), bots, shared),
        service=service.of_machine(paths),
    )


def _names(files: Mapping[Path, RenderedFile], paths: FleetPaths) -> list[str]:
    """The bots whose bot files these are."""
    return [
        file.path.stem if paths.is_system else file.path.parent.name
        for file in files.values()
        if _is_bot_file(file)
    ]


def _is_bot_file(file: RenderedFile) -> bool:
    return file.path.suffix == ".json"


def _bot(paths: FleetPaths, row: Applied, files: Mapping[Path, RenderedFile], held: bool, owner: str) -> Bot:
    try:
        unit, own = files[paths.unit(row.bot)], files[paths.botfile(row.bot)]
    except KeyError:
        message = f"revision {row.revision}, which put {row.bot} in force, does not have its files"
        raise ToolkitError(message, "run `toolkit deploy`") from None
    bot = botfile.decode(own.content.encode())
    if paths.is_system and bot.files != botfiles.files(row.bot, paths):
        message = f"{paths.database}: revision {row.revision} names files of {row.bot} that are not its own"
        raise ToolkitError(message, _SEE_WHO)
    # All operators may write what the database has, and the interpreter is run.
    in_place = _in_place(paths.unit(row.bot)) if paths.is_system else unit.content
    # What to do with what these name is told to root.
    trusted = bot_file_in_place(paths, row.bot) if paths.is_system else bot
    token = trusted.token if trusted else None
    user = _user(unit.content) or owner
    return Bot(
        name=row.bot,
        held=held,
        unit=_file(paths, unit),
        unit_hash=row.unit_hash,
        bot_file=_file(paths, own, _group(paths, user)),
        fingerprint=row.fingerprint,
        user=user,
        python=_python(in_place) if in_place else "",
        runs_as=_user(in_place) or owner,
        secret=token.value[0] if token and token.kind in FILE_KINDS else "",
        code=tuple(_code(trusted)) if trusted else (),
        bot=bot,
    )


def _code(bot: BotFile) -> Iterator[str]:
    """The folders that a bot's code may lie in: those that are searched, and its module's packages there."""
    yield bot.directory
    module = bot.app.target.partition(":")[0]
    for folder in bot.app.search:
        yield from accumulate(module.split("."), os.path.join, initial=folder)
    if bot.app.argv and os.path.isabs(bot.app.argv[0]):
        yield os.path.dirname(bot.app.argv[0])


def _file(paths: FleetPaths, file: RenderedFile, group: str = "root") -> File:
    owners = ("root", group) if paths.is_system else ()
    return File(str(file.path), file.content, file.mode, *owners)


def _group(paths: FleetPaths, user: str) -> str:
    """The group of a bot file: its bot reads it by that."""
    if paths.place.backend == "systemd":
        return paths.group
    known = access.account(user)
    return known.own_group if known else user


def _in_place(unit: Path) -> str:
    """A unit as it lies there, which in system mode root alone may write; "" where it cannot be read."""
    try:
        return unit.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _user(unit: str) -> str:
    found = _USER.search(unit)
    return found[1] if found else ""


def _python(unit: str) -> str:
    """The interpreter beside the runner that a unit starts."""
    runner = systemd_text.program_of(unit) or next(iter(supervisord_text.command_of(unit)), sys.executable)
    return os.path.join(os.path.dirname(runner), "python")


def _owner(home: Path) -> str:
    uid = home.stat().st_uid
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
