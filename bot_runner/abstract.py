"""Locks of the whole machine that need no file: abstract Unix sockets, bound while they are held.

The kernel frees them when the process ends, however it ends (unix(7)). They hold within one network
namespace.
"""

import errno
import socket


def try_bind(name: str) -> socket.socket | None:
    """Take the lock of that name: it is held until the socket is closed; None where another has it.

    Parameters:
        name: below ``bot-toolkit/``, the same for all users of the machine.

    Raises:
        OSError: anything but that.
    """
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    try:
        lock.bind(f"\0bot-toolkit/{name}")
    except OSError as error:
        lock.close()
        if error.errno == errno.EADDRINUSE:
            return None
        raise
    return lock
