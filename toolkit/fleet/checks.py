"""What the schema cannot say: names that must exist, ranges, and what must be there on this machine."""

import os
import stat
from pathlib import Path

from toolkit.errors import nearest
from toolkit.files import in_the_way
from toolkit.fleet.addresses import address_fault
from toolkit.fleet.draft import Draft
from toolkit.fleet.quantities import byte_count, seconds
from toolkit.fleet.yaml_tree import Path as Keys
from toolkit.paths import MAX_SOCKET_PATH, FleetPaths, fleet_paths, runner_of
from toolkit.place import PRIVATE_SUPERVISORD, SYSTEM_SUPERVISORD

# Seconds.
_DURATIONS: dict[Keys, tuple[float, float]] = {
    ("restart", "pause"): (0.1, 3600),
    ("restart", "pause_max"): (0.1, 86_400),
    ("restart", "healthy"): (1, 604_800),
    ("stop_timeout",): (1, 600),
    # A loop tells every 2 s that it turns; a day is as good as never.
    ("health", "loop"): (1, 86_400),
    ("health", "poll"): (1, 86_400),
    ("health", "handler"): (1, 86_400),
    ("health", "stuck"): (1, 86_400),
    ("health", "start"): (1, 86_400),
}
_SIZES: dict[Keys, tuple[int, int, str]] = {
    ("log", "max_bytes"): (10_000, 10_000_000_000, "from 10KB to 10GB"),
    ("limits", "memory_high"): (10_000_000, 2**60, "of at least 10MB"),
    ("limits", "memory_max"): (10_000_000, 2**60, "of at least 10MB"),
}


def check(draft: Draft, root: Path | None) -> None:
    """Report what is wrong across keys and files, and on this machine.

    Parameters:
        draft: the files, whose form is checked already.
        root: the folder that takes the place of the one in the fleet file, if any.
    """
    for name in draft.types():
        _check_app(draft, ("types", name, "app"))
        _check_folders(draft, ("types", name))
        _check_ranges(draft, ("types", name))
        _check_addresses(draft, ("types", name, "limits", "ip_allow"))
    for name in draft.bots:
        _check_bot(draft, name)
    _check_root(draft, root)
    _check_sockets(draft, root)


def _check_app(draft: Draft, path: Keys) -> None:
    app = draft.sound(draft.fleet, path, dict) or {}
    if "telegram" in app and "ready" in app:
        message = "a telegram app is ready when it polls: `ready` is for async and exec"
        draft.report.add(draft.fleet, (*path, "ready"), message, "remove it")
    if "token_env" in app and "exec" not in app:
        message = "only an exec app takes its token from the environment; others have `context.token`"
        draft.report.add(draft.fleet, (*path, "token_env"), message, "remove it")
    argv = draft.sound(draft.fleet, (*path, "exec"), list)
    if argv and isinstance(argv[0], str) and not draft.report.has(draft.fleet, (*path, "exec", 0)):
        _check_program(draft, (*path, "exec", 0), argv[0])


def _check_program(draft: Draft, path: Keys, program: str) -> None:
    if not program:
        draft.report.add(draft.fleet, path, "expected a program, found an empty text")
    elif "/" in program and _missing(draft.fleet.absolute(program)):
        draft.report.add(draft.fleet, path, "there is no such program", "the path is relative to this file")


def _check_folders(draft: Draft, path: Keys) -> None:
    directory = draft.sound(draft.fleet, (*path, "directory"), str)
    if directory is not None and (fault := _folder_fault(draft.fleet.absolute(directory))):
        hint = "the path is relative to this file"
        draft.report.add(draft.fleet, (*path, "directory"), fault, hint)
    python = draft.sound(draft.fleet, (*path, "python"), str)
    if python is None:
        return
    if _missing(python):
        hint = "`python3 -m venv FOLDER` makes one as FOLDER/bin/python3"
        draft.report.add(draft.fleet, (*path, "python"), "there is no such interpreter", hint)
    elif _missing(runner_of(python)):
        message, hint = "bot-runner is not installed beside it", "run its `pip install bot-toolkit`"
        draft.report.add(draft.fleet, (*path, "python"), message, hint)


def _folder_fault(path: str) -> str:
    """Why no process can work in this folder; empty where one can, or where it may not be looked at."""
    if _missing(path):
        return "there is no such folder"
    try:
        return "" if stat.S_ISDIR(os.stat(path).st_mode) else "it is a file, not a folder"
    except OSError:
        return ""


def _missing(path: str) -> bool:
    """Whether there surely is no such file; one that may not be looked at counts as there."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _check_ranges(draft: Draft, path: Keys) -> None:
    for keys, (least, most) in _DURATIONS.items():
        value = _duration(draft, (*path, *keys))
        if value is not None and not least <= value <= most:
            message = f"expected a duration from {least:g} s to {most:g} s"
            draft.report.add(draft.fleet, (*path, *keys), message)
    pause, pause_max = (_duration(draft, (*path, "restart", key)) for key in ("pause", "pause_max"))
    if pause is not None and pause_max is not None and pause > pause_max:
        draft.report.add(draft.fleet, (*path, "restart", "pause_max"), "shorter than `pause`")
    for keys, (least, most, words) in _SIZES.items():
        size = draft.sound(draft.fleet, (*path, *keys), int | float | str)
        if size is not None and not least <= byte_count(size) <= most:
            draft.report.add(draft.fleet, (*path, *keys), f"expected a size {words}")


def _duration(draft: Draft, path: Keys) -> float | None:
    value = draft.sound(draft.fleet, path, int | float | str)
    return None if value is None else seconds(value)


def _check_addresses(draft: Draft, path: Keys) -> None:
    for index, entry in enumerate(draft.sound(draft.fleet, path, list) or ()):
        fault = address_fault(entry) if isinstance(entry, str) else None
        if fault and not draft.report.has(draft.fleet, (*path, index)):
            draft.report.add(draft.fleet, (*path, index), *fault)


def _check_bot(draft: Draft, name: str) -> None:
    document = draft.bots[name]
    path: Keys = ("bots", name)
    bot = draft.sound(document, path, dict)
    wanted = draft.sound(document, (*path, "type"), str)
    if bot is None or wanted is None or not draft.knows_types:
        return
    if wanted not in draft.types():
        known = ", ".join(draft.types()) or "none is defined"
        hint = nearest(wanted, draft.types())
        draft.report.add(document, (*path, "type"), f"no type of this name, expected one of: {known}", hint)
    elif "token" not in bot and _needs_token(draft, wanted):
        hint = "add `token: {file: PATH}`"
        draft.report.add(document, path, f"`token` is missing, which type `{wanted}` needs", hint)


def _needs_token(draft: Draft, type_name: str) -> bool:
    app = draft.sound(draft.fleet, ("types", type_name, "app"), dict) or {}
    return "telegram" in app or "token_env" in app


def _check_root(draft: Draft, root: Path | None) -> None:
    own = draft.sound(draft.fleet, ("root",), str)
    if root is None and own and (obstacle := in_the_way(Path(draft.fleet.absolute(own)))):
        message = f"{obstacle} is no folder"
        draft.report.add(draft.fleet, ("root",), message, "the path is relative to this file")


def _check_sockets(draft: Draft, root: Path | None) -> None:
    fleet = draft.sound(draft.fleet, ("fleet",), str)
    own = draft.sound(draft.fleet, ("root",), str)
    if fleet is None:
        return
    # Where the mode is not said, the folders of user mode count: their paths are the longer ones.
    system = draft.sound(draft.fleet, ("mode",), str) == "system"
    place = SYSTEM_SUPERVISORD if system else PRIVATE_SUPERVISORD
    paths = fleet_paths(fleet, root or (Path(draft.fleet.absolute(own)) if own else None), place)
    bots = [name for name in draft.bots if not draft.report.has(draft.bots[name], ("bots", name))]
    length, longest, too_long = _longest_socket(paths, bots)
    if too_long:
        message = (
            f"the sockets' paths are too long: {longest} would take {length} bytes, "
            f"a Unix socket has {MAX_SOCKET_PATH}"
        )
        hint = "name a shorter `root`" if own or root else "name a short `root` in the fleet file"
        draft.report.add(draft.fleet, ("root",) if own else ("fleet",), message, hint)


def _longest_socket(paths: FleetPaths, bots: list[str]) -> tuple[int, str, bool]:
    sockets = {f"that of {max(bots, key=len)}": paths.control_socket(max(bots, key=len))} if bots else {}
    if not paths.is_system:
        sockets["the supervisor's"] = paths.supervisor_socket
    length, name = max(((len(os.fsencode(path)), name) for name, path in sockets.items()), default=(0, ""))
    return length, name, length > MAX_SOCKET_PATH
