"""The systemd backend against a real systemd: a container's bus, and units of shell."""

import os
import signal
import time
from pathlib import Path

import pytest

from toolkit.backends import NotRunningError, Phase, backend
from toolkit.backends.systemd.bus import MAX_PENDING, Bus, Call, FaultError
from toolkit.backends.systemd.jobs import Jobs
from toolkit.backends.systemd.manager import MANAGER, PATH, Manager, object_path
from toolkit.errors import BackendError, RefusedError
from toolkit.paths import fleet_paths
from toolkit.place import SYSTEM_SYSTEMD
from toolkit.render import RenderedFile
from toolkit.render.systemd_limits import NO_LIMIT
from toolkit.render.systemd_marks import MARKER, description

pytest_plugins = ("tests.hosts.fixtures",)

READY = "systemd-notify --ready; exec sleep 1000"


class Fleet:
    """Bots of a fleet whose programs are lines of shell."""

    def __init__(self, host, name):
        self.host = host
        self.paths = fleet_paths(name, host.root, SYSTEM_SYSTEMD)
        self.backend = backend(self.paths)
        self.write(
            self.paths.target, "[Unit]\nDefaultDependencies=no\n[Install]\nWantedBy=multi-user.target\n"
        )

    def write(self, name, text):
        (self.paths.units / name).write_text(text)

    def add(self, bot, script=READY, extra="", unit=""):
        text = (
            f"{MARKER}: a test\n[Unit]\nDescription={description(bot, self.paths)}\n"
            f"PartOf={self.paths.target}\nStartLimitIntervalSec=0\n{unit}\n"
            f"[Service]\nType=notify\nNotifyAccess=all\nRestart=always\nRestartSec=60\nRestartPreventExitStatus=77\n"
            f"TimeoutStopSec=60\nExecStart=/bin/sh -c '{script}'\n{extra}\n"
            f"[Install]\nWantedBy={self.paths.target}\n"
        )
        self.write(self.paths.service(bot), text)

    def show(self, bot, name):
        return self.host.out("systemctl", "show", "--value", "-p", name, self.paths.service(bot))

    def phase(self, bot):
        return self.backend.units()[bot].phase


@pytest.fixture
def fleet(host, monkeypatch):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", host.bus)
    fleets = getattr(host, "fleets", 0) + 1
    host.fleets = fleets
    made = Fleet(host, f"f{fleets}")
    yield made
    host.run("systemctl", "kill", "-s", "KILL", f"bot-{made.paths.fleet}-*", code=None)
    host.run("systemctl", "stop", f"bot-{made.paths.fleet}-*", code=None)


@pytest.fixture
def bus(host):
    bus = Bus(host.bus.removeprefix("unix:path="), 10)
    yield bus
    bus.close()


def test_units_are_named_on_the_bus_as_sd_bus_names_them():
    assert object_path("bot-demo-a1.service") == f"{PATH}/unit/bot_2ddemo_2da1_2eservice"
    assert object_path("1a_é").endswith("/_31a_5f_c3_a9")


def test_more_calls_than_may_be_pending_are_answered_in_order(bus):
    units = [f"{number}.service" for number in range(5 * MAX_PENDING)]
    calls = [Call(PATH, MANAGER, "LoadUnit", "s", (unit,)) for unit in units]
    assert bus.many(calls) == [(object_path(unit),) for unit in units]


def test_an_error_stands_for_itself_among_answers(bus):
    calls = [
        Call(PATH, MANAGER, name, "s", (unit,))
        for name, unit in (("GetUnit", "no.service"), ("LoadUnit", "a.service"))
    ]
    refused, answered = bus.many(calls)
    assert isinstance(refused, FaultError)
    assert refused.name.endswith("NoSuchUnit")
    assert answered == (object_path("a.service"),)


def test_a_systemd_that_does_not_answer_is_not_waited_for(host, bus):
    manager = Manager(bus)
    assert manager.version().startswith("252")
    os.kill(host.leader, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        with pytest.raises(BackendError, match=r"no answer to ListUnitsByPatterns within 0\.3 s"):
            bus.call(Call(PATH, MANAGER, "ListUnitsByPatterns", "asas", ([], [])), 0.3)
        assert time.monotonic() - begun < 5
    finally:
        os.kill(host.leader, signal.SIGCONT)
    assert manager.version().startswith("252")


def test_no_bus_is_told_with_what_to_do(tmp_path):
    with pytest.raises(NotRunningError) as caught:
        Manager(Bus(str(tmp_path / "none"), 1, "do this")).version()
    assert str(tmp_path / "none") in caught.value.message
    assert caught.value.hint == "do this"


def test_bots_start_and_stop_in_parallel(fleet):
    bots = [f"b{number}" for number in range(20)]
    for bot in bots:
        fleet.add(bot, 'trap "sleep 0.5; exit 0" TERM; sleep 1000 & systemd-notify --ready; wait')
    fleet.backend.reload(bots)
    fleet.backend.start(bots)
    fleet.host.run("systemctl", "is-active", "--quiet", fleet.paths.target)
    begun = time.monotonic()
    fleet.backend.stop(bots, 30)
    assert time.monotonic() - begun < 9
    assert {unit.phase for unit in fleet.backend.units().values()} == {Phase.STOPPED}
    fleet.backend.stop(bots, 30)


def test_a_start_does_not_wait_for_readiness(fleet):
    fleet.add("slow", "exec sleep 1000", "TimeoutStartSec=300")
    fleet.backend.reload(["slow"])
    fleet.backend.start(["slow"])
    assert fleet.phase("slow") is Phase.STARTING


def test_starting_one_starts_no_other(fleet):
    fleet.add("one")
    fleet.add("other")
    fleet.backend.reload(["one", "other"])
    fleet.backend.start(["one"])
    assert fleet.phase("other") is Phase.STOPPED


def test_the_target_starts_those_that_are_kept_up_and_stops_all(fleet, eventually):
    for bot in ("up", "held", "late"):
        fleet.add(bot)
    fleet.backend.reload(["up", "late"])
    fleet.backend.keep(["late"], enabled=False)
    fleet.backend.launch()
    eventually(lambda: fleet.phase("up") is Phase.RUNNING)
    assert (fleet.phase("held"), fleet.phase("late")) == (Phase.STOPPED, Phase.STOPPED)
    fleet.backend.keep(["held"], enabled=True)
    fleet.backend.start(["held"])
    fleet.backend.end()
    assert {unit.phase for unit in fleet.backend.units().values()} == {Phase.STOPPED}
    wanted = fleet.host.out("ls", f"/etc/systemd/system/{fleet.paths.target}.wants").split()
    assert wanted == [fleet.paths.service("held"), fleet.paths.service("up")]
    fleet.host.run("systemctl", "is-enabled", "--quiet", fleet.paths.target)


def test_one_that_waits_to_be_retried_starts_at_once(fleet, eventually):
    fleet.add("bot", "[ -e /run/go ] || exit 3; " + READY)
    fleet.backend.reload(["bot"])
    fleet.backend.start(["bot"])
    eventually(lambda: fleet.phase("bot") is Phase.BACKOFF)
    (unit,) = fleet.backend.closer([fleet.backend.units()["bot"]]).values()
    assert (unit.exit_code, unit.pid) == (3, None)
    fleet.host.run("touch", "/run/go")
    fleet.backend.start(["bot"])
    eventually(lambda: fleet.phase("bot") is Phase.RUNNING)


def test_one_that_no_restart_helps_has_failed_with_its_code(fleet, eventually):
    fleet.add("bot", "exit 77")
    fleet.backend.reload(["bot"])
    fleet.backend.start(["bot"])
    eventually(lambda: fleet.phase("bot") is Phase.FAILED)
    (unit,) = fleet.backend.closer([fleet.backend.units()["bot"]]).values()
    assert unit.exit_code == 77
    fleet.backend.stop(["bot"], 5)
    assert fleet.phase("bot") is Phase.FAILED


def test_starts_by_hand_do_not_count_to_the_limit(fleet, eventually):
    fleet.add("bot", "exit 77", unit="StartLimitIntervalSec=1h\nStartLimitBurst=2")
    fleet.backend.reload(["bot"])
    for _ in range(5):
        fleet.backend.start(["bot"])
        eventually(lambda: fleet.phase("bot") is Phase.FAILED)
        assert fleet.show("bot", "Result") == "exit-code"


def test_one_whose_condition_is_not_met_is_told_with_the_file_that_says_so(fleet):
    fleet.add("good")
    fleet.add("bot")
    folder = fleet.paths.units / f"{fleet.paths.service('bot')}.d"
    folder.mkdir()
    (folder / "own.conf").write_text("[Unit]\nConditionPathExists=!/etc\n")
    fleet.backend.reload(["good", "bot"])
    with pytest.raises(BackendError) as caught:
        fleet.backend.start(["good", "bot"])
    assert caught.value.message == (
        f"{fleet.paths.service('bot')}: a condition of its unit was not met: ConditionPathExists=!/etc"
    )
    assert caught.value.hint == f"see /etc/systemd/system/{fleet.paths.service('bot')}.d/own.conf"
    assert fleet.phase("good") in (Phase.STARTING, Phase.RUNNING)


def test_one_that_refuses_to_be_started_or_stopped_by_hand_is_told_with_the_command_that_shows_why(fleet):
    service = fleet.paths.service("bot")
    words = f"{service}: its unit lets nobody do that by hand (RefuseManualStart= or RefuseManualStop=)"
    for setting, act in (
        ("RefuseManualStart=yes", lambda: fleet.backend.start(["bot"])),
        ("RefuseManualStop=yes", lambda: fleet.backend.stop(["bot"], 10)),
    ):
        fleet.add("bot", unit=setting)
        fleet.backend.reload(["bot"])
        with pytest.raises(BackendError) as caught:
            act()
        assert caught.value.message == words
        fleet.host.run("sh", "-c", caught.value.hint.split("`")[1], code=None)
        assert f" {service}`" in caught.value.hint


def test_one_that_systemd_gave_up_tells_why_and_starts_when_it_is_mended(fleet, eventually):
    fleet.add(
        "bot",
        extra=f"RestartSec=0\nExecStart=\nExecStart=/run/moved/sh -c '{READY}'",
        unit="StartLimitIntervalSec=60s\nStartLimitBurst=4",
    )
    fleet.backend.reload(["bot"])
    fleet.backend.start(["bot"])
    eventually(lambda: fleet.phase("bot") is Phase.FAILED)
    (unit,) = fleet.backend.closer([fleet.backend.units()["bot"]]).values()
    assert "203/EXEC: its interpreter is gone" in unit.detail
    assert "gave up after 4 restarts (start-limit-hit)" in unit.detail
    fleet.host.sh("mkdir /run/moved; ln -s /bin/sh /run/moved/sh")
    assert fleet.host.run("systemctl", "start", fleet.paths.service("bot"), code=None).returncode
    fleet.backend.start(["bot"])
    eventually(lambda: fleet.phase("bot") is Phase.RUNNING)


def test_a_closer_look_tells_process_and_time(fleet, eventually):
    fleet.add("bot")
    fleet.backend.reload(["bot"])
    fleet.backend.start(["bot"])
    eventually(lambda: fleet.phase("bot") is Phase.RUNNING)
    (unit,) = fleet.backend.closer([fleet.backend.units()["bot"]]).values()
    assert unit.pid == int(fleet.show("bot", "MainPID"))
    assert abs(time.time() - unit.since) < 60


def test_one_that_ignores_the_signal_is_killed_at_the_deadline(fleet, eventually):
    fleet.add("deaf", 'trap "" TERM; systemd-notify --ready; while :; do sleep 1; done')
    fleet.add("good")
    fleet.backend.reload(["deaf", "good"])
    fleet.backend.start(["deaf", "good"])
    eventually(lambda: fleet.phase("deaf") is Phase.RUNNING)
    fleet.backend.stop(["deaf", "good"], 1)
    assert {unit.phase for unit in fleet.backend.units().values()} == {Phase.STOPPED}


def test_one_that_systemd_killed_at_its_limit_is_stopped_too(fleet, eventually):
    fleet.add("deaf", 'trap "" TERM; systemd-notify --ready; while :; do sleep 1; done', "TimeoutStopSec=1")
    fleet.backend.reload(["deaf"])
    fleet.backend.start(["deaf"])
    eventually(lambda: fleet.phase("deaf") is Phase.RUNNING)
    fleet.backend.stop(["deaf"], 30)
    assert fleet.phase("deaf") is Phase.STOPPED


def test_an_error_at_its_end_makes_no_failure_of_a_stop(fleet, eventually):
    fleet.add("bot", 'trap "exit 70" TERM; sleep 1000 & systemd-notify --ready; wait')
    fleet.backend.reload(["bot"])
    fleet.backend.start(["bot"])
    eventually(lambda: fleet.phase("bot") is Phase.RUNNING)
    fleet.backend.stop(["bot"], 30)
    assert fleet.phase("bot") is Phase.STOPPED


def test_a_lost_bus_is_found_again_while_jobs_run(fleet, bus):
    fleet.add("slow", 'trap "sleep 3; exit 0" TERM; sleep 1000 & systemd-notify --ready; wait')
    fleet.backend.reload(["slow"])
    fleet.backend.start(["slow"])
    jobs = Jobs(bus, {fleet.paths.service("slow"): "StopUnit"})
    fleet.host.run("systemctl", "restart", "dbus.service")
    assert jobs.wait(30)
    assert not jobs.faults
    assert fleet.phase("slow") is Phase.STOPPED


def test_who_acts_has_subscribed_before_on_each_connection(fleet, bus, monkeypatch):
    members, many = [], bus.many

    def noted(calls, timeout_s=None):
        members.extend(call.member for call in calls)
        return many(calls, timeout_s)

    monkeypatch.setattr(bus, "many", noted)
    fleet.add("one")
    fleet.backend.reload(["one"])
    unit = fleet.paths.service("one")
    for connection in ("the first", "another"):
        for member in ("StartUnit", "StopUnit"):
            assert Jobs(bus, {unit: member}).wait(20), connection
        assert members[:4] == ["AddMatch", "Subscribe", "StartUnit", "StopUnit"]
        members.clear()
        bus.close()


def test_one_that_cannot_be_started_is_named_and_the_others_start(fleet):
    fleet.add("good")
    fleet.write(fleet.paths.service("bad"), "[Service]\nType=notify\n")
    fleet.add("needy", unit="Requires=never-there.service\nAfter=never-there.service")
    fleet.backend.reload(["good"])
    with pytest.raises(BackendError) as caught:
        fleet.backend.start(["bad", "needy", "good"])
    assert fleet.paths.service("bad") in caught.value.message
    assert fleet.paths.service("needy") in caught.value.message
    assert fleet.paths.service("good") not in caught.value.message
    assert fleet.phase("good") in (Phase.STARTING, Phase.RUNNING)


def test_what_is_not_the_fleets_is_not_seen(fleet):
    fleet.add("bot")
    fleet.write(fleet.paths.service("loaded"), "[Service]\nExecStart=/bin/sleep 1000\n")
    fleet.write(fleet.paths.service("lying"), "[Service]\nExecStart=/bin/sleep 1000\n")
    fleet.write(f"bot-{fleet.paths.fleet}-Odd.service", "[Service]\nExecStart=/bin/true\n")
    fleet.write(f"bot-{fleet.paths.fleet}x-bot.service", "[Service]\nExecStart=/bin/true\n")
    fleet.backend.reload()
    fleet.host.run("systemctl", "start", fleet.paths.service("loaded"))
    assert set(fleet.backend.units()) == {"bot"}
    own = RenderedFile(fleet.paths.unit("bot"), f"{MARKER}: a bot")
    file = RenderedFile(fleet.paths.unit("lying"), f"{MARKER}: a bot")
    with pytest.raises(RefusedError, match="was not written by the toolkit"):
        fleet.backend.check([own, file])


def test_a_unit_whose_file_is_gone_is_out_of_force(fleet):
    fleet.add("bot")
    fleet.backend.reload(["bot"])
    fleet.backend.start(["bot"])
    fleet.backend.stop(["bot"], 10)
    (fleet.paths.units / fleet.paths.service("bot")).unlink()
    fleet.backend.reload([])
    assert fleet.backend.units() == {}
    assert not list(Path(fleet.paths.units, f"{fleet.paths.target}.wants").glob("*"))


def test_limits_change_live_where_a_reload_does_not_bring_them(fleet):
    fleet.add("bot")
    fleet.backend.reload(["bot"])
    fleet.backend.start(["bot"])
    pid = fleet.show("bot", "MainPID")
    before = fleet.backend.limits(["bot"])["bot"]
    assert set(before.values()) == {NO_LIMIT}
    fleet.backend.limit({"bot": before | {"TasksMax": 33, "CPUWeight": 50}})
    assert (fleet.show("bot", "TasksMax"), fleet.show("bot", "CPUWeight")) == ("33", "50")
    assert fleet.show("bot", "MainPID") == pid


def test_a_shorter_watchdog_that_a_reload_brings_waits_for_the_restart(fleet, eventually):
    fleet.add("bot", extra="WatchdogSec=60s")
    fleet.backend.reload(["bot"])
    fleet.backend.start(["bot"])
    eventually(lambda: fleet.phase("bot") is Phase.RUNNING)
    pid = fleet.show("bot", "MainPID")
    fleet.add("bot", extra="WatchdogSec=100ms")
    fleet.backend.reload(["bot"])
    # Another unit's watchdog of that length has fired by then.
    fleet.add("other", extra="WatchdogSec=100ms\nRestart=no")
    fleet.backend.reload(["bot", "other"])
    fleet.backend.start(["other"])
    eventually(lambda: fleet.phase("other") is Phase.FAILED, 10)
    assert fleet.show("other", "Result") == "watchdog"
    assert (fleet.phase("bot"), fleet.show("bot", "MainPID")) == (Phase.RUNNING, pid)
