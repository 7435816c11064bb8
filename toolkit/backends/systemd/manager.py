"""What is asked of systemd's manager: org.freedesktop.systemd1(5)."""

import errno
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from toolkit.backends.systemd.bus import BUS, Answer, Bus, Call, FaultError
from toolkit.backends.systemd.patience import patiently
from toolkit.files import FULL

PATH = "/org/freedesktop/systemd1"
MANAGER = "org.freedesktop.systemd1.Manager"
# It reads every unit of the machine anew and answers nobody meanwhile.
RELOAD_S = 90.0
NO_SUCH_UNIT = "org.freedesktop.systemd1.NoSuchUnit"
# How it passes on what the system said: sd_bus_error_set_errno(3).
_DISK = {f"System.Error.{errno.errorcode[code]}": code for code in (errno.EROFS, *FULL)}


class Listed(NamedTuple):
    """One loaded unit, by the fields of ListUnitsByPatterns."""

    name: str
    description: str
    load: str
    active: str
    sub: str
    following: str
    path: str
    job_id: int
    job: str
    job_path: str


def object_path(unit: str) -> str:
    """The bus object of a unit: sd_bus_path_encode(3)."""
    plain = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    escaped = "".join(
        chr(byte) if byte in plain or (place and byte in b"0123456789") else f"_{byte:02x}"
        for place, byte in enumerate(unit.encode())
    )
    return f"{PATH}/unit/{escaped}"


def list_call(patterns: Sequence[str]) -> Call:
    """Ask for every loaded unit whose name a pattern fits."""
    return Call(PATH, MANAGER, "ListUnitsByPatterns", "asas", ([], list(patterns)))


def listed(answer: tuple[Any, ...]) -> list[Listed]:
    """What ``list_call`` was answered."""
    return [Listed(*row) for row in answer[0]]


class Manager:
    """The manager behind a bus.

    Parameters:
        bus: the connection. What is asked is asked again where the connection was lost: nothing here minds.
    """

    def __init__(self, bus: Bus) -> None:
        self.bus = bus

    def version(self) -> str:
        """As systemd tells it, such as ``252.39-1~deb12u1``."""
        return str(self._own("Version"))

    def default_tasks(self) -> int:
        """The limit of processes and threads that a unit has which names none."""
        return int(self._own("DefaultTasksMax"))

    def _own(self, name: str) -> Any:
        (answer,) = self._ask([Call(PATH, f"{BUS}.Properties", "Get", "ss", (MANAGER, name))])
        return _value(_good(answer)[0])

    def loaded(self, patterns: Sequence[str]) -> list[Listed]:
        """Every loaded unit whose name a pattern of glob(7) fits, in one round trip."""
        (answer,) = self._ask([list_call(patterns)])
        return listed(_good(answer))

    def properties(self, wanted: Sequence[tuple[str, str]], names: Sequence[str]) -> list[dict[str, Any]]:
        """The same properties of several units, pipelined; what cannot be read is left out.

        Parameters:
            wanted: unit and interface, such as ``("a.service", "Service")``.
            names: of the properties.
        """
        calls = [
            Call(
                object_path(unit),
                f"{BUS}.Properties",
                "Get",
                "ss",
                (f"org.freedesktop.systemd1.{part}", name),
            )
            for unit, part in wanted
            for name in names
        ]
        answers = iter(self._ask(calls))
        return [
            {
                name: _value(answer[0])
                for name, answer in zip(names, answers, strict=False)
                if not isinstance(answer, Exception)
            }
            for _ in wanted
        ]

    def reload(self) -> None:
        """Have it read all units anew. It stalls the manager: once for a whole batch."""
        self._call(Call(PATH, MANAGER, "Reload"), RELOAD_S)

    def enable(self, files: Sequence[str]) -> None:
        """Have units started by what their ``[Install]`` names."""
        self._link(Call(PATH, MANAGER, "EnableUnitFiles", "asbb", (list(files), False, False)))

    def disable(self, files: Sequence[str]) -> None:
        """Have units started by nothing."""
        self._link(Call(PATH, MANAGER, "DisableUnitFiles", "asb", (list(files), False)))

    def reset_failed(self, units: Sequence[str]) -> None:
        """Forget failures and counted starts: manual starts count to the limit too, systemd.unit(5)."""
        self._act([Call(PATH, MANAGER, "ResetFailedUnit", "s", (unit,)) for unit in units])

    def kill(self, units: Sequence[str], signal: int) -> None:
        """Send a signal to all processes of units."""
        self._act([Call(PATH, MANAGER, "KillUnit", "ssi", (unit, "all", signal)) for unit in units])

    def set_live(self, unit: str, properties: Mapping[str, tuple[str, Any]]) -> None:
        """Change properties of a running unit until the next boot.

        Parameters:
            properties: D-Bus signature and value of each, by name.
        """
        body = (unit, True, list(properties.items()))
        self._call(Call(PATH, MANAGER, "SetUnitProperties", "sba(sv)", body))

    def _link(self, call: Call) -> None:
        try:
            self._call(call)
        except FaultError as fault:
            raise _of_disk(fault) from None

    def _act(self, calls: Sequence[Call]) -> None:
        """Do to each unit that is loaded; for others there is nothing to do."""
        for answer in self._ask(calls):
            if isinstance(answer, FaultError) and answer.name == NO_SUCH_UNIT:
                continue
            _good(answer)

    def _ask(self, calls: Sequence[Call]) -> list[Answer]:
        return patiently(self.bus, lambda: self.bus.many(calls))

    def _call(self, call: Call, timeout_s: float | None = None) -> tuple[Any, ...]:
        return patiently(self.bus, lambda: self.bus.call(call, timeout_s))


def _good(answer: Answer) -> tuple[Any, ...]:
    if isinstance(answer, Exception):
        raise answer
    return answer


def _of_disk(fault: FaultError) -> Exception:
    """What systemd could not do as a disk is full or read-only, as the system itself says that."""
    code = _DISK.get(fault.name, 0)
    path = fault.text.removeprefix("File ").rpartition(": ")[0]
    return OSError(code, os.strerror(code), path) if code and path else fault


def _value(variant: tuple[str, Any]) -> Any:
    return variant[1]
