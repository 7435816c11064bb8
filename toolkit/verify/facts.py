"""What is found on a host: asked for in few commands, however many bots and however slow the connection."""

import base64
import json
import os
import shlex
import stat
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Protocol

from toolkit.errors import ToolkitError
from toolkit.lifecycle import State
from toolkit.regular_files import kind_of
from toolkit.verify import scripts
from toolkit.verify.expected import Expected

RUN_S = 120
# Seconds for bots that are on their way, and between two looks at them.
SETTLE_S, _LOOK_S = 20.0, 0.5
_ON_ITS_WAY = (State.STARTING, State.INITIALIZING, State.RELOADING, State.STOPPING, State.BACKOFF)
# What is told of a process first: its id, its user, and how nice it is.
_HEAD = 3
# A command line is handed on as one argument, which may have 128 KiB: execve(2).
_CHUNK = 100


class CommandResult(Protocol):
    """What testinfra gives of a command."""

    rc: int
    stdout: str
    stderr: str


class Host(Protocol):
    """What is used of testinfra's host."""

    def run(self, command: str, *args: str) -> CommandResult:
        """Run a command; arguments are quoted and take the places of ``%s``."""
        ...


@dataclass(frozen=True, slots=True)
class FileFact:
    """A file as it is.

    Parameters:
        kind: as ``regular_files.kind_of`` tells it.
        written_s: when it was last written, in whole seconds since the epoch.
    """

    mode: int
    user: str
    group: str
    kind: str
    size: int
    written_s: int


@dataclass(frozen=True, slots=True)
class ProcessFact:
    """A process as the kernel tells of it: proc_pid_status(5), proc_pid_limits(5).

    In its status ``Users`` is ``shared`` where it has the users of who looks: user_namespaces(7).
    """

    user: str
    status: Mapping[str, str]
    limits: Mapping[str, str]
    nice: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that the checks look at.

    Parameters:
        views: each bot as ``toolkit bot list`` tells it.
        fault: why there are none.
        files: by path; those that are not there are missing.
        texts: of units and bot files, by path.
        drop_ins: the files of settings beside each unit's file, by the unit's path.
        logs: sizes of each log's files, by the log's path.
        processes: by process id.
        units: properties of systemd's units, by name.
        calls: the members of each of systemd's sets of system calls, which sets may be too, by name.
        revealing: files in which something like a token stands.
        secrets: of each token file that can be read whether it holds a token.
        host: facts of the machine, by name.
        pythons: what each interpreter says of itself, by path.
    """

    views: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    fault: str = ""
    files: Mapping[str, FileFact] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    drop_ins: Mapping[str, Sequence[str]] = field(default_factory=dict)
    logs: Mapping[str, int] = field(default_factory=dict)
    processes: Mapping[int, ProcessFact] = field(default_factory=dict)
    units: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    calls: Mapping[str, Sequence[str]] = field(default_factory=dict)
    revealing: frozenset[str] = frozenset()
    secrets: Mapping[str, bool] = field(default_factory=dict)
    host: Mapping[str, str] = field(default_factory=dict)
    pythons: Mapping[str, str] = field(default_factory=dict)


def gather(host: Host, wanted: Expected, toolkit: Sequence[str]) -> Facts:
    """Look at a host.

    Parameters:
        toolkit: the command there, with its global options.

    Raises:
        ToolkitError: it cannot be asked at all.
    """
    views, fault = _settled(host, toolkit)
    pids = [str(view["pid"]) for view in views.values() if view["pid"]]
    units, own = [bot.unit.path for bot in wanted.bots], [bot.bot_file.path for bot in wanted.bots]
    shared = [file.path for file in wanted.shared]
    secrets = [bot.secret for bot in wanted.bots if bot.secret]
    folders = [folder.path for folder in wanted.kept]
    drop_ins = _drop_ins(
        _each(host, scripts.DROP_INS, [*wanted.shared_units, *units] if wanted.target else [])
    )
    logs = [log for bot in wanted.bots if (log := bot.bot.files.log)]
    texts = [*units, *own, *shared, *wanted.sources, *logs, *chain.from_iterable(drop_ins.values())]
    opened, copies = _each(host, scripts.STAT_OPENED, secrets), _copies(host, secrets, folders)
    return Facts(
        views=views,
        fault=fault,
        files=dict(_files([*_each(host, scripts.STAT, _looked_at(wanted)), *opened])),
        texts=dict(_texts(_each(host, scripts.READ, [*units, *own, *shared]))),
        drop_ins=drop_ins,
        logs={path: int(size) for path, size in _each(host, scripts.LOGS, logs)},
        processes=dict(_processes(_printed(host, scripts.PROCESS, pids).splitlines())),
        units=_units(host, wanted),
        calls=_calls(_printed(host, scripts.CALLS).splitlines() if wanted.target else []),
        revealing=frozenset(path for path, _ in _each(host, scripts.REVEALING, texts)) | copies,
        secrets={path: told == "yes" for path, told in _each(host, scripts.SECRETS, secrets)},
        host=_machine(host, wanted),
        pythons=dict(_pythons(host, {bot.python: bot.runs_as for bot in wanted.bots if bot.python})),
    )


def ask(host: Host, command: Sequence[str]) -> CommandResult:
    """Run a command there, for so long and no longer."""
    return host.run(f"timeout {RUN_S} {' '.join(['%s'] * len(command))}", *command)


def _printed(host: Host, script: str, arguments: Sequence[str] = ()) -> str:
    """What a script prints."""
    done = ask(host, ["sh", "-c", script, "sh", *arguments])
    if done.rc not in (0, 1):
        words = done.stderr.strip().rpartition("\n")[2] or f"exit code {done.rc}"
        raise ToolkitError(f"the host cannot be looked at: {words}", "see that a shell can be had there")
    return done.stdout


def _each(host: Host, script: str, arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What a script prints that goes through its arguments: each of these with the rest of its line."""
    for start in range(0, len(arguments), _CHUNK):
        chunk = arguments[start : start + _CHUNK]
        for line in _printed(host, script, chunk).split("\n"):
            place, sign, rest = line.partition("|")
            if sign:
                yield chunk[int(place)], rest


def _settled(host: Host, toolkit: Sequence[str]) -> tuple[dict[str, Any], str]:
    """The bots when none of them is on its way, or as they are after a while: one may be just restarting."""
    end = time.monotonic() + SETTLE_S
    while True:
        views, fault = _views(host, toolkit)
        if not any(view["state"] in _ON_ITS_WAY for view in views.values()) or time.monotonic() > end:
            return views, fault
        time.sleep(_LOOK_S)


def _views(host: Host, toolkit: Sequence[str]) -> tuple[dict[str, Any], str]:
    command = [*toolkit, "bot", "list", "--json"]
    done = ask(host, command)
    try:
        return {view["name"]: view for view in json.loads(done.stdout)["bots"]}, ""
    except (ValueError, LookupError, TypeError):
        words = done.stderr.strip().splitlines()
        return {}, words[0] if words else f"{shlex.join(command)}: exit code {done.rc}"


def _copies(host: Host, secrets: Sequence[str], folders: Sequence[str]) -> frozenset[str]:
    """Files in these folders that everyone can read, and in which a token of these files stands."""
    if not secrets:
        return frozenset()
    found = _printed(host, scripts.COPIES, [*secrets, "", *folders]).splitlines()
    return frozenset(path for path in found if path.startswith("/")) - frozenset(secrets)


def _looked_at(wanted: Expected) -> list[str]:
    paths = [wanted.home, wanted.database, wanted.lock, *(file.path for file in wanted.shared)]
    paths += [folder.path for folder in wanted.folders] + [folder.path for folder in wanted.kept]
    paths += [wanted.service.socket] if wanted.service else []
    for bot in wanted.bots:
        socket = bot.bot.files.socket
        paths += [bot.unit.path, bot.bot_file.path, socket, socket.rpartition("/")[0]]
        paths += [os.path.dirname(bot.secret)] if bot.secret else []
        paths += [bot.bot.files.log] if bot.bot.files.log else []
        paths += [f"{wanted.wants}/{bot.service}"] if wanted.wants else []
    return paths


def apart_s(now: int, began: float, ended: float) -> float:
    """How far a clock that was read at some time between two differs from them, in seconds."""
    return max(began - now - 1, now - ended, 0)  # it told whole seconds, rounded down


def _files(told: Iterable[tuple[str, str]]) -> Iterator[tuple[str, FileFact]]:
    for path, line in told:
        raw, user, group, size, written = line.split("|")
        mode = int(raw, 16)
        yield path, FileFact(stat.S_IMODE(mode), user, group, kind_of(mode), int(size), int(written))


def _drop_ins(told: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for unit, path in told:
        found.setdefault(unit, []).append(path)
    return found


def _texts(told: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for path, text in told:
        yield path, base64.b64decode(text).decode(errors="replace")


def _machine(host: Host, wanted: Expected) -> dict[str, str]:
    began = time.time()
    told = _printed(host, scripts.HOST, _systemctl(wanted)).splitlines()
    ended = time.time()
    facts = dict(line.split("=", 1) for line in told if "=" in line)
    # A slow host's answer is no wrong clock.
    facts["apart"] = f"{apart_s(int(facts.get('now') or 0), began, ended):.0f}"
    folders = [folder for folder in (wanted.home, wanted.logs) if folder]
    for folder, space in _each(host, scripts.SPACE, folders):
        facts[f"free:{folder}"], _, facts[f"inodes:{folder}"] = space.partition(" ")
    return facts


def _processes(lines: Iterable[str]) -> Iterator[tuple[int, ProcessFact]]:
    blocks: list[list[str]] = []
    for line in lines:
        if line.startswith("= "):
            blocks.append([])
        blocks[-1].append(line)
    for head, *rest in blocks:
        told = head.split()[1:]
        if len(told) != _HEAD:  # it ended while it was looked at
            continue
        pid, user, nice = told
        status = dict(line.split(":", 1) for line in rest if ":" in line)
        limits = {line[:26].strip(): line[26:].split()[0] for line in rest if line.startswith("Max ")}
        yield int(pid), ProcessFact(user, {k: v.strip() for k, v in status.items()}, limits, int(nice))


def _pythons(host: Host, users: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What interpreters say of themselves, each run as one of the users of its bots where that can be."""
    for told, words in _each(host, scripts.PYTHON, [f"{user}:{python}" for python, user in users.items()]):
        yield told.partition(":")[2], words


def _calls(lines: Iterable[str]) -> dict[str, list[str]]:
    """The members of each set: its name at the start of a line, and theirs indented below."""
    found: dict[str, list[str]] = {}
    members: list[str] = []
    for line in lines:
        word = line.strip()
        if line.startswith("@"):
            members = found.setdefault(word, [])
        elif word and not word.startswith("#"):
            members.append(word)
    return found


def _systemctl(wanted: Expected) -> list[str]:
    """What asks the fleet's manager: a user's own also where nobody said how, as under sudo or cron."""
    return ["systemctl"] if wanted.is_system else ["sh", "-c", scripts.OF_USER, "sh"]


def _units(host: Host, wanted: Expected) -> dict[str, dict[str, str]]:
    """Every property of the fleet's units under systemd."""
    if not wanted.target:
        return {}
    paths = [*wanted.shared_units, *(bot.unit.path for bot in wanted.bots)]
    names = list(map(os.path.basename, paths))
    found: dict[str, dict[str, str]] = {}
    for start in range(0, len(names), _CHUNK):
        done = ask(host, [*_systemctl(wanted), "show", "--", *names[start : start + _CHUNK]])
        for block in done.stdout.split("\n\n"):
            properties = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
            found[properties.get("Id", "")] = properties
    return found
