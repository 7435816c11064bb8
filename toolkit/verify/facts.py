"""What is found on a host: asked for in few commands, however many bots and however slow the connection."""

import base64
import json
import os
import shlex
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from toolkit.errors import ToolkitError
from toolkit.verify.expected import Expected

RUN_S = 120
# What an interpreter has to tell of itself: on a busy machine some seconds.
_PYTHON_S = 20
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
        kind: in the words of stat(1), such as ``regular file`` or ``socket``.
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
    host: Mapping[str, str] = field(default_factory=dict)
    pythons: Mapping[str, str] = field(default_factory=dict)


# A path may have line breaks in it: lines name an argument by its place, which stands before the first |.
_EACH = "i=-1; for f; do i=$((i+1)); "
_STAT = _EACH + 'stat -c "$i|%a|%U|%G|%F|%s|%Y" -- "$f" 2>/dev/null; done; true'
_READ = _EACH + '[ ! -f "$f" ] || [ ! -r "$f" ] || { printf "$i|"; base64 -w0 < "$f"; echo; }; done'
_DROP_INS = _EACH + 'for d in "$f".d/*.conf; do [ ! -f "$d" ] || echo "$i|$d"; done; done'
_LOGS = (
    _EACH + 'printf "$i|"; stat -c %s -- "$f" "$f".[0-9]* 2>/dev/null'
    " | { s=0; while read n; do s=$((s+n)); done; echo $s; }; done"
)
_PROCESS = (
    'for p; do [ -r "/proc/$p/status" ] || continue; u=$(awk "/^Uid:/ {print \\$3}" /proc/$p/status);'
    ' echo "= $p $(id -nu "$u" 2>/dev/null || echo "$u") $(sed "s/.*) //" /proc/$p/stat | cut -d" " -f17)";'
    " cat /proc/$p/status /proc/$p/limits 2>/dev/null;"
    ' [ "$(cat /proc/$p/uid_map 2>&1)" != "$(cat /proc/self/uid_map)" ] || echo "Users: shared"; done; true'
)
_REVEALING = (
    _EACH + '[ -f "$f" ] && tail -c 2000000 -- "$f" 2>/dev/null'
    ' | grep -aqE "(^|[^0-9])[0-9]{3,20}:[A-Za-z0-9_-]{30,}" && echo "$i|"; done; true'
)
# Of user:interpreter. Who owns an interpreter, or what it imports, may have it do anything: root runs it with
# no more rights than the bot has, without root's environment and terminal, and waits only so long. A user
# that systemd makes up for a bot may not be there now.
_PYTHON = (
    'cd /; code="import sys, toolkit, bot_runner;'
    " print('.'.join(map(str, sys.version_info[:3])), toolkit.__version__)\"; "
    + _EACH
    + 'u=${f%%:*} f=${f#*:}; set -- "$f" -c "$code";'
    ' if [ "$(id -u)" = 0 ]; then id -u -- "$u" >/dev/null 2>&1 || u=nobody;'
    ' [ "$(id -u -- "$u")" = 0 ] || set -- setpriv --reuid="$u" --regid="$(id -g -- "$u")" --init-groups'
    ' --no-new-privs --reset-env -- "$@"; set -- setsid -w "$@"; fi;'
    f' said=$(timeout -k 1 {_PYTHON_S} "$@" 2>&1 </dev/null | timeout {_PYTHON_S} head -c 4096 | tail -n1);'
    ' printf "%s\\n" "$i|$said"; done'
)
_SPACE = (
    _EACH + """echo "$i|$(df -Pk "$f" 2>/dev/null | awk 'NR==2 {print $4}')"""
    """ $(df -Pi "$f" 2>/dev/null | awk 'NR==2 {print $4}')"; done"""
)
# Each version of systemd has its own sets; the program knows those of the manager, which came with it.
_CALLS = "systemd-analyze --no-pager syscall-filter 2>/dev/null; true"
_OF_USER = 'XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}" exec systemctl --user "$@"'
_HOST = """
echo "now=$(date +%s)"
sed -n 's/^\\(MemTotal\\|MemAvailable\\): *\\([0-9]*\\) kB/\\1=\\2/p' /proc/meminfo
echo "files=$(cat /proc/sys/fs/file-nr | tr '\\t' ' ')"
echo "nr_open=$(cat /proc/sys/fs/nr_open)"
[ ! -d /run/systemd/system ] || echo systemd=yes
command -v timedatectl >/dev/null && timedatectl show -p CanNTP -p NTP -p NTPSynchronized 2>/dev/null
for u in supervisor supervisord; do echo "enabled:$u=$(systemctl is-enabled $u.service 2>/dev/null)"; done
echo "user=$(id -un)"
[ ! -e "/var/lib/systemd/linger/$(id -un)" ] || echo linger=yes
"$@" show --property=DefaultTasksMax 2>/dev/null
true
"""


def gather(host: Host, wanted: Expected, toolkit: Sequence[str]) -> Facts:
    """Look at a host.

    Parameters:
        toolkit: the command there, with its global options.

    Raises:
        ToolkitError: it cannot be asked at all.
    """
    views, fault = _views(host, toolkit)
    pids = [str(view["pid"]) for view in views.values() if view["pid"]]
    units, own = [bot.unit.path for bot in wanted.bots], [bot.bot_file.path for bot in wanted.bots]
    shared = [file.path for file in wanted.shared]
    logs = [log for bot in wanted.bots if (log := bot.bot.files.log)]
    return Facts(
        views=views,
        fault=fault,
        files=dict(_files(_each(host, _STAT, _looked_at(wanted)))),
        texts=dict(_texts(_each(host, _READ, [*units, *own, *shared]))),
        drop_ins=_drop_ins(_each(host, _DROP_INS, units if wanted.target else [])),
        logs={path: int(size) for path, size in _each(host, _LOGS, logs)},
        processes=dict(_processes(_printed(host, _PROCESS, pids).splitlines())),
        units=_units(host, wanted),
        calls=_calls(_printed(host, _CALLS).splitlines() if wanted.target else []),
        revealing=frozenset(
            path for path, _ in _each(host, _REVEALING, [*units, *own, *shared, *wanted.sources, *logs])
        ),
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
    """What a script made with ``_EACH`` prints of its arguments: each with the rest of its line."""
    for start in range(0, len(arguments), _CHUNK):
        chunk = arguments[start : start + _CHUNK]
        for line in _printed(host, script, chunk).split("\n"):
            place, sign, rest = line.partition("|")
            if sign:
                yield chunk[int(place)], rest


def _views(host: Host, toolkit: Sequence[str]) -> tuple[dict[str, Any], str]:
    command = [*toolkit, "bot", "list", "--json"]
    done = ask(host, command)
    try:
        return {view["name"]: view for view in json.loads(done.stdout)["bots"]}, ""
    except (ValueError, LookupError, TypeError):
        words = done.stderr.strip().splitlines()
        return {}, words[0] if words else f"{shlex.join(command)}: exit code {done.rc}"


def _looked_at(wanted: Expected) -> list[str]:
    paths = [wanted.home, wanted.database, wanted.lock, *(file.path for file in wanted.shared)]
    paths += [folder.path for folder in wanted.folders] + [folder.path for folder in wanted.kept]
    for bot in wanted.bots:
        socket = bot.bot.files.socket
        paths += [bot.unit.path, bot.bot_file.path, socket, socket.rpartition("/")[0]]
        paths += [bot.secret, os.path.dirname(bot.secret)] if bot.secret else []
        paths += [bot.bot.files.log] if bot.bot.files.log else []
        paths += [f"{wanted.wants}/{bot.service}"] if wanted.wants else []
    return paths


def apart_s(now: int, began: float, ended: float) -> float:
    """How far a clock that was read at some time between two differs from them, in seconds."""
    return max(began - now - 1, now - ended, 0)  # it told whole seconds, rounded down


def _files(told: Iterable[tuple[str, str]]) -> Iterator[tuple[str, FileFact]]:
    for path, line in told:
        mode, user, group, kind, size, written = line.split("|")
        yield path, FileFact(int(mode, 8), user, group, kind, int(size), int(written))


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
    told = _printed(host, _HOST, _systemctl(wanted)).splitlines()
    ended = time.time()
    facts = dict(line.split("=", 1) for line in told if "=" in line)
    # A slow host's answer is no wrong clock.
    facts["apart"] = f"{apart_s(int(facts.get('now') or 0), began, ended):.0f}"
    for folder, space in _each(host, _SPACE, [folder for folder in (wanted.home, wanted.logs) if folder]):
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
    for told, words in _each(host, _PYTHON, [f"{user}:{python}" for python, user in users.items()]):
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
    return ["systemctl"] if wanted.is_system else ["sh", "-c", _OF_USER, "sh"]


def _units(host: Host, wanted: Expected) -> dict[str, dict[str, str]]:
    """Every property of the fleet's units under systemd."""
    if not wanted.target:
        return {}
    names = [wanted.target, *(bot.service for bot in wanted.bots)]
    found: dict[str, dict[str, str]] = {}
    for start in range(0, len(names), _CHUNK):
        done = ask(host, [*_systemctl(wanted), "show", "--", *names[start : start + _CHUNK]])
        for block in done.stdout.split("\n\n"):
            properties = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
            found[properties.get("Id", "")] = properties
    return found
