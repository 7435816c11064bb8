"""The machine's supervisord, in which a fleet is a guest."""

import msgspec

from toolkit.backends.supervisord import configuration, whole
from toolkit.errors import ToolkitError
from toolkit.paths import FleetPaths
from toolkit.place import SYSTEM_SUPERVISORD


class Service(msgspec.Struct, frozen=True):
    """The machine's supervisord.

    Parameters:
        socket: where it listens.
        fault: why it could not start again with its configuration, in words; "" where it could.
    """

    conf: str
    socket: str
    fault: str


def of_machine(paths: FleetPaths) -> Service | None:
    """What its configuration tells, where the fleet is in it and that may be looked at."""
    if paths.place != SYSTEM_SUPERVISORD:
        return None
    try:
        found = configuration.of_machine(paths.root)
        return Service(str(found.path), str(found.socket), whole.fault(found))
    except ToolkitError:  # that there is none is told by `bot list`
        return None
