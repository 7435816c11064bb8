"""A deadline for all that is sent to a supervisor and received from it."""

import socket
import time


def limit(sock: socket.socket, deadline: float) -> None:
    """Have the next step on a socket end by the deadline, of the monotonic clock.

    Raises:
        TimeoutError: it has passed.
    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    sock.settimeout(left)
