"""Units are parsed by supervisor's own parser before they are installed."""

from pathlib import Path

import pytest

from toolkit.backends.supervisord import Supervisord
from toolkit.errors import BackendError
from toolkit.paths import FleetPaths
from toolkit.render import RenderedFile

CONF = """\
[supervisord]
identifier=demo
logfile={paths.supervisor_log}
pidfile={paths.supervisor_pidfile}
[include]
files={paths.units}/[d]*.conf
[unix_http_server]
file={paths.supervisor_socket}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""


@pytest.fixture
def paths(tmp_path: Path) -> FleetPaths:
    return FleetPaths("demo", tmp_path / "demo")


def conf(paths: FleetPaths) -> RenderedFile:
    return RenderedFile(paths.supervisord_conf, CONF.format(paths=paths))


def unit(paths: FleetPaths, bot: str, *lines: str, program: str = "") -> RenderedFile:
    text = "\n".join((f"[program:{program or paths.program(bot)}]", "command=/bin/true", *lines))
    return RenderedFile(paths.unit(bot), text)


def test_good_units_pass_and_nothing_is_installed(paths):
    backend = Supervisord(paths)
    units = [unit(paths, f"bot{number}", f"stdout_logfile={paths.stray_log('x')}") for number in range(30)]
    backend.check([conf(paths), *units])
    assert not paths.units.exists()
    assert not paths.supervisord_conf.exists()
    assert list(paths.logs.iterdir()) == []


def test_the_installed_configuration_serves_where_none_is_given(paths):
    with pytest.raises(BackendError, match=r"supervisord\.conf: No such file"):
        Supervisord(paths).check([unit(paths, "alice")])
    paths.supervisord_conf.write_text(conf(paths).content)
    Supervisord(paths).check([unit(paths, "alice")])


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["autostart=perhaps"], "not a valid boolean value"),
        (["environment=A=%(ENV_NOT_THERE)s"], "ENV_NOT_THERE"),
        (["directory=/x/%d"], "demo-alice"),
        (["stdout_logfile=/nonexistent/folder/log"], "/nonexistent/folder"),
        (["command"], "parsing errors"),
        (["autostart=true", "autostart=false"], "already exists"),
        (["[program:demo-bob]", "command=/bin/true"], r"\[program:demo-bob\] stands twice"),
        (["[DEFAULT]", "autostart=false"], r"\[DEFAULT\] would hold for every bot"),
        (["[supervisord]", "nodaemon=true"], r"\[supervisord\] stands twice"),
        (["[group:all]", "programs=nobody"], "unknown program"),
        (["user=no-such-user"], "no-such-user"),
    ],
)
def test_a_bad_unit_is_refused_with_its_file_and_fault(paths, lines, said):
    with pytest.raises(BackendError, match=said) as caught:
        Supervisord(paths).check([conf(paths), unit(paths, "bob"), unit(paths, "alice", *lines)])
    assert str(paths.unit("alice")) in caught.value.message
    assert "nothing was installed" in caught.value.hint


def test_text_before_the_first_section_does_not_run_into_the_unit_before(paths):
    loose = RenderedFile(paths.unit("zoe"), "autostart=false\n[program:demo-zoe]\ncommand=/bin/true")
    with pytest.raises(BackendError, match=r"no section headers.*demo-zoe\.conf"):
        Supervisord(paths).check([conf(paths), unit(paths, "alice"), loose])


def test_a_bad_configuration_is_refused(paths):
    bad = RenderedFile(paths.supervisord_conf, conf(paths).content + "[inet_http_server]\nport=x:y\n")
    with pytest.raises(BackendError, match=r"supervisord\.conf: invalid literal.*'y'"):
        Supervisord(paths).check([bad])


def test_what_others_put_beside_our_units_counts_and_what_will_be_replaced_does_not(paths):
    backend = Supervisord(paths)
    paths.units.mkdir(parents=True)
    paths.unit("alice").write_text("[broken")
    paths.unit("removed").write_text("; Bot removed of fleet demo. Written by the toolkit\n[broken")
    backend.check([conf(paths), unit(paths, "alice")])
    (paths.units / "other.conf").write_bytes(b"[program:other]\ncommand=/bin/true\ndirectory=\xff\n")
    with pytest.raises(BackendError, match=r"other\.conf: not UTF-8"):
        backend.check([conf(paths), unit(paths, "alice")])
    (paths.units / "other.conf").write_text("[program:demo-alice]\ncommand=/bin/false\n")
    with pytest.raises(BackendError, match=r"\[program:demo-alice\] stands twice: .*other\.conf"):
        backend.check([conf(paths), unit(paths, "alice")])
