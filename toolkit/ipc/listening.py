"""A control socket as a file: how it is made, and whether a process has made the one that is missing."""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from toolkit.errors import RefusedError

_BACKLOG = 128


def listening_socket(path: Path, mode: int) -> socket.socket:
    """A bound socket at this path; one that a dead process left is replaced.

    Parameters:
        path: at most 107 bytes (unix(7)).
        mode: who may connect, as a file mode such as 0o600.

    Raises:
        RefusedError: a living process listens there.
        OSError: it cannot be bound.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, suppress(OSError):
        probe.settimeout(1.0)
        probe.connect(str(path))
        raise RefusedError(f"{path}: another process answers there", "stop it first")
    # Bound under another name first: nobody connects before the mode is right.
    temporary = _first_name(path, os.getpid())
    temporary.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listener.bind(str(temporary))
        temporary.chmod(mode)
        listener.listen(_BACKLOG)
        temporary.rename(path)
    except OSError:
        listener.close()
        temporary.unlink(missing_ok=True)
        raise
    return listener


def made(sockets: Mapping[Path, int]) -> set[Path]:
    """Those sockets that their processes have put in place, whatever is there by now.

    The kernel lists a socket by the name that it was bound to: proc_pid_net(5).

    Parameters:
        sockets: the process id of each socket's bot, by its path.
    """
    try:
        listed = {line.partition(b"/")[2] for line in Path("/proc/net/unix").read_bytes().splitlines()}
    except OSError:
        return set()
    firsts = {path: _first_name(path, pid) for path, pid in sockets.items()}
    # A name that is still there has yet to be changed for the socket's own.
    return {path for path, first in firsts.items() if os.fsencode(first)[1:] in listed and not first.exists()}


def _first_name(path: Path, pid: int) -> Path:
    return path.with_name(f".{pid}")
