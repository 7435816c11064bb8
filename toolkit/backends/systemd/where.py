"""Where systemd's bus is, and what to do where it cannot be reached."""

import os
import re
from pathlib import Path

from toolkit.place import Mode

SYSTEM_BUS = "/run/dbus/system_bus_socket"

_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")


def socket_path(mode: Mode) -> str:
    """The socket of the bus that systemd's manager is on; with a NUL first where it is an abstract one."""
    variable = "DBUS_SYSTEM_BUS_ADDRESS" if mode == "system" else "DBUS_SESSION_BUS_ADDRESS"
    given = _unix_address(os.environ.get(variable, ""))
    if given:
        return given
    return SYSTEM_BUS if mode == "system" else str(runtime_folder() / "bus")


def runtime_folder() -> Path:
    """The user's own, also where sudo or cron has taken its name from the environment."""
    given = os.environ.get("XDG_RUNTIME_DIR", "")
    return Path(given) if os.path.isabs(given) else _own_folder()


def _own_folder() -> Path:
    return Path(f"/run/user/{os.getuid()}")


def hint(mode: Mode) -> str:
    """What to do where there is no such bus."""
    if not Path("/run/systemd/system").is_dir():
        return "systemd does not run here: use `backend: supervisord`"
    if mode == "system":
        return "install and start dbus: `apt-get install dbus`, `systemctl start dbus.socket`"
    user, own = user_name(), _own_folder()
    if not own.is_dir():
        return f"the user has no manager while logged out: `loginctl enable-linger {user}` keeps one"
    if not (own / "bus").exists():
        return f"the user has no message bus: `apt-get install dbus-user-session`, then log {user} in anew"
    if socket_path("user") == str(own / "bus"):
        return "start it: `systemctl --user start dbus.socket`"
    return f"it is at {own}/bus: `unset DBUS_SESSION_BUS_ADDRESS; export XDG_RUNTIME_DIR={own}`"


def manager_runs(mode: Mode) -> bool:
    """Whether systemd's manager runs, be there a bus or not: sd_booted(3), and the socket of a user's own."""
    if mode == "system":
        return Path("/run/systemd/system").is_dir()
    return (_own_folder() / "systemd" / "private").exists()


def lingers() -> bool:
    """Whether the user's manager starts at boot and stays after the last logout: loginctl(1)."""
    return Path("/var/lib/systemd/linger", user_name()).exists()


def user_name() -> str:
    """Who runs this; the number where there is no name."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _unix_address(addresses: str) -> str:
    """The first Unix socket of a list of D-Bus addresses, "" if there is none."""
    for address in addresses.split(";"):
        transport, _, rest = address.partition(":")
        keys = dict(pair.split("=", 1) for pair in rest.split(",") if "=" in pair)
        if transport == "unix" and "path" in keys:
            return _plain(keys["path"])
        if transport == "unix" and "abstract" in keys:
            return "\0" + _plain(keys["abstract"])
    return ""


def _plain(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
