"""What the configuration of an existing supervisord service tells of it."""

import platform
from configparser import Error as ConfigError
from configparser import RawConfigParser
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import BackendError, RefusedError

# Where supervisord itself looks, Debian's place first: `searchpaths` of supervisor/options.py.
CONFIGURATIONS = ("etc/supervisor/supervisord.conf", "etc/supervisord.conf")


@dataclass(frozen=True, slots=True)
class Configuration:
    """A service.

    Parameters:
        path: the file.
        socket: where the service listens.
        pidfile: where it writes its process id.
        include: the pattern of files that it includes, whose name is ``*`` and an ending.
        login: ``user:password`` of its socket, or "".
    """

    path: Path
    socket: Path
    pidfile: Path
    include: Path
    login: str = ""

    def __repr__(self) -> str:
        return f"Configuration({self.path})"


def of_machine(root: Path) -> Configuration:
    """The machine's supervisord service.

    Parameters:
        root: what takes the place of ``/``.

    Raises:
        BackendError: there is none, or the toolkit has no use for it; the message says why.
        RefusedError: its configuration may not be read.
    """
    paths = [root / name for name in CONFIGURATIONS]
    found = next((path for path in paths if path.is_file()), None)
    if found is None:
        message = f"this machine has no supervisord service: there is no {' and no '.join(map(str, paths))}"
        raise BackendError(message, "install one (`apt-get install supervisor`), or use `mode: user`")
    return read(found)


def include_of_machine(root: Path) -> Path | None:
    """The pattern of units that the machine's service includes, where there is a service."""
    try:
        return of_machine(root).include
    except (BackendError, RefusedError):
        return None


def read(path: Path) -> Configuration:
    """A service as its configuration tells it.

    Raises:
        BackendError: it cannot be read, has no Unix socket, or includes no folder.
        RefusedError: it may not be read.
    """
    options = _Options(path)
    socket = options("unix_http_server", "file")
    if not socket:
        raise BackendError(f"{path}: no [unix_http_server] file", "the toolkit speaks to a Unix socket alone")
    return Configuration(
        path,
        path.parent / socket,
        path.parent / (options("supervisord", "pidfile") or "supervisord.pid"),
        _include(path, options("include", "files")),
        _login(options),
    )


class _Options:
    """The options of a file, with what supervisord expands in them."""

    def __init__(self, path: Path) -> None:
        # As supervisord's own parser, which takes 60 ms to import.
        self._parser = RawConfigParser(inline_comment_prefixes=(";", "#"), strict=False)
        self._known = {"%(here)s": str(path.parent), "%(host_node_name)s": platform.node(), "%%": "%"}
        try:
            self._parser.read_string(path.read_text(encoding="utf-8"), str(path))
        except PermissionError:
            raise RefusedError(f"{path}: permission denied", "run it as root") from None
        except (OSError, UnicodeDecodeError, ConfigError) as error:
            raise BackendError(f"{path}: {' '.join(str(error).split())}", "mend it") from None

    def __call__(self, section: str, option: str) -> str:
        text = self._parser.get(section, option, fallback="")
        for name, value in self._known.items():
            text = text.replace(name, value)
        return text.strip()


def _include(path: Path, patterns: str) -> Path:
    """The first pattern that takes in whatever is put into a folder."""
    for pattern in patterns.split():
        found = path.parent / pattern
        if found.name.startswith("*") and str(found).count("*") == 1:
            return found
    hint = f"put `[include]` and `files = {path.parent}/conf.d/*.conf` into it, and restart the service"
    raise BackendError(f"{path}: it includes no folder of units", hint)


def _login(options: _Options) -> str:
    """The password of its socket in the clear, where it has one: supervisorctl needs it so too."""
    for section in ("unix_http_server", "supervisorctl"):
        user, password = options(section, "username"), options(section, "password")
        if user and password and not password.startswith("{SHA}"):
            return f"{user}:{password}"
    return ""
