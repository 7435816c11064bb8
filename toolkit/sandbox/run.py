"""Run the sandbox as a process: listen, tell where, serve, end; in the foreground or detached."""

import contextlib
import fcntl
import ipaddress
import os
import resource
import select
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from toolkit.errors import RefusedError, ToolkitError, UsageError
from toolkit.files import remove, write_atomically

EXTRA_HINT = "pip install 'bot-toolkit[sandbox]'"
START_DEADLINE = 20.0
STOP_DEADLINE = 10.0
_BACKLOG = 2048
_READY = b"ready"
_MAX_MESSAGE = 4096
_FIRST_OTHER_FD = 3


@dataclass(frozen=True, slots=True)
class Options:
    """How the sandbox is to run.

    Parameters:
        host: the address to listen on.
        port: 0 for any that is free.
        public: allow an address that other machines reach.
        url_file: where the URL is written once the server answers.
        pid_file: where its process id is written; locked as long as it lives.
        log: where a detached server's complaints go.
    """

    host: str = "127.0.0.1"
    port: int = 8081
    public: bool = False
    url_file: Path | None = None
    pid_file: Path | None = None
    log: Path | None = None


def run(options: Options, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT.

    Parameters:
        options: how.
        ready: called with the URL as soon as the server answers.

    Raises:
        ToolkitError: the extra is not installed, the address cannot be used, or the pid file's server runs.
    """
    require_extra()
    _refuse_twin(options.pid_file)
    with _listener(options) as listener:
        _serve(options, listener, ready)


def detach(options: Options) -> str:
    """Serve in a process of its own, without this one's terminal; return once it answers.

    Returns:
        The URL.

    Raises:
        ToolkitError: as ``run``, or it did not answer within START_DEADLINE seconds.
    """
    require_extra()
    _refuse_twin(options.pid_file)
    reader, writer = os.pipe()
    with _listener(options) as listener:
        child = os.fork()
        if not child:
            _be_daemon(options, listener, writer)
        os.close(writer)
    with open(reader, "rb", buffering=0) as pipe:
        told = pipe.read(_MAX_MESSAGE) if select.select([pipe], [], [], START_DEADLINE)[0] else b""
    if told.startswith(_READY):
        return told.removeprefix(_READY).decode()
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    why = told.decode(errors="replace") or "it did not answer in time"
    raise ToolkitError(f"the sandbox did not start: {why}", f"see {options.log}" if options.log else "")


def stop(pid_file: Path) -> bool:
    """End the server of a pid file; whether one was running.

    Raises:
        ToolkitError: the file cannot be read, or the server does not end within STOP_DEADLINE seconds.
    """
    pid = _running(pid_file)
    if pid is None:
        remove(pid_file)
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_DEADLINE
    while _running(pid_file) == pid:
        if time.monotonic() > deadline:
            raise ToolkitError(f"the sandbox (pid {pid}) does not end", f"kill -9 {pid}")
        time.sleep(0.02)
    return True


def require_extra() -> None:
    """Make sure that the server's libraries are there.

    Raises:
        ToolkitError: one is not; the hint tells how to get them.
    """
    try:
        import python_multipart  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise ToolkitError(f"the sandbox needs the package {error.name}", EXTRA_HINT) from None


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
    except OSError as error:
        raise ToolkitError(
            f"cannot listen on {options.host}:{options.port}: {error.strerror}",
            "choose another --port, or 0 for any that is free",
        ) from None
    listener.listen(_BACKLOG)
    return listener


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _serve(options: Options, listener: socket.socket, ready: Callable[[str], None]) -> None:
    from toolkit.sandbox.serving import serve
    from toolkit.sandbox.state import Sandbox

    url = _url(listener)
    lock: list[int] = []

    def tell() -> None:
        if options.pid_file:
            write_atomically(options.pid_file, f"{os.getpid()}\n", 0o644)
            lock.append(os.open(options.pid_file, os.O_RDONLY | os.O_CLOEXEC))
            fcntl.flock(lock[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
        if options.url_file:
            write_atomically(options.url_file, f"{url}\n", 0o644)
        ready(url)

    _allow_many_connections()
    serve(Sandbox(), listener, tell)
    for file in (options.url_file, options.pid_file):
        if file:
            remove(file)
    for descriptor in lock:
        os.close(descriptor)


def _allow_many_connections() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _be_daemon(options: Options, listener: socket.socket, writer: int) -> NoReturn:
    try:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        out = os.open(options.log, flags, 0o600) if options.log else nothing
        for target, source in ((0, nothing), (1, out), (2, out)):
            os.dup2(source, target)
        _close_others({listener.fileno(), writer})
        os.chdir("/")
        _serve(options, listener, lambda url: _tell_and_close(writer, _READY + url.encode()))
    except BaseException as error:  # noqa: BLE001 whatever it is, the parent waits to be told, and must not go on twice
        with contextlib.suppress(OSError):
            os.write(writer, str(error).encode()[:_MAX_MESSAGE])
        os._exit(1)
    os._exit(0)


def _tell_and_close(writer: int, message: bytes) -> None:
    os.write(writer, message)
    os.close(writer)


def _close_others(kept: set[int]) -> None:
    start = _FIRST_OTHER_FD
    for descriptor in sorted(kept):
        os.closerange(start, descriptor)
        start = descriptor + 1
    os.closerange(start, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _refuse_twin(pid_file: Path | None) -> None:
    pid = _running(pid_file) if pid_file and pid_file.exists() else None
    if pid is not None:
        how = f"toolkit sandbox stop --pid-file {pid_file}"
        raise RefusedError(f"the sandbox of {pid_file} runs already (pid {pid})", how)


def _running(pid_file: Path) -> int | None:
    """The process that holds the pid file's lock. A number alone may be another process by now."""
    try:
        with open(pid_file, encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read())
            return None
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ToolkitError(f"{pid_file}: {error}", "is it a pid file of `toolkit sandbox`?") from None
