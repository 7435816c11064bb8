"""Have pytest run the checks of hosts: the one here, or others over SSH."""

import io
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from toolkit.errors import MissingExtraError, ToolkitError, UsageError
from toolkit.paths import FleetPaths
from toolkit.verify.check import Check, Outcome, Verdict, judged
from toolkit.verify.expected import VERSION, Expected, expected
from toolkit.verify.facts import CommandResult, Facts, Host, ask, gather
from toolkit.verify.of_host import all_checks

LOCAL = "local://"
# Of timeout(1): a command that cannot be run, or is not there.
_NO_COMMAND = (126, 127)
_FILE = Path(__file__).with_name("test_host.py")
# Seconds for which a connection stays open when nothing goes over it.
_KEPT_OPEN_S = 5
# What ssh and the shell before it take as it stands; the address of a socket has 108 bytes.
_PLAIN_PATH = re.compile(r"[\w/.-]{1,80}", re.ASCII)
# What a user's own settings must not change.
_PYTEST_SETTINGS = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS")


@dataclass(frozen=True, slots=True)
class Case:
    """A check of one host.

    Parameters:
        host: as it was named; "" for the one here.
    """

    host: str
    check: Check
    facts: Facts

    @property
    def title(self) -> str:
        """What pytest calls it."""
        return f"{self.host} {self.check.title}".strip()


@dataclass(frozen=True, slots=True)
class Result:
    """How a case went."""

    case: Case
    verdict: Verdict

    @property
    def hint(self) -> str:
        """What to do; "" where it did not fail."""
        return (self.verdict.hint or self.case.check.hint) if self.verdict.outcome is Outcome.FAILED else ""

    def as_json(self) -> dict[str, Any]:
        """The stable shape of ``--json``."""
        check = self.case.check
        return {
            "host": self.case.host,
            "bot": check.bot,
            "check": check.name,
            "outcome": str(self.verdict.outcome),
            "found": self.verdict.found,
            "why": check.why,
            "hint": self.hint,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """How other hosts are asked.

    Parameters:
        hosts: as testinfra names them, such as ``ssh://root@one.example``.
        toolkit: the command there, with the global options that name its fleet.
        sudo: whether to become root there.
    """

    hosts: Sequence[str]
    toolkit: Sequence[str]
    sudo: bool = False


def need_testinfra() -> None:
    """See that pytest and testinfra are there.

    Raises:
        MissingExtraError: they are an extra, which was not installed.
    """
    for name in ("pytest", "testinfra"):
        if find_spec(name) is None:
            raise MissingExtraError("`toolkit verify`", name, "verify")


def verify_here(
    paths: FleetPaths, fleet_file: Path, toolkit: Sequence[str], junit: Path | None
) -> list[Result]:
    """Check this host.

    Parameters:
        toolkit: this command, with its global options.
        junit: where to write a report as JUnit's XML.

    Raises:
        UsageError: nothing is deployed, or the extra is missing.
        ToolkitError: the host cannot be looked at.
    """
    need_testinfra()
    import testinfra

    wanted = expected(paths, fleet_file)
    host: Host = testinfra.get_host(LOCAL)
    return _run(_cases("", wanted, gather(host, wanted, toolkit)), junit)


def verify_hosts(remote: Remote, junit: Path | None) -> list[Result]:
    """Check other hosts; one that cannot be reached is one failed check.

    Raises:
        UsageError: the extra is missing, or a host is named as none can be.
    """
    need_testinfra()
    cases: list[Case] = []
    with tempfile.TemporaryDirectory(prefix="toolkit-") as folder:
        for number, name in enumerate(remote.hosts):
            try:
                cases += _cases_of(name, remote, f"{folder}/{number}")
            except ToolkitError as error:
                cases.append(Case(name, _reachable(error), Facts()))
    return _run(cases, junit)


def _cases_of(name: str, remote: Remote, socket: str) -> list[Case]:
    import testinfra

    try:
        host: Host = testinfra.get_host(name, sudo=remote.sudo, **_one_connection(name, socket))
    except (RuntimeError, TypeError, ValueError) as error:
        raise UsageError(f"--hosts {name}: {error}", "name it as ssh://user@host:port") from None
    try:
        done = ask(host, [*remote.toolkit, "verify", "--expected"])
        if done.rc:
            raise _refused(done)
        wanted = msgspec.json.decode(done.stdout, type=Expected)
        return _cases(name, wanted, gather(host, wanted, remote.toolkit))
    except (RuntimeError, OSError) as error:  # testinfra's words for a connection that fails
        raise ToolkitError(_words(error), "can you reach it by ssh?") from None
    except msgspec.DecodeError as error:
        hint = f"its toolkit is of another version: this one reads version {VERSION}"
        raise ToolkitError(f"its answer is none that is known: {error}", hint) from None


def _one_connection(name: str, socket: str) -> dict[str, Any]:
    """The options with which all commands for a host go over one connection of ssh: ssh_config(5)."""
    if not name.startswith(("ssh://", "safe-ssh://")) or not _PLAIN_PATH.fullmatch(socket):
        return {}
    return {"controlpath": socket, "controlpersist": _KEPT_OPEN_S}


def _refused(done: CommandResult) -> ToolkitError:
    """What the toolkit over there says, with its hint."""
    words = done.stderr.strip().splitlines() or [f"exit code {done.rc}"]
    hints = [line.removeprefix("hint: ") for line in words if line.startswith("hint: ")]
    absent = "name the toolkit's command there by --remote-toolkit"
    hint = "; ".join(hints) or (absent if done.rc in _NO_COMMAND else "see that the fleet is deployed there")
    return ToolkitError(words[0].removeprefix("error: "), hint)


def _words(error: Exception) -> str:
    """What ssh itself said, out of testinfra's long message."""
    said = re.search(r"stderr=b?(['\"])(.*?)\1", str(error), re.DOTALL)
    return (said[2] if said else str(error)).replace("\\r\\n", " ").strip()[:300]


def _reachable(error: ToolkitError) -> Check:
    return Check(
        "reachable",
        "",
        "a host that cannot be asked may be down",
        error.hint,
        lambda _: judged(error.message),
    )


def _cases(name: str, wanted: Expected, facts: Facts) -> list[Case]:
    return [Case(name, check, facts) for check in all_checks(wanted)]


class _Collector:
    """pytest's plugin: gives it the cases, and takes the verdicts."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self._cases = cases
        self.results: list[Result] = []

    def pytest_generate_tests(self, metafunc: Any) -> None:
        metafunc.parametrize("case", self._cases, ids=[case.title for case in self._cases])

    def pytest_configure(self, config: Any) -> None:
        config.toolkit_results = self.results


def _run(cases: Sequence[Case], junit: Path | None) -> list[Result]:
    """Have pytest run them.

    Raises:
        ToolkitError: pytest could not.
    """
    import pytest

    collector = _Collector(cases)
    options = ["-c", os.devnull, f"--rootdir={_FILE.parent}", "--noconftest", "-s", "-q"]
    options += ["-p", "no:cacheprovider", "--import-mode=importlib"]
    options += [f"--junitxml={junit.absolute()}", "-o", "junit_suite_name=toolkit verify"] if junit else []
    said = io.StringIO()
    with _without(os.environ), redirect_stdout(said), redirect_stderr(said):
        code = pytest.main([*options, str(_FILE)], plugins=[collector])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) or len(collector.results) != len(cases):
        raise ToolkitError(f"pytest could not run the checks: {said.getvalue().strip()[-500:]}")
    return collector.results


@contextmanager
def _without(environ: Any) -> Iterator[None]:
    """An environment in which pytest takes no settings and no plugins of the user's."""
    before: Mapping[str, str] = dict(environ)
    for name in _PYTEST_SETTINGS:
        environ.pop(name, None)
    environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    try:
        yield
    finally:
        environ.clear()
        environ.update(before)
