"""Words to the supervisor over its notify socket: sd_notify(3)."""

import os
import socket

import sdnotify

VARIABLE = "NOTIFY_SOCKET"


class _Message(sdnotify.SystemdNotifier):  # type: ignore[misc]  # sdnotify has no types
    """sdnotify's notifier for one message: non-blocking, and told its address.

    As it stands it blocks when the reader is stuck, loses everything after the reader's restart, and looks
    for the address in the environment, where the app would find it too.
    """

    def __init__(self, address: str) -> None:
        self.debug = True
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self.socket.connect("\0" + address[1:] if address.startswith("@") else address)
        except OSError:
            self.socket.close()
            raise


class Notifier:
    """Tells the supervisor how the bot is; says nothing where no supervisor listens.

    Parameters:
        address: the notify socket, or "" for none.
        watchdog_s: seconds after which the supervisor misses WATCHDOG=1; None where it does not watch.
    """

    def __init__(self, address: str = "", watchdog_s: float | None = None) -> None:
        self._address = address
        self.watchdog_s = watchdog_s if address else None

    @classmethod
    def from_environment(cls) -> "Notifier":
        """The supervisor's notifier; its variables are taken out of the environment that the app sees."""
        address = os.environ.pop(VARIABLE, "")
        usec = os.environ.pop("WATCHDOG_USEC", "")
        watcher = os.environ.pop("WATCHDOG_PID", "")
        mine = not watcher or watcher == str(os.getpid())
        return cls(address, int(usec) / 1e6 if mine and usec.isdigit() and int(usec) else None)

    def send(self, *fields: str) -> bool:
        """Send fields such as ``READY=1`` in one message; whether it was taken. Never blocks or raises."""
        if not self._address:
            return False
        # sdnotify encodes as Latin-1: this way it sends the bytes of UTF-8.
        text = "\n".join(field.replace("\n", " ") for field in fields).encode().decode("latin-1")
        try:
            message = _Message(self._address)
        except OSError:
            return False
        try:
            message.notify(text)
        except OSError:
            return False
        finally:
            message.socket.close()
        return True

    def extend(self, seconds: float) -> None:
        """Ask the supervisor for more time to start or stop."""
        self.send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")
