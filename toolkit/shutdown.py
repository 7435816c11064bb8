"""End the whole fleet."""

from pathlib import Path

from toolkit import revisions
from toolkit.backends import UP, Backend, SocketGoneError
from toolkit.deploy.leftovers import runners, sweep
from toolkit.deploy.owner import need_owner
from toolkit.deploy.stopping import stop_s
from toolkit.errors import ToolkitError
from toolkit.lock import changing
from toolkit.paths import FleetPaths
from toolkit.place import PRIVATE_SUPERVISORD


def shutdown(paths: FleetPaths, fleet_file: Path, backend: Backend, *, end_supervisor: bool) -> bool:
    """Stop all bots in parallel, and then, if asked to, the supervisor.

    Parameters:
        fleet_file: the one that the user named.

    Returns:
        Whether anything was running.

    Raises:
        RefusedError: the fleet was deployed from another fleet file.
        SocketGoneError: the supervisor runs and cannot be asked, and it is not to be ended.
    """
    command = "down" if end_supervisor else "admin shutdown-system"
    with changing(paths.lock, f"toolkit {command}"):
        _need_owner(paths, fleet_file, command)
        units, lost = None, False
        try:
            units = backend.units() if backend.alive() else None
        except SocketGoneError:
            if not end_supervisor or paths.place != PRIVATE_SUPERVISORD:
                raise
            lost = True
            backend.end(stop_s(paths, list(runners(paths))))
        if units is not None:
            backend.stop(list(units), stop_s(paths, list(units)))
            if end_supervisor:
                backend.end()
        left = [] if backend.alive() else sweep(paths)
    if paths.place == PRIVATE_SUPERVISORD:
        return units is not None or lost or bool(left)
    return bool(left) or any(unit.phase in UP for unit in (units or {}).values())


def _need_owner(paths: FleetPaths, fleet_file: Path, command: str) -> None:
    """See that the fleet is that of the file; a database that cannot be read keeps nobody from ending it."""
    that = f"name that file with -f, if it is yours, to `toolkit {command}`"
    that = that if paths.is_system else f"`toolkit -f {{owner}} {command}`"
    hint = f"{that}; where that file was moved, first `toolkit deploy --take-over`"
    if not paths.database.exists():
        return
    try:
        with revisions.opened(paths, to_read=True) as history:
            owner = history.owner()
    except ToolkitError:
        return
    need_owner(owner, paths.fleet, fleet_file, hint)
