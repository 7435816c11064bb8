"""The machine's supervisord, in which a fleet is a guest: another's programs and files stay as they are."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from toolkit.backends import NotRunningError, Phase, SocketGoneError
from toolkit.backends.supervisord import Supervisord, configuration
from toolkit.errors import BackendError, RefusedError
from toolkit.paths import fleet_paths
from toolkit.place import SYSTEM_SUPERVISORD
from toolkit.render import RenderedFile

BIN = Path(sys.executable).parent
CONF = """\
[unix_http_server]
file={root}/run/supervisor.sock   ; (the path to the socket file)
{login}
[supervisord]
logfile=%(here)s/supervisord.log
pidfile={root}/run/supervisord.pid
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://{root}/run/supervisor.sock
{login}
[include]
files = {include}
"""
OTHERS = """\
[program:{name}]
command=/bin/sleep 1000
environment=WHOSE="%(ENV_WHOSE)s"
startsecs=0
"""


class Machine:
    """A supervisord service of somebody else, in a folder that takes the place of ``/``."""

    def __init__(self, root: Path, include: str = "conf.d/*.conf", login: str = "") -> None:
        self.root = root
        self.conf = root / "etc/supervisor/supervisord.conf"
        self.conf.parent.mkdir(parents=True)
        (root / "run").mkdir()
        self.conf.write_text(CONF.format(root=root, include=include, login=login))
        service = configuration.of_machine(root)
        service.include.parent.mkdir()
        self.paths = fleet_paths("demo", root, SYSTEM_SUPERVISORD, service.include)
        self.paths.strays.mkdir(parents=True)
        self.put_other("web")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, str(BIN / "supervisord"), "-n", "-c", str(self.conf)]
        environ = os.environ | {"WHOSE": "others"}
        self._process = subprocess.Popen(command, env=environ, cwd="/", stdout=subprocess.DEVNULL)

    def end(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(20)

    @property
    def pid(self) -> int | None:
        return self._process and self._process.pid

    @property
    def backend(self) -> Supervisord:
        return Supervisord(self.paths)

    def put_other(self, name: str, text: str = OTHERS) -> Path:
        path = self.paths.unit("x").with_name(f"{name}{self.paths.unit('x').suffix}")
        path.write_text(text.format(name=name))
        return path

    def ctl(self, *arguments: str) -> str:
        command = [BIN / "supervisorctl", "-c", self.conf, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout

    def unit(self, bot: str, *lines: str) -> RenderedFile:
        text = (
            f"; Bot {bot} of fleet demo. Written by the toolkit: more\n"
            f"[program:{self.paths.program(bot)}]\ncommand=/bin/sleep 1000\nautostart=true\n"
            f"stdout_logfile={self.paths.stray_log(bot)}\n" + "\n".join(lines)
        )
        return RenderedFile(self.paths.unit(bot), text)

    def install(self, *bots: str) -> list[RenderedFile]:
        files = [self.unit(bot) for bot in bots]
        self.backend.check(files)
        for file in files:
            file.path.write_text(file.content)
        return files

    def bring(self, *bots: str) -> None:
        self.install(*bots)
        backend = self.backend
        backend.reload()
        for bot in bots:
            backend.remove(bot)
            backend.add(bot)


@pytest.fixture
def machine(short_dir, eventually) -> Iterator[Machine]:
    made = Machine(short_dir)
    made.start()
    eventually(made.backend.alive)
    yield made
    made.end()


def test_bots_come_and_go_beside_others(machine, eventually):
    others = machine.ctl("pid", "web")
    machine.bring("alice", "bob")
    eventually(lambda: {unit.phase for unit in machine.backend.units().values()} == {Phase.RUNNING})
    assert sorted(machine.backend.units()) == ["alice", "bob"]
    machine.backend.stop(["alice"], 10)
    machine.backend.remove("alice")
    assert sorted(machine.backend.units()) == ["bob"]
    assert machine.ctl("pid", "web") == others


def test_what_others_changed_on_disk_is_not_put_in_force(machine):
    others = machine.ctl("pid", "web")
    machine.put_other("web", OTHERS.replace("1000", "2000"))
    machine.put_other("new")
    machine.bring("alice")
    assert machine.ctl("pid", "web") == others
    assert "new" not in machine.ctl("status")
    assert "web: changed" in machine.ctl("reread")


def test_a_program_of_anothers_that_is_named_as_a_bot_is_none(machine, eventually):
    machine.put_other("demo-carol")
    machine.ctl("update")
    eventually(lambda: "demo-carol" in machine.ctl("status"))
    machine.bring("alice")
    assert sorted(machine.backend.units()) == ["alice"]
    with pytest.raises(RefusedError, match=r"demo-carol\.conf was not written by the toolkit for this fleet"):
        machine.install("carol")
    machine.paths.unit("carol").unlink()
    with pytest.raises(RefusedError, match="runs another program demo-carol"):
        machine.install("carol")


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("[program:broken]\n", BackendError, r"program:broken.*command"),
        ("[program:x]\ncommand=/bin/x\nenvironment=A=%(ENV_NOPE)s\n", BackendError, "ENV_NOPE"),
        ("[program:x]\ncommand=/bin/x\nuser=nobody-of-this-name\n", BackendError, "Invalid user name"),
        ("no section\n", BackendError, r"broken\.conf"),
        (
            "[group:all]\nprograms=web,demo-alice\n",
            RefusedError,
            "group of another's takes the program demo-alice",
        ),
        ("[program:demo-alice]\ncommand=/bin/x\n", RefusedError, r"broken\.conf: it has a section"),
    ],
)
def test_what_others_have_in_the_folder_is_parsed_before_anything_is_installed(machine, text, error, said):
    machine.put_other("broken", text.replace("{", "{{"))
    with pytest.raises(error, match=said):
        machine.install("alice")
    assert not machine.paths.unit("alice").exists()


def test_a_unit_that_the_service_could_not_read_is_not_installed(machine):
    with pytest.raises(BackendError, match=r"not a valid boolean value|autorestart"):
        machine.backend.check([machine.unit("alice", "autorestart=perhaps")])
    # A bad unit of ours that is to go is no hindrance.
    machine.paths.unit("bob").write_text(machine.unit("bob", "autorestart=perhaps").content)
    machine.backend.check([machine.unit("alice")])


@pytest.mark.parametrize("fresh_s", [0.0, 600.0])
def test_a_unit_is_added_as_it_is_on_disk_also_after_a_reread_by_others(machine, monkeypatch, fresh_s):
    monkeypatch.setattr("toolkit.backends.supervisord._FRESH_S", fresh_s)
    machine.install("alice")
    backend = machine.backend
    backend.reload()
    unit = machine.paths.unit("alice").read_text()
    machine.paths.unit("alice").unlink()
    machine.ctl("reread")
    machine.paths.unit("alice").write_text(unit)
    backend.add("alice")
    assert sorted(backend.units()) == ["alice"]


def test_the_service_outlives_the_end_of_the_fleet_which_stays_down(machine, eventually):
    machine.bring("alice")
    pid = machine.pid
    machine.backend.stop(["alice"], 10)
    machine.backend.end()
    assert machine.backend.alive()
    assert machine.ctl("pid").strip() == str(pid)
    assert "autostart=false" in machine.paths.unit("alice").read_text()
    machine.end()
    machine.start()
    eventually(machine.backend.alive)
    assert machine.backend.units()["alice"].phase is Phase.STOPPED
    assert "RUNNING" in machine.ctl("status", "web")


def test_a_service_that_does_not_run_is_not_started(short_dir):
    machine = Machine(short_dir)
    assert not machine.backend.alive()
    with pytest.raises(NotRunningError, match="the machine's supervisord is not running"):
        machine.backend.units()
    for act in (machine.backend.launch, lambda: machine.install("alice")):
        with pytest.raises(RefusedError, match="not running") as caught:
            act()
        assert "systemctl start" in caught.value.hint


def test_a_service_whose_socket_is_gone_is_told_as_that(machine):
    (machine.root / "run/supervisor.sock").unlink()
    for call in (machine.backend.alive, machine.backend.units):
        with pytest.raises(SocketGoneError) as caught:
            call()
        assert f"runs (pid {machine.pid}), but its socket" in caught.value.message
        assert "systemctl restart" in caught.value.hint


def test_another_include_and_a_password_are_found_in_the_configuration(short_dir, eventually):
    machine = Machine(short_dir, "%(here)s/none.ini units.d/*.ini", login="username=admin\npassword=thus:far")
    machine.start()
    try:
        eventually(machine.backend.alive)
        machine.bring("alice")
        assert machine.paths.unit("alice") == short_dir / "etc/supervisor/units.d/demo-alice.ini"
        assert sorted(machine.backend.units()) == ["alice"]
    finally:
        machine.end()


def test_room_is_asked_for_and_not_taken(machine):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.prlimit(machine.pid, resource.RLIMIT_NOFILE, (140, hard))
    machine.install("alice", "bob", "carol", "dave")
    with pytest.raises(BackendError, match="may open 140 files, and 5 programs need 148") as caught:
        machine.backend.reload()
    assert "minfds=1024" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[supervisord]\n", "no .unix_http_server. file"),
        ("[unix_http_server]\nfile=/x\n[include]\nfiles=/etc/one.conf\n", "includes no folder of units"),
        ("[unix_http_server\n", "supervisord.conf"),
        (None, "no supervisord service"),
    ],
)
def test_a_machine_without_a_service_of_use_is_told(short_dir, text, said):
    conf = short_dir / "etc/supervisor/supervisord.conf"
    conf.parent.mkdir(parents=True)
    if text is not None:
        conf.write_text(text)
    with pytest.raises(BackendError, match=said):
        Supervisord(fleet_paths("demo", short_dir, SYSTEM_SUPERVISORD))
