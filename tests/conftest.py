"""Fixtures that every kind of test may use."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import eventually


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take minutes: at the end, a worker would be alone with them."""
    items.sort(key=lambda item: item.get_closest_marker("takes_minutes") is None)


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A folder whose path leaves room for Unix sockets, which allow 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="bt", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def supervisor(short_dir: Path) -> Iterator[socket.socket]:
    """The socket at which a supervisor hears its units: sd_notify(3); its name is their ``NOTIFY_SOCKET``."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(short_dir / "n"))
        made.settimeout(10)
        yield made


class SmallDisk:
    """A file system of its own that a test can fill."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._ballast = place / "ballast"

    def fill(self) -> None:
        """Leave no room at all."""
        with open(self._ballast, "wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"x" * 512)

    def leave(self, kilobytes: int) -> None:
        """Leave so much room."""
        disk = os.statvfs(self.place)
        self._ballast.write_bytes(b"x" * (disk.f_bavail * disk.f_frsize - kilobytes * 1024))

    def make_room(self) -> None:
        """Take away what filled it."""
        self._ballast.unlink()

    def let_write(self, allowed: bool) -> None:
        """Mount it anew, for writing or for reading alone."""
        mode = "remount,rw" if allowed else "remount,ro"
        subprocess.run(["mount", "-o", mode, self.place], check=True)


@pytest.fixture
def small_disk() -> Iterator[Callable[[Path, int], SmallDisk]]:
    """Mount a small file system: ``small_disk(folder, kilobytes)``."""
    mounted: list[Path] = []

    def mount(place: Path, kilobytes: int) -> SmallDisk:
        place.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "none", place]
        if subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode:
            pytest.skip("only root may mount a small disk")
        mounted.append(place)
        return SmallDisk(place)

    yield mount
    for place in mounted:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of this machine's own names, and its key."""
    if not shutil.which("openssl"):
        pytest.skip("openssl makes the certificate")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    own = ["-subj", "/CN=localhost", "-addext", names, "-days", "2"]
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key]
    command = ["openssl", "req", "-x509", *new_key, "-out", cert, *own]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return cert, key


@pytest.fixture
def tell_row(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Put a row into a table that is printed after all tests: ``tell_row("faults", {"fault": "409", …})``."""
    return lambda table, row: record_property("row", (table, row))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the tables of all tests that passed, wherever they ran."""
    tables: dict[str, list[dict[str, str]]] = {}
    for report in terminalreporter.stats.get("passed", []):
        for table, row in (value for name, value in report.user_properties if name == "row"):
            tables.setdefault(table, []).append(row)
    for table, rows in sorted(tables.items()):
        terminalreporter.section(table)
        lines = [list(rows[0]), *sorted(list(row.values()) for row in rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
        for line in lines:
            cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            terminalreporter.write_line("  ".join(cells).rstrip())


@pytest.fixture(name="eventually")
def eventually_fixture() -> Callable[..., Any]:
    """Wait for a condition: ``eventually(lambda: …)`` gives its first true value."""
    return eventually
