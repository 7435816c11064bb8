"""The supervisord backend against real supervisords, each with trivial programs in place of bots."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.waiting import eventually
from toolkit import backends
from toolkit.backends import HungError, Phase, SocketGoneError
from toolkit.backends.supervisord import Supervisord, finding, launching
from toolkit.backends.supervisord.start import nudge
from toolkit.deploy.settle import settle
from toolkit.errors import BackendError, RefusedError
from toolkit.paths import FleetPaths
from toolkit.render import RenderedFile
from toolkit.view import BotView

CONF = """\
[supervisord]
identifier=demo
logfile={paths.supervisor_log}
pidfile={paths.supervisor_pidfile}
umask=077
minfds={minfds}
[unix_http_server]
file={paths.supervisor_socket}
chmod=0700
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[include]
files={paths.units}/*.conf
"""
UNIT = """\
[program:{program}]
command={command}
directory=/
environment=NOTIFY_SOCKET="",{environment}
autostart={autostart}
autorestart=unexpected
exitcodes=72,77,78,100
startsecs={startsecs}
startretries=10
stopsignal=TERM
stopwaitsecs={stopwaitsecs}
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile={log}
stdout_logfile_maxbytes=1MB
stdout_logfile_backups=1
"""


class Place:
    """A fleet's folder in which units are written by hand."""

    def __init__(self, home: Path) -> None:
        self.paths = FleetPaths("demo", home)
        self.backend = Supervisord(self.paths)
        for folder in (self.paths.units, self.paths.logs, self.paths.supervisor_socket.parent):
            folder.mkdir(parents=True, mode=0o700)
        self.configure()

    def configure(self, minfds: int = 1024) -> None:
        self.paths.supervisord_conf.write_text(CONF.format(paths=self.paths, minfds=minfds))

    def script(self, name: str, text: str) -> str:
        path = self.paths.home / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o700)
        return str(path)

    def unit(self, bot: str, command: str = "/bin/sleep 1000", **options: object) -> RenderedFile:
        values = {"environment": 'A="1"', "autostart": "true", "startsecs": 1, "stopwaitsecs": 5} | options
        text = UNIT.format(
            program=self.paths.program(bot), command=command, log=self.paths.stray_log(bot), **values
        )
        return RenderedFile(self.paths.unit(bot), text)

    def install(self, bot: str, command: str = "/bin/sleep 1000", **options: object) -> None:
        file = self.unit(bot, command, **options)
        file.path.write_text(file.content, encoding="utf-8")

    def launch_with_child(self, bot: str, script: str, **options: object) -> int:
        """Launch with one bot, whose script writes the process id of a child of its own."""
        told = self.paths.home / "child"
        self.install(bot, f"{self.paths.home / script} {told}", **options)
        self.backend.launch()
        return int(eventually(lambda: told.exists() and told.read_text()))

    def bring(self, bot: str) -> None:
        self.backend.reload()
        self.backend.remove(bot)
        self.backend.add(bot)

    def pids(self) -> dict[str, int | None]:
        return {bot: unit.pid for bot, unit in self.backend.units().items()}

    def supervisor(self) -> int:
        pid = finding.recorded_pid(self.paths)
        assert pid
        return pid

    def environ(self, bot: str) -> dict[str, str]:
        return psutil.Process(self.pids()[bot]).environ()

    def clear(self) -> None:
        """Kill all that was started here: it stands in the session of a supervisord of this folder."""
        pid = finding.recorded_pid(self.paths)
        for process in psutil.Process(pid).children(recursive=True) if pid else []:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if pid:
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def place(short_dir) -> Iterator[Place]:
    made = Place(short_dir)
    yield made
    made.clear()


def test_is_found_by_its_name(place):
    assert backends.backend(place.paths).name == "supervisord"


def test_launch_spawns_and_end_leaves_nothing(place):
    place.install("alice")
    place.install("bob", autostart="false")
    assert not place.backend.alive()
    place.backend.launch()
    units = place.backend.units()
    assert place.backend.alive()
    assert (units["alice"].phase, units["bob"].phase) == (Phase.STARTING, Phase.STOPPED)
    assert abs(units["alice"].since - time.time()) < 60
    supervisor = psutil.Process(place.supervisor())
    place.backend.end()
    assert not psutil.pid_exists(units["alice"].pid)
    assert not supervisor.is_running() or supervisor.status() == psutil.STATUS_ZOMBIE
    assert not place.paths.supervisor_socket.exists()
    assert not place.backend.alive()
    place.backend.end()


def test_a_second_launch_is_refused_and_harms_nothing(place):
    place.install("alice")
    place.backend.launch()
    before = place.pids()
    with pytest.raises(RefusedError, match="runs already"):
        Supervisord(place.paths).launch()
    assert place.pids() == before


def test_two_launches_at_once_start_one_supervisord(place):
    place.install("alice")
    code = (
        "import sys; from pathlib import Path; from toolkit.paths import FleetPaths;"
        "from toolkit.backends.supervisord import Supervisord;"
        "Supervisord(FleetPaths('demo', Path(sys.argv[1]))).launch()"
    )
    log = place.paths.home / "launches"
    argv = [sys.executable, "-W", "ignore", "-c", code, str(place.paths.home)]
    with open(log, "a") as said:
        launches = [subprocess.Popen(argv, stdout=said, stderr=said) for _ in range(2)]
    assert sorted(launch.wait(60) for launch in launches) == [0, 1], log.read_text()
    assert "RefusedError" in log.read_text()
    conf = str(place.paths.supervisord_conf)
    ours = [
        process for process in psutil.process_iter(["cmdline"]) if conf in (process.info["cmdline"] or [])
    ]
    assert [process.pid for process in ours] == [place.supervisor()]


def test_add_change_and_remove_touch_one_program(place):
    for bot in ("alice", "bob"):
        place.install(bot)
    place.backend.launch()
    before = place.pids()

    place.install("carol")
    place.backend.reload()
    place.backend.add("carol")
    place.backend.add("carol")
    after = place.pids()
    assert after.pop("carol")
    assert after == before

    place.install("carol", "/bin/sleep 2000")
    place.backend.reload()
    place.backend.stop(["carol"], 5)
    place.bring("carol")
    eventually(lambda: psutil.Process(place.pids()["carol"]).cmdline() == ["/bin/sleep", "2000"])

    place.paths.unit("carol").unlink()
    place.backend.reload()
    place.backend.stop(["carol"], 5)
    place.backend.remove("carol")
    place.backend.remove("carol")
    assert place.pids() == before


def test_a_restart_keeps_the_old_environment_and_remove_and_add_bring_the_new(place):
    place.install("alice", environment='A="old"')
    place.backend.launch()
    place.install("alice", environment='A="new"')
    place.backend.reload()
    place.backend.stop(["alice"], 5)
    place.backend.start(["alice"])
    assert eventually(lambda: place.environ("alice").get("A")) == "old"
    place.backend.stop(["alice"], 5)
    place.bring("alice")
    assert eventually(lambda: place.environ("alice").get("A")) == "new"


def test_remove_stops_a_program_that_still_runs(place):
    place.install("alice")
    place.backend.launch()
    pid = place.pids()["alice"]
    place.backend.remove("alice")
    assert place.pids() == {}
    assert not psutil.pid_exists(pid)


def test_foreign_programs_are_not_units(place):
    place.install("alice")
    (place.paths.units / "other.conf").write_text("[program:cron]\ncommand=/bin/sleep 1000\n")
    place.backend.launch()
    assert set(place.backend.units()) == {"alice"}
    place.backend.end()


def test_an_unreadable_unit_harms_nothing_that_runs(place):
    place.install("alice")
    place.backend.launch()
    before = place.pids()
    bad = place.unit("bob", autostart="perhaps")
    bad.path.write_text(bad.content)
    with pytest.raises(BackendError, match=r"CANT_REREAD.*perhaps") as caught:
        place.backend.reload()
    assert "nothing was changed" in caught.value.hint
    assert place.pids() == before
    bad.path.unlink()
    place.install("carol")
    place.backend.reload()
    place.backend.add("carol")
    assert place.pids()["alice"] == before["alice"]


def test_launch_says_why_supervisord_did_not_start(place):
    place.install("alice", autostart="perhaps")
    with pytest.raises(BackendError, match=r"did not start: Error: .*perhaps.*demo-alice\.conf"):
        place.backend.launch()
    assert not place.backend.alive()


def test_what_belongs_to_the_callers_supervisor_does_not_leak(place, monkeypatch):
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "SUPERVISOR_ENABLED"):
        monkeypatch.setenv(name, "callers")
    monkeypatch.setenv("KEPT", "callers")
    place.install("alice")
    place.backend.launch()
    environ = eventually(lambda: (environ := place.environ("alice")).get("A") and environ)
    assert [name for name, value in environ.items() if value == "callers"] == ["KEPT"]
    assert environ["NOTIFY_SOCKET"] == ""
    of_supervisord = psutil.Process(place.supervisor()).environ()
    assert "NOTIFY_SOCKET" not in of_supervisord


def test_units_that_are_not_ascii_work_in_any_locale(place, monkeypatch):
    for name, value in {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}.items():
        monkeypatch.setenv(name, value)
    place.install("alice", environment='GREETING="Grüße, 世界"')
    place.backend.launch()
    environ = Path(f"/proc/{place.pids()['alice']}/environ")
    raw = eventually(lambda: (raw := environ.read_bytes()).count(b"GREETING=") and raw)
    assert "GREETING=Grüße, 世界".encode() in raw.split(b"\0")


def test_launch_after_supervisord_was_killed(place):
    place.install("alice")
    place.backend.launch()
    (orphan,) = place.pids().values()
    os.kill(place.supervisor(), signal.SIGKILL)
    eventually(lambda: not place.backend.alive())
    assert place.paths.supervisor_socket.exists()
    with pytest.raises(BackendError, match="not running") as caught:
        place.backend.units()
    assert "toolkit up" in caught.value.hint
    place.backend.launch()
    assert place.backend.units()["alice"].phase is Phase.STARTING
    os.kill(orphan, signal.SIGKILL)


def test_a_stopped_supervisord_is_an_error_in_time_and_gets_no_twin(place):
    place.install("alice")
    place.backend.launch()
    impatient = Supervisord(place.paths, timeout_s=0.3)
    before = place.pids()
    begun = time.monotonic()
    os.kill(place.supervisor(), signal.SIGSTOP)
    try:
        for call in (
            impatient.alive,
            impatient.units,
            impatient.launch,
            impatient.end,
            lambda: impatient.add("alice"),
            lambda: impatient.start(["alice"]),
            lambda: impatient.stop(["alice"], 1),
        ):
            with pytest.raises(BackendError, match=r"no answer within 0\.3 s") as caught:
                call()
            assert "kill -CONT" in caught.value.hint
    finally:
        os.kill(place.supervisor(), signal.SIGCONT)
    # Seven calls of 0.3 s.
    assert time.monotonic() - begun < 15
    assert impatient.alive()
    assert place.pids() == before


def test_a_busy_supervisord_is_waited_for_while_bots_start(place):
    place.install("alice")
    place.backend.launch()
    impatient = Supervisord(place.paths, timeout_s=0.3)
    supervisor = place.supervisor()

    def settled(deadline_s: float) -> list[BotView]:
        return settle(place.paths, {"alice": "x"}, impatient, deadline_s, lambda *_: None, lambda _: True)

    os.kill(supervisor, signal.SIGSTOP)
    waker = threading.Timer(1.0, os.kill, (supervisor, signal.SIGCONT))
    try:
        with pytest.raises(HungError):
            settled(0.1)
        waker.start()
        assert [view.pid for view in settled(30)] == list(place.pids().values())
    finally:
        waker.cancel()
        os.kill(supervisor, signal.SIGCONT)


def test_a_supervisord_without_its_socket_is_told_alike_by_all_and_gets_no_twin(place):
    place.install("alice")
    place.backend.launch()
    supervisor = place.supervisor()
    place.backend._rpc.close()
    place.paths.supervisor_socket.unlink()
    other = Supervisord(FleetPaths("demo", place.paths.home))
    for call in (other.alive, other.launch, other.units, lambda: other.start(["alice"])):
        with pytest.raises(
            SocketGoneError, match=rf"runs \(pid {supervisor}\), but its socket .* is gone"
        ) as caught:
            call()
        assert "`toolkit down`" in caught.value.hint


def test_a_supervisord_without_its_socket_is_ended_with_its_programs_in_parallel(place):
    # Each ends once all were told to.
    script = place.script(
        "sociable",
        """cd "$1"
trap 'touch told.$2; until [ -e told.0 ] && [ -e told.1 ] && [ -e told.2 ]; do sleep 0.02; done; exit 7' TERM
touch began.$2
while :; do sleep 0.02; done""",
    )
    for number in range(3):
        place.install(f"bot{number}", f"{script} {place.paths.home} {number}", stopwaitsecs=30)
    place.backend.launch()
    eventually(lambda: all((place.paths.home / f"began.{number}").exists() for number in range(3)))
    programs, supervisor = place.pids().values(), psutil.Process(place.supervisor())
    place.paths.supervisor_socket.unlink()
    Supervisord(place.paths).end(30)
    assert not supervisor.is_running() or supervisor.status() == psutil.STATUS_ZOMBIE
    assert not any(psutil.pid_exists(pid) for pid in programs)
    assert place.paths.supervisor_log.read_text().count("(exit status 7") == 3
    assert not place.paths.supervisor_pidfile.exists()
    assert not Supervisord(place.paths).alive()


def test_a_supervisord_whose_whole_runtime_folder_is_gone_is_found_and_ended(place):
    place.install("alice")
    place.backend.launch()
    (program,) = place.pids().values()
    supervisor = psutil.Process(place.supervisor())
    shutil.rmtree(place.paths.supervisor_socket.parent)
    other = Supervisord(place.paths)
    for call in (other.alive, other.launch, other.units):
        with pytest.raises(SocketGoneError, match=rf"\(pid {supervisor.pid}\)"):
            call()
    other.end(30)
    assert not supervisor.is_running() or supervisor.status() == psutil.STATUS_ZOMBIE
    assert not psutil.pid_exists(program)
    other.launch()
    assert other.alive()


def test_another_process_with_the_recorded_pid_is_left_alone(place):
    command = [sys.executable, "-c", "input()", str(place.paths.supervisord_conf)]
    stranger = subprocess.Popen(command, stdin=subprocess.PIPE)
    try:
        place.paths.supervisor_pidfile.write_text(f"{stranger.pid}\n")
        assert not place.backend.alive()
        place.backend.end()
        assert stranger.poll() is None
    finally:
        stranger.communicate(b"\n")
        place.paths.supervisor_pidfile.unlink()


def test_a_socket_of_another_supervisord_is_no_fleet(place):
    place.backend.launch()
    other = Supervisord(FleetPaths("other", place.paths.home))
    with pytest.raises(BackendError, match="another supervisord answers"):
        other.alive()


def test_slow_programs_stop_in_parallel(place):
    slow = place.script("slow", 'trap "sleep 0.7; exit 0" TERM\ntouch $1\nwhile :; do sleep 0.02; done')
    bots = [f"bot{number}" for number in range(10)]
    for bot in bots:
        place.install(bot, f"{slow} {place.paths.home / bot}")
    place.backend.launch()
    eventually(lambda: all((place.paths.home / bot).exists() for bot in bots))
    begun = time.monotonic()
    place.backend.stop(bots, 20)
    # One after another takes 7 s at least.
    assert time.monotonic() - begun < 6
    assert {unit.phase for unit in place.backend.units().values()} == {Phase.STOPPED}


def test_what_does_not_stop_is_killed_at_the_deadline_with_its_children(place):
    place.script("deaf", 'trap "" TERM\nsleep 1000 &\necho $! >$1\nwhile :; do sleep 0.1; done')
    child = place.launch_with_child("alice", "deaf", stopwaitsecs=600)
    place.install("bob")
    place.bring("bob")
    place.backend.stop(["alice", "bob"], 0.3)
    assert not runs(child)
    assert place.backend.units()["alice"].phase is Phase.STOPPED


def test_children_that_outlive_their_leader_are_ended(place):
    deaf = place.script("deaf", 'trap "" TERM\necho $$ >$1\nwhile :; do sleep 0.1; done')
    place.script("parent", f"{deaf} $1 &\nwait")
    child = place.launch_with_child("alice", "parent")
    place.backend.stop(["alice"], 0.5)
    assert not runs(child)


def runs(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_program_that_crashes_all_the_time_can_be_stopped(place):
    place.install("alice", "/bin/false", startsecs=0)
    place.backend.launch()
    for _ in range(20):
        with suppress(BackendError):  # it may have ended within the start itself
            place.backend.start(["alice"])
        place.backend.stop(["alice"], 5)
        # Two turns of its loop would begin a restart that the stop has missed.
        nudge(place.backend._rpc)
        assert place.backend.units()["alice"].phase in (Phase.STOPPED, Phase.EXITED)
        assert not place.pids()["alice"]


def test_a_stop_right_after_a_start_is_not_lost(place):
    # A fork closes so many files before it becomes the program: long enough to be met before that.
    place.configure(minfds=4096)
    place.install("alice", autostart="false", stopwaitsecs=600)
    place.backend.launch()
    for _ in range(20):
        place.backend.start(["alice"])
        place.backend.stop(["alice"], 5)


def test_start_brings_back_what_is_stopping_or_waits_to_be_retried(place):
    slow = place.script("slow", 'trap "sleep 0.3; exit 0" TERM\ntouch $1\nwhile :; do sleep 0.02; done')
    place.install("alice", f"{slow} {place.paths.home / 'up'}")
    failing = place.script("failing", f"test -e {place.paths.home / 'mended'} && exec sleep 1000; exit 1")
    place.install("bob", failing)
    place.backend.launch()
    eventually((place.paths.home / "up").exists)
    eventually(lambda: place.backend.units()["bob"].phase is Phase.BACKOFF)
    first = place.pids()["alice"]
    place.backend._rpc("supervisor.stopProcess", "demo-alice", False)
    (place.paths.home / "mended").touch()
    place.backend.start(["alice", "bob"])
    assert place.pids()["alice"] not in (first, None)
    assert place.backend.units()["bob"].phase in (Phase.STARTING, Phase.RUNNING)


def test_start_names_what_cannot_be_spawned_and_starts_the_rest(place):
    place.install("alice", "/nonexistent/bot-runner", autostart="false")
    place.install("bob", autostart="false")
    place.backend.launch()
    with pytest.raises(BackendError, match="demo-alice: NO_FILE") as caught:
        place.backend.start(["alice", "bob"])
    assert "bot-runner" in caught.value.hint
    assert place.pids()["bob"]
    # What its fork meets, it tells by the state alone.
    supervisor = psutil.Process(place.supervisor())
    place.backend.stop(["bob"], 5)
    supervisor.rlimit(psutil.RLIMIT_NOFILE, (supervisor.num_fds(), 4096))
    with pytest.raises(BackendError, match="demo-bob: too many open files"):
        place.backend.start(["bob"])
    with pytest.raises(BackendError, match="demo-nobody: BAD_NAME"):
        place.backend.start(["nobody"])


def test_exit_codes_are_told(place):
    place.install("alice", place.script("refused", "sleep 1.1; exit 77"))
    place.backend.launch()
    unit = eventually(lambda: (unit := place.backend.units()["alice"]).phase is Phase.EXITED and unit, 15)
    assert (unit.exit_code, unit.pid) == (77, None)


def test_hundreds_of_programs_get_the_files_that_they_need(place):
    place.backend.launch()
    supervisor = psutil.Process(place.supervisor())
    supervisor.rlimit(psutil.RLIMIT_NOFILE, (64, supervisor.rlimit(psutil.RLIMIT_NOFILE)[1]))
    bots = [f"bot{number}" for number in range(200)]
    for bot in bots:
        place.install(bot, "/bin/sleep 1000", startsecs=0)
    place.backend.reload()
    for bot in bots:
        place.backend.add(bot)
    assert {unit.phase for unit in place.backend.units().values()} == {Phase.RUNNING}
    assert supervisor.num_fds() > 600
    for bot in bots[:100]:
        place.paths.unit(bot).unlink()
    place.backend.stop(bots[:100], 10)
    for bot in bots[:100]:
        place.backend.remove(bot)
    assert supervisor.num_fds() < 400


def test_a_hard_limit_of_files_that_is_too_low_is_said(place, monkeypatch):
    # Root may raise any limit; refuse it as the kernel refuses others.
    place.backend.launch()
    supervisor = psutil.Process(place.supervisor())
    supervisor.rlimit(psutil.RLIMIT_NOFILE, (64, 128))
    for number in range(50):
        place.install(f"bot{number}")
    if os.geteuid() == 0:
        real = launching.resource.prlimit

        def as_an_ordinary_user(
            pid: int, what: int, limits: tuple[int, int] | None = None
        ) -> tuple[int, int]:
            if limits is None:
                return real(pid, what)
            if limits[1] > real(pid, what)[1]:
                raise PermissionError
            return real(pid, what, limits)

        monkeypatch.setattr(launching.resource, "prlimit", as_an_ordinary_user)
    with pytest.raises(BackendError, match="may open 128 files, and 50 bots need 214"):
        place.backend.reload()
