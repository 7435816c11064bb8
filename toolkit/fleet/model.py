"""What a fleet is, once its files are read and found valid."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from toolkit.botfile import App, Health, Limits, Log, Restart
from toolkit.errors import Problem
from toolkit.secrets import TokenReference


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a fleet's files; the line counts from 1."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Source:
    """One file that the fleet was read from, and what it was then."""

    path: Path
    sha256: str
    mtime_ns: int
    size: int


@dataclass(frozen=True, slots=True)
class Resources:
    """What the kernel gives a bot's control group at most, or as its share; None leaves it open.

    Parameters:
        memory_high: bytes above which the bot is slowed and its memory taken back.
        memory_max: bytes above which it is ended.
        cpu_weight: its share of busy processors; 100 is everybody's.
        cpu_quota: percent of one processor that it has at most.
        tasks: processes and threads.
        io_weight: its share of busy disks; 100 is everybody's.
        ip_allow: prefixes of the addresses that it may exchange packets with, and no others.
    """

    memory_high: int | None = None
    memory_max: int | None = None
    cpu_weight: int | None = None
    cpu_quota: int | None = None
    tasks: int | None = None
    io_weight: int | None = None
    ip_allow: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Type:
    """What bots share.

    Parameters:
        directory: the working folder, absolute.
        user: the user that runs it in system mode; "" where the supervisor picks one.
        python: the interpreter that `bot-runner` is installed in, absolute; "" is the toolkit's own.
        environment: variables of the process.
        resources: limits of its control group, all of which but the addresses can change while it runs.
        needs: what the sandbox leaves open: ``home``, ``devices``, ``jit``, ``subprocess``.
        concurrency: how many updates a telegram bot handles at once; None leaves it to the runner.
        delivery: whether an update is rather handled twice than lost, or rather lost than handled twice.
        stop_s: seconds from SIGTERM to the end that a bot has to drain.
    """

    name: str
    app: App
    directory: str
    user: str = ""
    python: str = ""
    endpoint: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = Limits()
    resources: Resources = Resources()
    needs: frozenset[str] = frozenset()
    restart: Restart = Restart()
    health: Health = Health()
    log: Log = Log()
    concurrency: int | None = None
    delivery: Literal["at-least-once", "at-most-once"] = "at-least-once"
    stop_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Bot:
    """One instance."""

    name: str
    type: str
    token: TokenReference | None = None
    endpoint: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fleet:
    """All of it.

    Parameters:
        file: the fleet file, absolute.
        root: where the fleet keeps everything instead of the user's state folder, or under what in system
            mode, or None.
        positions: where each value stands, by its path of keys, such as ("bots", "alice", "token").
        sources: the files read, the fleet file first.
    """

    name: str
    file: Path
    backend: Literal["auto", "supervisord", "systemd"]
    root: Path | None
    endpoint: str
    config: Mapping[str, Any]
    types: Mapping[str, Type]
    bots: Mapping[str, Bot]
    sources: tuple[Source, ...]
    positions: Mapping[tuple[str | int, ...], Position]
    mode: Literal["auto", "user", "system"] = "auto"

    def position(self, *path: str | int) -> Position:
        """Where a value stands; the nearest enclosing one that is known."""
        while path:
            if path in self.positions:
                return self.positions[path]
            path = path[:-1]
        return Position(self.file.name, 0)

    def problem(self, path: tuple[str, ...], message: str, hint: str = "") -> Problem:
        """A fault of a value, or of what encloses it, where the files name no such value."""
        where = self.position(*path)
        return Problem(where.file, where.line, ".".join(path), message, hint)
