"""Units of a fleet under systemd, and what makes its group and folders."""

import hashlib
import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.errors import Problem
from toolkit.fleet.addresses import is_outside
from toolkit.fleet.model import Fleet, Type
from toolkit.health import start_timeout_s
from toolkit.lifecycle import NO_RESTART_CODES
from toolkit.paths import FleetPaths, runner_of
from toolkit.render import Machine, RenderedFile, UnfitError
from toolkit.render.folders import of_systemd
from toolkit.render.systemd_limits import NO_LIMIT
from toolkit.render.systemd_marks import MARKER, description
from toolkit.render.systemd_text import path, quoted, unfit, unfit_path, unfit_program
from toolkit.templates import environment

if TYPE_CHECKING:
    from jinja2 import Template

# Ubuntu 22.04 has it; what is older lacks parts of the sandbox.
OLDEST = 249
# Credentials named without a path are looked for in credstore folders since this version.
_CREDSTORE = 252
# ImportCredential=, which also takes encrypted ones.
_IMPORT_CREDENTIAL = 254
# Seconds that a drained bot has to end by itself before systemd kills it.
_STOP_MARGIN_S = 3
# Readable for all, as other units are: they hold no secrets.
_MODE = 0o644

Reason = tuple[tuple[str, ...], str, str]


def shared_files(fleet: Fleet, paths: FleetPaths, machine: Machine) -> list[RenderedFile]:
    """The fleet's slice and target, and in system mode what makes its group and folders."""
    del fleet, machine
    files = [
        _shared("fleet.slice.j2", paths, paths.units / paths.slice),
        _shared("fleet.target.j2", paths, paths.units / paths.target),
    ]
    if paths.is_system:
        files.append(_shared("sysusers.conf.j2", paths, paths.sysusers))
        files.append(_shared("tmpfiles.conf.j2", paths, paths.tmpfiles))
    return files


def polkit_rule(fleet: Fleet, paths: FleetPaths) -> RenderedFile:
    """What lets the fleet's group start and stop its units without being root: polkit(8), from 0.106 on.

    It leaves out who is in the group only as a bot, and units that are not installed, which systemd tells
    apart by nothing but the message: systemd PR #34651.
    """
    users = sorted({type_.user for type_ in fleet.types.values() if type_.user})
    content = _template("polkit.rules.j2").render(marker=MARKER, paths=paths, users=users)
    return RenderedFile(paths.polkit_rule, content, _MODE)


def unit(fleet: Fleet, bot: str, paths: FleetPaths, machine: Machine, enabled: bool = True) -> RenderedFile:
    """A bot's unit: one service of type notify.

    Parameters:
        enabled: of no account here: the target's wants tell whether a bot is started with it.

    Raises:
        UnfitError: a value cannot be expressed; ``problems`` says which.
    """
    del enabled
    digest = unit_hash(fleet, bot, paths, machine)
    limits = _cgroup_limits(fleet.types[fleet.bots[bot].type])
    return RenderedFile(paths.unit(bot), _service(fleet, bot, paths, machine, digest, limits), _MODE)


def unit_hash(fleet: Fleet, bot: str, paths: FleetPaths, machine: Machine) -> str:
    """A digest of what a bot's unit says, except the limits of its control group that change live.

    The unit passes it on as BOT_TOOLKIT_UNIT, and the runner tells it: where it differs, an old unit runs.

    Raises:
        UnfitError: a value cannot be expressed; ``problems`` says which.
    """
    text = _service(fleet, bot, paths, machine, digest="", limits={})
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def live_properties(type_: Type) -> dict[str, int]:
    """The limits of a bot's control group as D-Bus properties, all of type ``t``, for SetUnitProperties.

    What the type does not name is without limit, as the backend tells it of a unit that does not name it.
    """
    own = type_.resources
    # org.freedesktop.systemd1(5): the quota is in microseconds of processor time a second.
    quota = None if own.cpu_quota is None else own.cpu_quota * 10_000
    values = {
        "MemoryHigh": own.memory_high,
        "MemoryMax": own.memory_max,
        "CPUWeight": own.cpu_weight,
        "CPUQuotaPerSecUSec": quota,
        "TasksMax": own.tasks,
        "IOWeight": own.io_weight,
    }
    return {name: NO_LIMIT if value is None else value for name, value in values.items()}


def problems(fleet: Fleet, paths: FleetPaths, machine: Machine) -> list[Problem]:
    """What of a valid fleet systemd cannot be told, or must not be."""
    found: list[Reason] = []
    if machine.systemd < OLDEST:
        message = (
            f"this machine's systemd is of version {machine.systemd}, {OLDEST} is the oldest that will do"
        )
        if not machine.systemd:
            message = "this machine has no systemd"
        found.append((("backend",), message, "use `backend: supervisord`"))
    if paths.is_system and str(paths.root) != "/":
        message = "systemd makes a bot's folders below /run and /var: they cannot lie elsewhere"
        found.append((("root",), message, "remove it, or use `mode: user`"))
    for type_ in fleet.types.values():
        found += _unfit_in_type(type_, paths, machine)
    for bot in fleet.bots.values():
        found += _unfit_token(fleet, bot.name, paths)
        found += _cut_off(fleet, bot.name)
    reason = unfit(str(paths.home))
    if reason:
        found.append((("root",), f"systemd cannot be told this value: {reason}", "change it"))
    return [fleet.problem(*one) for one in found]


def _unfit_in_type(type_: Type, paths: FleetPaths, machine: Machine) -> Iterator[Reason]:
    runner = runner_of(type_.python or machine.python)
    reasons: dict[tuple[str, ...], str] = {("python",): unfit_program(runner)}
    reasons |= {("environment", name): unfit(value) for name, value in type_.environment.items()}
    for keys, reason in reasons.items():
        if reason:
            yield ("types", type_.name, *keys), f"systemd cannot be told this value: {reason}", "change it"
    if type_.resources.ip_allow is not None and not paths.is_system:
        # To load the filter takes privileges; without them systemd goes on without it, and says nothing.
        message = "a user's own systemd cannot filter addresses"
        yield ("types", type_.name, "limits", "ip_allow"), message, "remove it, or use `mode: system`"


def _cut_off(fleet: Fleet, bot: str) -> Iterator[Reason]:
    """A bot that could not reach its own Bot API."""
    own, type_ = fleet.bots[bot], fleet.types[fleet.bots[bot].type]
    endpoint = own.endpoint or type_.endpoint or fleet.endpoint
    allowed = type_.resources.ip_allow
    if type_.app.kind == "telegram" and allowed is not None and is_outside(endpoint, allowed):
        keys = ("bots", bot, "endpoint") if own.endpoint else ("types", type_.name, "limits", "ip_allow")
        message = f"{endpoint}, the Bot API of bot {bot}, is not among the addresses of its `ip_allow`"
        yield keys, message, "add its address to the list"


def _unfit_token(fleet: Fleet, bot: str, paths: FleetPaths) -> Iterator[Reason]:
    token = fleet.bots[bot].token
    if token is None:
        return
    keys = ("bots", bot, "token", token.kind)
    if token.kind == "env" and paths.is_system:
        message = "every user of this machine can read the variables of a system unit"
        yield keys, message, "put the token in a file that root alone can read: `token: {file: PATH}`"
    if token.kind == "credential" and not paths.is_system:
        message = "a user's own systemd looks for credentials where the machine's has them"
        yield keys, message, "put the token in a file that you alone can read: `token: {file: PATH}`"
    reason = unfit_path(token.value[0]) if token.kind == "file" else ""
    if reason:
        yield keys, f"systemd cannot be told this value: {reason}", "change it"


def _service(
    fleet: Fleet, bot: str, paths: FleetPaths, machine: Machine, digest: str, limits: dict[str, str]
) -> str:
    type_ = fleet.types[fleet.bots[bot].type]
    runner = runner_of(type_.python or machine.python)
    if reason := unfit_program(runner):
        raise UnfitError(reason)
    token = fleet.bots[bot].token
    return _template("bot.service.j2").render(
        marker=MARKER,
        bot=bot,
        description=description(bot, paths),
        paths=paths,
        type=type_,
        runner=runner,
        botfile=str(paths.botfile(bot)),
        token_file=token.value[0] if token and token.kind == "file" else "",
        credential=_credential(token.value[0], machine) if token and token.kind == "credential" else "",
        digest=digest,
        cgroup_limits=limits.items(),
        no_restart_codes=NO_RESTART_CODES,
        stop_s=math.ceil(type_.stop_s + _STOP_MARGIN_S),
        start_s=math.ceil(start_timeout_s(type_.health, type_.stop_s)),
        watchdog_ms=math.ceil(type_.health.loop_s * 1000),
    )


def _credential(name: str, machine: Machine) -> str:
    """The setting that passes a credential on: systemd.exec(5) of the version at hand."""
    if machine.systemd >= _IMPORT_CREDENTIAL:
        return f"ImportCredential={name}"
    return (
        f"LoadCredential={name}"
        if machine.systemd >= _CREDSTORE
        else f"LoadCredential={name}:/etc/credstore/{name}"
    )


def _cgroup_limits(type_: Type) -> dict[str, str]:
    own = type_.resources
    values = {
        "MemoryHigh": own.memory_high,
        "MemoryMax": own.memory_max,
        "CPUWeight": own.cpu_weight,
        "CPUQuota": None if own.cpu_quota is None else f"{own.cpu_quota}%",
        "TasksMax": own.tasks,
        "IOWeight": own.io_weight,
    }
    return {name: str(value) for name, value in values.items() if value is not None}


def _shared(template: str, paths: FleetPaths, where: Path) -> RenderedFile:
    folders = of_systemd(paths) if paths.is_system else []
    content = _template(template).render(marker=MARKER, paths=paths, folders=folders)
    return RenderedFile(where, content, _MODE)


@cache
def _template(name: str) -> "Template":
    made = environment("systemd", trim_blocks=True)
    made.filters |= {"quoted": quoted, "path": path}
    return made.get_template(name)
