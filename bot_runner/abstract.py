"""Locks of the whole machine that need no file: abstract Unix sockets, bound while they are held.

The kernel frees them when the process ends, however it ends (unix(7)). They hold within one network
namespace.
"""

import errno
import os
import socket
from contextlib import suppress
from pathlib import Path

_PREFIX = "bot-toolkit/"


def try_bind(name: str) -> socket.socket | None:
    """Take the lock of that name: it is held until the socket is closed; None where another has it.

    Parameters:
        name: below ``bot-toolkit/``, the same for all users of the machine.

    Raises:
        OSError: anything but that.
    """
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    try:
        lock.bind(f"\0{_PREFIX}{name}")
    except OSError as error:
        lock.close()
        if error.errno == errno.EADDRINUSE:
            return None
        raise
    return lock


def holder(name: str) -> int | None:
    """The process that holds the lock of that name; None where none does, or it may not be looked at.

    Parameters:
        name: as of ``try_bind``.
    """
    with suppress(OSError):
        sockets = Path("/proc/net/unix").read_text(encoding="utf-8", errors="replace").splitlines()
        # Such as `0000000000000000: 00000002 00000000 00000000 0002 01 20384 @name`: proc(5).
        inodes = [line.split()[6] for line in sockets if line.endswith(f" @{_PREFIX}{name}")]
        links = {f"socket:[{inode}]" for inode in inodes}
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if any(os.readlink(file) in links for file in (process / "fd").iterdir()):
                    return int(process.name)
    return None
