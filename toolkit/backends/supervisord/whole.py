"""Parse the whole configuration of a service as it would be, with the service's own parser."""

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit import shell
from toolkit.backends.supervisord import finding, whole_parser
from toolkit.backends.supervisord.configuration import Configuration
from toolkit.backends.supervisord.ownership import installed
from toolkit.errors import BackendError, RefusedError
from toolkit.paths import FleetPaths
from toolkit.render import RenderedFile

PARSE_S = 60.0
_HINT = "nothing was installed: mend what is named, then try again"
_SECTION = re.compile(r"^\[(?:program|fcgi-program|eventlistener|group):([^\]]*)\]", re.MULTILINE)


def check(pid: int, conf: Path, paths: FleetPaths, files: Sequence[RenderedFile]) -> None:
    """Parse what the service would find with these files installed.

    Parameters:
        pid: the service's process; its interpreter and its environment do the parsing.
        conf: the service's configuration.
        files: all units of the fleet.

    Raises:
        BackendError: it cannot be read so; the message is the parser's own.
        RefusedError: another's file takes a program of ours.
    """
    units = {str(file.path): file.content for file in files if file.path.parent == paths.units}
    gone = [str(path) for path in installed(paths) if str(path) not in units]
    told = _parse(pid, {"conf": str(conf), "put": units, "gone": gone})
    if "error" in told:
        raise BackendError(f"{conf}: {told['error']}", _HINT)
    programs = {Path(path).stem for path in units}
    _refuse_twice((Path(path) for path in told["files"] if path not in units), programs)
    for program in programs:
        if told["groups"].get(program) != [program]:
            raise RefusedError(f"{conf}: a group of another's takes the program {program}", _HINT)


def fault(configuration: Configuration) -> str:
    """Why the service could not start with what is there, in its parser's words; "" where it could.

    Where it does not run, the toolkit's own supervisor parses, which does not know its environment.

    Raises:
        BackendError: that cannot be told.
        RefusedError: its process may not be looked at.
    """
    pid = finding.supervisord_of(configuration.pidfile)
    told = str(_parse(pid, {"conf": str(configuration.path), "put": {}, "gone": []}).get("error", ""))
    return "" if pid is None and "ENV_" in told else told


def _refuse_twice(files: Iterable[Path], programs: set[str]) -> None:
    """Refuse a section that stands twice: supervisord itself would merge the two, without a word."""
    for path in files:
        for name in _SECTION.findall(path.read_text(encoding="utf-8", errors="replace")):
            if name.strip() in programs:
                raise RefusedError(f"{path}: it has a section of the name {name.strip()}", _HINT)


def _parse(pid: int | None, asked: Mapping[str, object]) -> dict[str, Any]:
    source = Path(whole_parser.__file__).read_text(encoding="utf-8")
    done = shell.run(
        [_interpreter(pid) if pid else sys.executable, "-c", source],
        timeout_s=PARSE_S,
        env=_environment(pid) if pid else dict(os.environ),
        input=json.dumps(asked),
        cwd="/",
    )
    try:
        told: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        last = done.stderr.strip().rpartition("\n")[2] or f"exit code {done.code}"
        raise BackendError(f"the service's own parser could not be run: {last}", _HINT) from None
    return told


def _interpreter(pid: int) -> str:
    """The Python that the service runs with: as it was called, so that a virtual environment is found."""
    called = os.fsdecode(_of_process(pid, "cmdline").split(b"\0")[0])
    if os.path.isabs(called) and os.path.basename(called).startswith("python"):
        return called
    return os.readlink(f"/proc/{pid}/exe")


def _environment(pid: int) -> dict[str, str]:
    """What the service expands `%(ENV_X)s` with."""
    pairs = (os.fsdecode(pair).partition("=") for pair in _of_process(pid, "environ").split(b"\0"))
    return {name: value for name, sign, value in pairs if sign}


def _of_process(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except PermissionError:
        raise RefusedError(
            f"process {pid}, the machine's supervisord, may not be looked at", "run it as root"
        ) from None
    except OSError as error:
        raise BackendError(f"process {pid}, the machine's supervisord: {error.strerror}") from None
