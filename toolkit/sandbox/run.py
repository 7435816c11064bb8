"""Run the sandbox as a process: listen, tell where, serve, end; in the foreground or detached."""

import contextlib
import ipaddress
import os
import re
import resource
import select
import signal
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, NoReturn
from urllib.parse import urlsplit

from toolkit.errors import MissingExtraError, OddFileError, ToolkitError, UsageError
from toolkit.files import write_atomically
from toolkit.regular_files import open_regular, read_regular
from toolkit.sandbox import pidfile

START_DEADLINE = 20.0
_BACKLOG = 2048
_READY = b"ready "
_MAX_MESSAGE = 4096
_URL_FILE = re.compile(rb"https?://[^\s/]+\n")
_FIRST_OTHER_FD = 3


@dataclass(frozen=True, slots=True)
class Options:
    """How the sandbox is to run.

    Parameters:
        host: the address to listen on.
        port: 0 for any that is free.
        public: allow an address that other machines reach.
        url_file: where the URL is written once the server answers; it stays when the server ends, so that
            the next one can take the same port.
        pid_file: where its process id is written; locked as long as it lives.
        log: where a detached server's complaints go.
        tls_cert: a certificate (PEM), to speak TLS.
        tls_key: its key (PEM).
    """

    host: str = "127.0.0.1"
    port: int = 8081
    public: bool = False
    url_file: Path | None = None
    pid_file: Path | None = None
    log: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None

    @property
    def certificate(self) -> tuple[Path, Path] | None:
        """The certificate and its key; None for a server without TLS."""
        return (self.tls_cert, self.tls_key) if self.tls_cert and self.tls_key else None


class Running(NamedTuple):
    """A server in the background: its URL and its process id."""

    url: str
    pid: int


def run(options: Options, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT.

    Parameters:
        options: how.
        ready: called with the URL as soon as the server answers.

    Raises:
        ToolkitError: the extra is not installed, the address cannot be used, the pid file's server runs, or
            a file that is named is none of a sandbox.
    """
    require_extra()
    _check_files(options)
    pidfile.refuse_twin(options.pid_file)
    with _listener(options) as listener:
        _serve(options, listener, ready)


def detach(options: Options) -> Running:
    """Serve in a process of its own, without this one's terminal; return once it answers.

    One that runs already with the same pid file and URL file, and on the wanted port, is left as it is.

    Raises:
        ToolkitError: as ``run``, or it did not answer within START_DEADLINE seconds.
    """
    require_extra()
    _check_files(options)
    if twin := _same_twin(options):
        return twin
    options = _absolute(options)
    log = _opened(options.log, "--log", os.O_WRONLY | os.O_APPEND | os.O_CREAT) if options.log else None
    reader, writer = os.pipe()
    with _listener(options) as listener:
        child = os.fork()
        if not child:
            _be_daemon(options, listener, log, writer)
        os.close(writer)
    if log is not None:
        os.close(log)
    with open(reader, "rb", buffering=0) as pipe:
        told = pipe.read(_MAX_MESSAGE) if select.select([pipe], [], [], START_DEADLINE)[0] else b""
    if told.startswith(_READY):
        return Running(told.removeprefix(_READY).decode(), child)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    why = told.decode(errors="replace") or "it did not answer in time"
    raise ToolkitError(f"the sandbox did not start: {why}", f"see {options.log}" if options.log else "")


def require_extra() -> None:
    """Make sure that the server's libraries are there.

    Raises:
        MissingExtraError: one is not.
    """
    try:
        import python_multipart  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("the sandbox", error.name, "sandbox") from None


def _check_files(options: Options) -> None:
    """See that the files that are named are such ones, or can be.

    Raises:
        UsageError: one is something else, or has no folder.
    """
    for path, name in ((options.url_file, "url"), (options.pid_file, "pid"), (options.log, "log")):
        if path and not path.parent.is_dir():
            raise UsageError(f"{path}: there is no folder {path.parent}", f"name another {name} file")
    _check_url_file(options.url_file)
    _check_certificate(options)


def _check_url_file(path: Path | None) -> None:
    hint = "name the --url-file that a sandbox wrote, or one that is not there yet"
    try:
        content = read_regular(path, _MAX_MESSAGE) if path else None
    except FileNotFoundError:
        return
    except OddFileError as error:
        raise UsageError(error.message, hint) from None
    if content is not None and not _URL_FILE.fullmatch(content):
        raise UsageError(f"{path} is no URL file of a sandbox: it holds something else", hint)


def _opened(path: Path, name: str, flags: int = os.O_RDONLY) -> int:
    """A descriptor of a file that the user names; a link will do, what may hang will not.

    Raises:
        UsageError: it is no file, or cannot be opened.
    """
    try:
        return open_regular(path, flags, follow=True)
    except OddFileError as error:
        raise UsageError(error.message, f"name another {name}") from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", f"name another {name}") from None


def _check_certificate(options: Options) -> None:
    if bool(options.tls_cert) != bool(options.tls_key):
        raise UsageError("a certificate needs its key", "give both --tls-cert and --tls-key")
    if options.certificate:
        for path, name in zip(options.certificate, ("--tls-cert", "--tls-key"), strict=True):
            os.close(_opened(path, name))
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*options.certificate)
        except OSError as error:  # ssl.SSLError is one
            files = " and ".join(map(str, options.certificate))
            reason = error.strerror or error
            raise UsageError(f"{files}: {reason}", "both are PEM files, and the key fits") from None


def _listener(options: Options) -> socket.socket:
    if not options.public and not _loopback(options.host):
        raise UsageError(
            f"{options.host} is reached by other machines, and whoever reaches it can speak as any user",
            "listen on 127.0.0.1, or add --public",
        )
    try:
        (family, kind, protocol, _, address), *_ = socket.getaddrinfo(
            options.host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        raise ToolkitError(
            f"cannot listen on {options.host}:{options.port}: {error.strerror}",
            "choose another --port, or 0 for any that is free",
        ) from None
    return listener


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _url(listener: socket.socket, scheme: str) -> str:
    host, port = listener.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _serve(options: Options, listener: socket.socket, ready: Callable[[str], None]) -> None:
    from toolkit.sandbox.serving import serve
    from toolkit.sandbox.state import Sandbox

    url = _url(listener, "https" if options.certificate else "http")

    def tell() -> None:
        if options.url_file:
            write_atomically(options.url_file, f"{url}\n", 0o644)
        ready(url)

    _allow_many_connections()
    with pidfile.held(options.pid_file):
        serve(Sandbox(), listener, tell, options.certificate)


def _allow_many_connections() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _be_daemon(options: Options, listener: socket.socket, log: int | None, writer: int) -> NoReturn:
    def tell(url: str) -> None:
        os.write(writer, _READY + url.encode())
        os.close(writer)

    try:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        out = nothing if log is None else log
        for target, source in ((0, nothing), (1, out), (2, out)):
            os.dup2(source, target)
        _close_others({listener.fileno(), writer})
        os.chdir("/")
        _serve(options, listener, tell)
    # Whatever it is, the parent waits to be told, and its code must not run a second time here.
    except BaseException as error:  # noqa: BLE001
        with contextlib.suppress(OSError):
            os.write(writer, str(error).encode()[:_MAX_MESSAGE])
        os._exit(1)
    os._exit(0)


def _close_others(kept: set[int]) -> None:
    start = _FIRST_OTHER_FD
    for descriptor in sorted(kept):
        os.closerange(start, descriptor)
        start = descriptor + 1
    os.closerange(start, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _same_twin(options: Options) -> Running | None:
    """The server that runs already and is what these options ask for."""
    known = options.url_file and options.url_file.exists() and options.pid_file
    if known and options.url_file and (pid := pidfile.holder(known)):
        url = options.url_file.read_text(encoding="ascii").strip()
        if options.port in (0, urlsplit(url).port):
            return Running(url, pid)
    pidfile.refuse_twin(options.pid_file)
    return None


def _absolute(options: Options) -> Options:
    """With paths that still hold in another working folder."""
    names = ("url_file", "pid_file", "log", "tls_cert", "tls_key")
    given = {name: path for name in names if (path := getattr(options, name))}
    return replace(options, **{name: path.absolute() for name, path in given.items()})
