"""Units of a fleet under supervisord, and the configuration of a private one."""

import hashlib
import math
import re
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING

from toolkit.errors import Problem
from toolkit.fleet.model import Fleet, Type
from toolkit.lifecycle import NO_RESTART_CODES
from toolkit.paths import FleetPaths, runner_of
from toolkit.render import Machine, RenderedFile
from toolkit.render.folders import at_boot
from toolkit.render.supervisord_text import ini, ini_twice, shell_words, unfit_path, unfit_variable, variable
from toolkit.templates import environment

if TYPE_CHECKING:
    from jinja2 import Template

# Seconds that a drained bot has to end by itself before supervisord kills it.
_STOP_MARGIN_S = 3
# supervisord's own default, and the step in which it grows, so that few deploys change it.
_MIN_FILES = 1024
# A program takes three, two pipes and its log file, and one is to spare.
_FILES_EACH, _OWN_FILES = 4, 256
_GLOB = re.compile(r"[*?[\]]")


def shared_files(fleet: Fleet, paths: FleetPaths, machine: Machine) -> list[RenderedFile]:
    """What the fleet has besides its bots' files: a private supervisord's configuration, or folders.

    Raises:
        UnfitError: a path cannot be expressed; ``problems`` says which.
    """
    if paths.is_system:
        return [at_boot(fleet, paths, machine)]
    return [supervisord_conf(paths, len(fleet.bots), machine.file_limit)]


def unit(fleet: Fleet, bot: str, paths: FleetPaths, machine: Machine, enabled: bool = True) -> RenderedFile:
    """A bot's unit: one ungrouped program.

    Parameters:
        enabled: whether it is started with supervisord; an operator's stop takes that away.

    Raises:
        UnfitError: a value cannot be expressed; ``problems`` says which.
    """
    digest = unit_hash(fleet, bot, paths, machine)
    return RenderedFile(paths.unit(bot), _program(fleet, bot, paths, machine.python, enabled, digest))


def unit_hash(fleet: Fleet, bot: str, paths: FleetPaths, machine: Machine) -> str:
    """A digest of what a bot's unit says, except whether it is enabled: an operator's stop is no change.

    The unit passes it on as BOT_TOOLKIT_UNIT, and the runner tells it: where it differs, an old unit runs.

    Raises:
        UnfitError: a value cannot be expressed; ``problems`` says which.
    """
    text = _program(fleet, bot, paths, machine.python, enabled=True, digest="")
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def supervisord_conf(paths: FleetPaths, programs: int, file_limit: int = _MIN_FILES) -> RenderedFile:
    """The private supervisord's own configuration. It includes every unit in the folder of units.

    Parameters:
        programs: how many bots it runs, which tells how many files it must be able to open.
        file_limit: open files that it can surely have (its hard RLIMIT_NOFILE). It would not start if it
            were told to want more.

    Raises:
        UnfitError: a path cannot be expressed; ``problems`` says which.
    """
    wanted = math.ceil((_FILES_EACH * programs + _OWN_FILES) / _MIN_FILES) * _MIN_FILES
    content = _template("supervisord.conf.j2").render(
        fleet=paths.fleet,
        log=str(paths.supervisor_log),
        pidfile=str(paths.supervisor_pidfile),
        logs=str(paths.logs),
        socket=str(paths.supervisor_socket),
        # Relative to this file: an absolute path could not have white space in it.
        units=paths.units.relative_to(paths.home),
        minfds=min(wanted, file_limit),
    )
    return RenderedFile(paths.supervisord_conf, content)


def live_properties(type_: Type) -> dict[str, int]:
    """None: supervisord's limits are those of a process's start."""
    del type_
    return {}


def problems(fleet: Fleet, paths: FleetPaths, machine: Machine) -> list[Problem]:
    """What of a valid fleet cannot be said to supervisord: nothing, for nearly every fleet.

    A unit of a fleet without problems renders, and is read back by supervisord as it was meant.
    """
    del machine
    root = "root" if ("root",) in fleet.positions else "fleet"
    found: list[tuple[tuple[str, ...], str]] = [((root,), _unfit_home(str(paths.home)))]
    for type_ in fleet.types.values():
        found += _unfit_in_type(type_)
    words = "supervisord cannot be told this value: "
    problems = [fleet.problem(path, words + reason, "change it") for path, reason in found if reason]
    problems += [problem for type_ in fleet.types.values() for problem in _not_limited(fleet, type_)]
    problems += _without_credentials(fleet)
    return problems + (_users_missing(fleet) if paths.is_system else [])


def _not_limited(fleet: Fleet, type_: Type) -> Iterator[Problem]:
    """The limits of control groups, which supervisord does not know: to leave them out would be no limit."""
    for field in fields(type_.resources):
        if getattr(type_.resources, field.name) is not None:
            message, hint = "supervisord has no such limit", "remove it, or use `backend: systemd`"
            yield fleet.problem(("types", type_.name, "limits", field.name), message, hint)


def _without_credentials(fleet: Fleet) -> list[Problem]:
    message, hint = "supervisord has no credentials", "put the token in a file: `token: {file: PATH}`"
    kinds = {bot.name: bot.token.kind for bot in fleet.bots.values() if bot.token}
    return [
        fleet.problem(("bots", name, "token", kind), message, hint)
        for name, kind in kinds.items()
        if kind == "credential"
    ]


def _users_missing(fleet: Fleet) -> list[Problem]:
    """Where the machine's supervisord would run a bot as root."""
    used = {bot.type for bot in fleet.bots.values()}
    found = []
    for type_ in fleet.types.values():
        if type_.name in used and type_.user in ("", "root"):
            message = "the machine's supervisord would run its bots as root"
            hint = "name a user of their own: `user: NAME`"
            found.append(fleet.problem(("types", type_.name, "user"), message, hint))
    return found


def _unfit_in_type(type_: Type) -> Iterator[tuple[tuple[str, ...], str]]:
    path = ("types", type_.name)
    for name, value in type_.environment.items():
        yield (*path, "environment", name), unfit_variable(name, value)
    yield (*path, "directory"), unfit_path(type_.directory)
    yield (*path, "python"), unfit_path(type_.python)


def _unfit_home(home: str) -> str:
    if _GLOB.search(home):
        return "its units are found by a pattern, in which *, ?, [ and ] of the folder's name would count"
    return unfit_path(home)


def _program(fleet: Fleet, bot: str, paths: FleetPaths, python: str, enabled: bool, digest: str) -> str:
    type_ = fleet.types[fleet.bots[bot].type]
    return _template("program.conf.j2").render(
        bot=bot,
        fleet=fleet.name,
        program=paths.program(bot),
        command=[runner_of(type_.python or python), str(paths.botfile(bot))],
        directory=type_.directory,
        user=type_.user if paths.is_system else "",
        environment=sorted(_environment(type_, bot, paths).items()),
        unit_hash=digest,
        enabled=enabled,
        autorestart="false" if type_.restart.policy == "never" else "unexpected",
        exitcodes=NO_RESTART_CODES,
        stopwaitsecs=math.ceil(type_.stop_s + _STOP_MARGIN_S),
        log=str(paths.stray_log(bot)),
    )


def _environment(type_: Type, bot: str, paths: FleetPaths) -> dict[str, str]:
    """Its variables; a program of another user would inherit those of root's, which supervisord has."""
    own = {"HOME": str(paths.state(bot)), "LOGNAME": type_.user, "USER": type_.user}
    return {**(own if paths.is_system else {}), **type_.environment}


@cache
def _template(name: str) -> "Template":
    made = environment("supervisord")
    made.filters |= {"ini": ini, "ini_twice": ini_twice, "shell_words": shell_words}
    made.globals["variable"] = variable
    return made.get_template(name)
