"""The checks of `toolkit verify` judge facts alone: here those that no real host can be brought to give."""

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from toolkit import botfile, shell
from toolkit.botfile import App, BotFile, Files
from toolkit.paths import FleetPaths
from toolkit.place import SYSTEM_SYSTEMD
from toolkit.render.systemd_marks import take_away
from toolkit.verify import facts
from toolkit.verify.check import Outcome, Verdict
from toolkit.verify.expected import Bot, Expected, File
from toolkit.verify.facts import Facts, FileFact, ProcessFact, _calls, _processes, _pythons, apart_s
from toolkit.verify.folders import Kept, Own, own
from toolkit.verify.of_host import all_checks
from toolkit.verify.of_systemd import _number
from toolkit.verify.told_once import _FROM

MADE_AT = "2026-01-31T08:00:00Z"
NOW = datetime(2026, 1, 31, 9, tzinfo=UTC).timestamp()
GOOD = {
    "now": f"{NOW:.0f}",
    "MemAvailable": "1000000",
    "files": "1000 0 100000",
    "nr_open": "1048576",
    "free:/home/x": "1000000",
    "inodes:/home/x": "100000",
    "free:/home/x/log": "1000000",
    "inodes:/home/x/log": "0",
}


# As `systemd-analyze syscall-filter` tells them, those that it has in no set at the end.
CALLS = """\
@default
    # System calls that are always permitted
    execve

@privileged
    # All system calls which need super-user capabilities
    @chown
    mount

@chown
    chown

@system-service
    accept
    chown
    read
    uretprobe
    write

# Ungrouped System Calls (known but not included in any of the groups except @known):
#   syscall
"""


def expected(**changes) -> Expected:
    values = {
        "fleet": "demo",
        "backend": "supervisord",
        "mode": "user",
        "owner": "x",
        "sources": (),
        "home": "/home/x",
        "logs": "/home/x/log",
        "database": "/home/x/fleet.db",
        "lock": "/home/x/fleet.lock",
        "group": "",
        "target": "",
        "wants": "",
        "revision": 7,
        "status": "applied",
        "made_at": MADE_AT,
        "shared": (),
        "bots": (),
    }
    return Expected(**(values | changes))


def failed(wanted: Expected, **host: str) -> dict[str, str]:
    facts = Facts(host=GOOD | {name.replace("__", ":"): value for name, value in host.items()})
    verdicts = {check.name: check.judge(facts) for check in all_checks(wanted)}
    del verdicts["database"]  # there are no files here
    return {name: verdict.found for name, verdict in verdicts.items() if verdict.outcome is Outcome.FAILED}


@pytest.mark.parametrize(("now", "apart"), [(89, 10), (99, 0), (100, 0), (160, 0), (161, 0), (200, 39)])
def test_an_answer_that_took_its_time_is_no_wrong_clock(now, apart):
    assert apart_s(now, 100.0, 161.0) == apart


def test_a_good_machine_passes():
    assert failed(expected()) == {}


@pytest.mark.parametrize(
    ("name", "value", "check", "found"),
    [
        ("apart", "60", "clock", "it differs by 60 s from the machine that asks"),
        ("now", f"{NOW - 7200:.0f}", "clock", "it is before the last deploy"),
        ("MemAvailable", "20000", "memory", "19 MB are left, and 64 MB are needed"),
        ("free:/home/x", "2048", "disk", "/home/x: 2 MB are left"),
        ("inodes:/home/x", "3", "disk", "/home/x: 3 inodes are left"),
        ("files", "99000 0 100000", "open-files", "99000 of 100000 are in use"),
    ],
)
def test_a_machine_that_is_short_of_something_is_told(name, value, check, found):
    assert failed(expected(), **{name: value}) == {check: found}


def test_a_clock_that_nobody_keeps_is_told_where_it_could_be_kept():
    unkept = {"CanNTP": "yes", "NTP": "yes", "NTPSynchronized": "no"}
    assert failed(expected(), **unkept) == {"clock": "it is not synchronised"}
    assert failed(expected(), **(unkept | {"CanNTP": "no"})) == {}


@pytest.mark.parametrize(
    ("status", "found"),
    [("applying", "revision 7 was broken off"), ("failed", "revision 7 did not come to its end")],
)
def test_a_deploy_that_was_not_whole_is_told(status, found):
    assert failed(expected(status=status)) == {"revision": found}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.500s", 1.5),
        ("1min 30s", 90.0),
        ("90000ms", 90.0),
        ("150%", 1.5),
        ("268435456", 268435456.0),
        ("infinity", "infinity"),
        ("", ""),
    ],
)
def test_systemds_words_for_a_number_are_read(text, number):
    assert _number(text) == number


UNIT = File(
    "/etc/systemd/system/bot-demo-a.service", "IPAddressDeny=any\nIPAddressAllow=::1/128 10.0.0.0/8\n", 0o644
)
FILTERED = {"IPAddressDeny": "0.0.0.0/0 ::/0", "IPAddressAllow": "10.0.0.0/8 ::1/128", "IPIngressBytes": "0"}


def of_bot(
    found, unit=UNIT, view=None, status="applied", target=None, secret="", **changes
) -> dict[str, Verdict]:
    """The verdicts of a bot under systemd, and of its fleet, by check; all is well but for what is given.

    Parameters:
        found, target: what systemd tells of its unit, and of the target.
        changes: of the facts.
    """
    files = Files(state="/s", socket="/s/c", run_record="/s/r", log="")
    own = BotFile(
        fleet="demo",
        name="a",
        type="t",
        backend="systemd",
        app=App(kind="async", target="m:f"),
        directory="/",
        files=files,
    )
    bot = Bot(
        name="a",
        held=False,
        unit=unit,
        unit_hash="",
        bot_file=File("/a.json", botfile.encode(own), 0o640),
        fingerprint=own.fingerprint(),
        user="a",
        python="",
        runs_as="a",
        secret=secret,
        bot=own,
    )
    wanted = expected(backend="systemd", target="bot-demo.target", wants="/wants", bots=(bot,), status=status)
    limits = {
        "Max open files": str(own.limits.open_files),
        "Max core file size": str(own.limits.core_bytes),
    }
    running = {"pid": 7, "state": "RUNNING", "ready": True, "reason": "", "supervisor": "answers"}
    works = {"LoadState": "loaded", "UnitFileState": "enabled", "ActiveState": "active"}
    running |= {"fingerprint": bot.fingerprint, "unit": "", "started_at": ""}
    facts = {
        "views": {"a": running | (view or {})},
        "units": {"bot-demo-a.service": works | found, "bot-demo.target": works | (target or {})},
        "files": {
            unit.path: a_file(0o644),
            "/a.json": a_file(0o640),
            "/s/c": a_file(0o600, "a", "a socket"),
            "/wants/bot-demo-a.service": a_file(0o777, kind="a symbolic link"),
        },
        "texts": {unit.path: unit.text, "/a.json": bot.bot_file.text},
        "processes": {7: ProcessFact("a", {"Seccomp": "2"}, limits, own.limits.nice)},
        "host": GOOD | {"linger": "yes"},
        "calls": _calls(CALLS.splitlines()),
    }
    checks = all_checks(wanted)
    verdicts = {check.name: check.judge(Facts(**(facts | changes))) for check in checks}
    del verdicts["database"]
    return verdicts


def a_file(mode, user="root", kind="a file") -> FileFact:
    return FileFact(mode, user, user, kind, 1, 0)


def failures(*arguments, **options) -> dict[str, str]:
    verdicts = of_bot(*arguments, **options)
    return {name: verdict.found for name, verdict in verdicts.items() if verdict.outcome is Outcome.FAILED}


def of_unit(name, found, unit=UNIT, view=None) -> Verdict:
    return of_bot(found, unit, view)[name]


LIMITED = File(UNIT.path, "TasksMax=64\nPrivateTmp=yes\n", 0o644)
LOADED = {"TasksMax": "64", "PrivateTmp": "yes"}
FILES = {UNIT.path: a_file(0o644), "/a.json": a_file(0o640)}


@pytest.mark.parametrize(("nice", "sure"), [(5, False), (-5, True)])
def test_a_restart_is_no_sure_cure_of_a_niceness_that_the_supervisor_may_have(nice, sure):
    limits = {"Max open files": "1024", "Max core file size": "0"}
    verdict = of_bot(LOADED, LIMITED, processes={7: ProcessFact("a", {"Seccomp": "2"}, limits, nice)})[
        "limits"
    ]
    assert verdict.found == f"nice: {nice}, not 0"
    assert ("supervisor itself" not in verdict.hint) is sure


def test_of_a_bot_that_is_well_nothing_is_told():
    assert failures(LOADED, LIMITED) == {}


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        ({"text": LIMITED.text.replace("64", "7"), "found": {"TasksMax": "7"}}, "unit-file"),
        ({"text": LIMITED.text.replace("yes", "no"), "found": {"PrivateTmp": "no"}}, "unit-file"),
        ({"text": LIMITED.text + "User=b\n", "user": "b"}, "unit-file"),
        ({"user": "b", "found": {"DropInPaths": "/etc/systemd/system/bot-demo-a.service.d/x.conf"}}, "user"),
        ({"found": {"TasksMax": "7", "NeedDaemonReload": "yes"}}, "loaded"),
        ({"found": {"LoadState": "masked"}, "view": {"pid": None, "state": "DEFINED"}}, "loaded"),
        ({"target": {"ActiveState": "inactive"}, "view": {"pid": None, "state": "STOPPED"}}, "supervisor"),
        ({"gone": True, "found": {"LoadState": "not-found", "TasksMax": ""}}, "unit-file"),
        (
            {
                "gone": True,
                "status": "applying",
                "found": {"LoadState": "not-found"},
                "view": {"pid": None, "state": "DEFINED"},
            },
            "revision",
        ),
    ],
)
def test_what_is_broken_is_told_once(broken, check):
    user, gone = broken.get("user", "a"), broken.get("gone")
    files = {"/s/c": a_file(0o600, user, "a socket")} | ({} if gone else FILES)
    files |= {} if gone else {"/wants/bot-demo-a.service": a_file(0o777)}
    found = failures(
        LOADED | broken.get("found", {}),
        LIMITED,
        broken.get("view"),
        broken.get("status", "applied"),
        broken.get("target"),
        files=files,
        texts={} if gone else {UNIT.path: broken.get("text", LIMITED.text)},
        processes={7: ProcessFact(user, {}, {}, 0)},
    )
    assert list(found) == [check]


@pytest.mark.parametrize(
    ("mode", "user", "found"),
    [
        (0o644, "root", "mode 0644: others may use it"),
        (0o640, "bots", "mode 0640: others may use it; /t k belongs to bots"),
    ],
)
def test_a_token_file_that_others_may_use_is_told_with_commands_that_close_it(mode, user, found):
    secret = {"files": FILES | {"/t k": a_file(mode, user)}, "secret": "/t k"}
    (told,) = [verdict for name, verdict in of_bot(LOADED, LIMITED, **secret).items() if name == "secret"]
    assert found in told.found
    assert told.hint == "`chown a '/t k'`, and `chmod 600 '/t k'`"


@pytest.mark.parametrize(
    ("line", "told"),
    [("TasksMax=1", "line 1, `TasksMax`"), ("rm -r /", "line 1"), ("[Unit]", "line 1, `[Unit]`")],
)
def test_what_a_changed_line_begins_with_is_told_only_where_it_is_a_setting(line, told):
    verdict = of_bot({}, File(UNIT.path, line, 0o644), texts={UNIT.path: "else"})["unit-file"]
    assert verdict.found.endswith(f"edited: {told}")


def test_failures_that_explain_others_are_checks_and_never_in_a_circle():
    names = {check.name for check in all_checks(expected())} | set(of_bot(LOADED, secret="/t"))
    left = {name: {cause.lstrip(":") for cause in causes} for name, causes in _FROM.items()}
    assert set(left) | set().union(*left.values()) <= names
    while left:
        settled = [name for name, causes in left.items() if not causes & left.keys()]
        assert settled, left
        left = {name: causes for name, causes in left.items() if name not in settled}


def addresses(view=None, **found) -> Verdict:
    return of_unit("addresses", FILTERED | found, view=view)


BOXED = File(
    UNIT.path, "PrivateTmp=yes\nSystemCallFilter=@system-service\nSystemCallFilter=~@privileged\n", 0o644
)
CLOSED = {"LoadState": "loaded", "PrivateTmp": "yes", "SystemCallFilter": "accept execve read write"}
DROP_IN = "/etc/systemd/system/bot-demo-a.service.d/x.conf"


@pytest.mark.parametrize(
    "opened",
    [
        {"PrivateTmp": "no"},
        {"SystemCallFilter": ""},
        {"SystemCallFilter": "accept execve mount read write"},
        {"SystemCallFilter": "accept chown execve read write"},
        {"SystemCallFilter": "~reboot"},
        {"ReadWritePaths": "/etc"},
        {"BindPaths": "/etc:/run/x:rbind"},
        {"SupplementaryGroups": "adm"},
    ],
)
def test_what_a_drop_in_opens_fails_one_check_whose_hint_names_file_and_property(opened):
    found = CLOSED | {"DropInPaths": DROP_IN}
    assert of_unit("sandbox", found, BOXED).outcome is Outcome.PASSED
    assert of_unit("drop-ins", found, BOXED).outcome is Outcome.FAILED
    (key,) = opened
    verdict = of_unit("sandbox", found | opened, BOXED)
    assert verdict.outcome is Outcome.FAILED
    mended = "`systemctl --user revert bot-demo-a.service`, then `toolkit admin restart-bot a`"
    assert verdict.hint == f"{DROP_IN} sets {key}: {mended}"
    assert of_unit("drop-ins", found | opened, BOXED).outcome is Outcome.SKIPPED


def test_of_opened_system_calls_just_those_are_named_that_are_open():
    found = CLOSED | {"SystemCallFilter": "accept chown execve mount read write"}
    assert of_unit("sandbox", found, BOXED).found == "SystemCallFilter allows chown mount too"


def test_a_bot_that_a_drop_in_keeps_from_running_fails_one_check_which_says_how_it_runs_again():
    found = CLOSED | {"DropInPaths": DROP_IN}
    faults = failures(found, BOXED, view={"pid": None, "state": "FAILED"})
    assert list(faults) == ["drop-ins"]


def test_a_drop_in_that_is_of_other_units_too_is_removed_as_revert_does_not_know_it():
    shared = "/etc/systemd/system/bot-.service.d/a b.conf"
    hint = of_unit("drop-ins", CLOSED | {"DropInPaths": "/etc/systemd/system/service.d/x.conf"}, BOXED).hint
    assert "`rm /etc/systemd/system/service.d/x.conf`" in hint
    assert "revert" not in hint
    both = take_away("systemctl", "bot-demo-a.service", [shared, DROP_IN])
    reload = "which other units may have too, and `systemctl daemon-reload`"
    assert both == f"`rm '{shared}'`, {reload}, then `systemctl revert bot-demo-a.service`"


@pytest.mark.parametrize("found", [{"UnitFileState": "masked"}, {"LoadState": "masked"}])
def test_of_a_masked_target_it_is_said_how_to_unmask_it(found):
    verdict = of_bot({}, target=found)["boot"]
    assert verdict.found == "bot-demo.target is masked"
    assert verdict.hint == "`systemctl --user unmask bot-demo.target`, then `toolkit deploy`"


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({}, ""),
        (
            {"IPAddressAllow": "::1/128 10.0.0.0/8 192.0.2.0/24"},
            "IPAddressAllow is ::1/128 10.0.0.0/8 192.0.2.0/24, not",
        ),
        ({"IPAddressAllow": "no address"}, "IPAddressAllow is no address, not"),
        ({"IPAddressDeny": ""}, "IPAddressDeny is not set, not any"),
        ({"IPIngressBytes": "[no data]"}, "nothing is filtered"),
    ],
)
def test_a_filter_of_addresses_must_be_as_asked_and_in_force(found, words):
    verdict = addresses(**found)
    assert verdict.outcome is (Outcome.FAILED if words else Outcome.PASSED)
    assert verdict.found.startswith(words)


@pytest.mark.parametrize(
    ("mode", "owner", "who"),
    [
        (0o777, "root:root", "everyone"),
        (0o1777, "root:root", "everyone"),
        (0o775, "root:staff", "the group staff"),
        (0o775, "root:bot-demo", "the group bot-demo"),
        (0o775, "x:x", ""),
        (0o775, "root:bots", ""),
        (0o755, "x:staff", ""),
    ],
)
def test_who_may_write_to_a_folder_of_the_administrators_is_told(mode, owner, who):
    user, _, group = owner.partition(":")
    files = {"/srv/demo/it's": FileFact(mode, user, group, "a folder", 0, 0)}
    wanted = expected(kept=(Kept("/srv/demo/it's", ("bots",)), Kept("/srv/demo/bots.d")))
    (check,) = [check for check in all_checks(wanted) if check.name == "folders"]
    verdict = check.judge(Facts(files=files))
    assert verdict.found == (f"/srv/demo/it's has mode {mode:04o}: {who} may write there" if who else "")
    command = """`chmod go-w '/srv/demo/it'"'"'s'`"""
    assert verdict.hint == (f"{command} lets their owners alone write there" if who else "")


def test_folders_of_the_toolkits_own_are_taken_from_what_makes_them_and_from_nowhere_else():
    paths = FleetPaths("demo", Path("/var/lib/bot-toolkit/demo"), SYSTEM_SYSTEMD)
    lines = [
        "# Of fleet demo: some.",
        "d /run/bot-toolkit 0755 root root -",
        "d /run/bot-toolkit/demo 0750 root bot-demo -",
        "d /etc 0777 root root -",
        "d /var/lib/bot-toolkit/demo 0999 root root -",
    ]
    texts = (File(str(paths.tmpfiles), "\n".join(lines), 0o644), File("/x", lines[1], 0o644))
    assert own(paths, texts) == (
        Own("/run/bot-toolkit", 0o755, "root", "root"),
        Own("/run/bot-toolkit/demo", 0o750, "root", "bot-demo"),
    )


CAPPED = File(UNIT.path, "TasksMax=64\nCPUQuota=150%\nMemoryMax=268435456\nWatchdogSec=10000ms\n", 0o644)
UNCAPPED = File(UNIT.path, "WatchdogSec=10000ms\n", 0o644)
NONE = {
    "MemoryHigh": "infinity",
    "MemoryMax": "infinity",
    "CPUWeight": "[not set]",
    "CPUQuotaPerSecUSec": "infinity",
    "TasksMax": "4915",
    "IOWeight": "[not set]",
    "WatchdogUSec": "10s",
}
IN_FORCE = NONE | {"TasksMax": "64", "CPUQuotaPerSecUSec": "1.500s", "MemoryMax": "268435456"}


@pytest.mark.parametrize(
    ("unit", "found", "words"),
    [
        (CAPPED, IN_FORCE, ""),
        (CAPPED, IN_FORCE | {"CPUQuotaPerSecUSec": "infinity"}, "CPUQuota: infinity, not 150%"),
        (CAPPED, IN_FORCE | {"TasksMax": "4915"}, "TasksMax: 4915, not 64"),
        (CAPPED, IN_FORCE | {"IOWeight": "10"}, "IOWeight: 10, not unlimited"),
        (CAPPED, IN_FORCE | {"WatchdogUSec": "0"}, "WatchdogSec: 0, not 10000ms"),
        (UNCAPPED, NONE, ""),
        (UNCAPPED, NONE | {"TasksMax": "7"}, "TasksMax: 7, not unlimited"),
        (File(UNIT.path, "TasksMax=4915\n", 0o644), NONE, ""),
        (File(UNIT.path, "TasksMax=many\n", 0o644), NONE, "TasksMax: 4915, not many"),
    ],
)
def test_limits_of_the_control_group_are_told_by_the_rule_of_a_plan(unit, found, words):
    verdict = of_bot(found, unit, host=GOOD | {"DefaultTasksMax": "4915"})["limits"]
    assert verdict.found == words
    back = "`toolkit admin restart-bot a`" if "Watchdog" in words else "`toolkit deploy` sets back"
    assert verdict.hint.startswith(back if words else "")


def test_of_a_bot_that_does_not_run_the_filter_cannot_be_told():
    down = addresses({"pid": None, "state": "STOPPED"}, IPIngressBytes="[no data]")
    assert down.outcome is Outcome.SKIPPED


YOUNG = {"state": "STARTING", "ready": False, "reason": "its runner is not loaded yet", "fingerprint": ""}


@pytest.mark.parametrize(
    ("view", "check", "found"),
    [
        (YOUNG, "ready", "it is STARTING: its runner is not loaded yet"),
        (YOUNG, "socket", "see `ready`"),
        (YOUNG, "in-force", "see `ready`"),
        (YOUNG | {"state": "DEGRADED"}, "ready", "see `socket`"),
        ({"state": "PAUSED", "fingerprint": "f"}, "ready", "an operator paused it"),
    ],
)
def test_one_check_alone_fails_for_a_bot_that_is_just_starting_or_silent_and_none_for_a_paused_one(
    view, check, found
):
    verdict = of_unit(check, {}, view=view)
    assert verdict.outcome is (Outcome.FAILED if found.startswith("it is") else Outcome.SKIPPED)
    assert found in verdict.found


def test_every_check_says_why_and_what_to_do():
    for check in all_checks(expected()):
        assert check.why, check.name
        assert check.hint, check.name


def test_a_process_that_ended_while_it_was_looked_at_is_left_out():
    lines = ["= 12  ", "= 7 bots 0", "NoNewPrivs:\t1"]
    assert dict(_processes(lines)) == {7: ProcessFact("bots", {"NoNewPrivs": "1"}, {}, 0)}


class Here:
    """This machine, by testinfra's way of asking."""

    def run(self, command, *args):
        done = shell.run(
            ["sh", "-c", command.replace("%s", '"$@"', 1).replace("%s", ""), "sh", *args], timeout_s=60
        )
        return Done(done.code, done.stdout, done.stderr)


@dataclass
class Done:
    rc: int
    stdout: str
    stderr: str


def test_bots_that_are_on_their_way_are_waited_for_but_not_for_ever(monkeypatch):
    monkeypatch.setattr(facts, "SETTLE_S", 0)
    told = [["STARTING", "RUNNING"], ["RUNNING", "RUNNING"]]

    class Asked:
        def run(self, *_):
            views = [{"name": str(number), "state": state} for number, state in enumerate(told.pop(0))]
            return Done(0, json.dumps({"bots": views}), "")

    assert facts._settled(Asked(), ["toolkit"])[0]["0"]["state"] == "STARTING"
    monkeypatch.setattr(facts, "SETTLE_S", 60)
    told.insert(0, ["STOPPING", "BACKOFF"])
    assert facts._settled(Asked(), ["toolkit"])[0]["0"]["state"] == "RUNNING"


def test_copies_of_tokens_are_found_where_everyone_can_go_and_no_other_files(short_dir):
    token = "1001:" + "a" * 35
    secret, open_, closed = short_dir / "a.token", short_dir / "open it", short_dir / "closed"
    short_dir.chmod(0o755)
    secret.write_text(f" {token}\n")
    secret.chmod(0o600)
    open_.mkdir(mode=0o755)
    closed.mkdir(mode=0o700)
    (open_ / "example.py").write_text("TOKEN = '1002:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb'")
    for folder in (open_, closed):
        (folder / "copy.py").write_text(f"TOKEN = '{token}'")
        (folder / "mine").write_text(token)
        (folder / "mine").chmod(0o600)
    found = facts._copies(Here(), [str(secret), str(short_dir / "none")], [str(open_), str(closed), "/none"])
    assert found == {str(open_ / "copy.py")}
    assert facts._copies(Here(), [str(short_dir / "none")], [str(open_)]) == set()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize(
    ("user", "runs_as"), [("daemon", "daemon"), ("bot-demo-none", "nobody"), ("root", "root")]
)
def test_root_runs_an_interpreter_as_the_user_of_its_bots(short_dir, monkeypatch, user, runs_as):
    monkeypatch.setenv("SECRET", "of-root")
    short_dir.chmod(0o755)
    python = short_dir / "py|th:on"
    python.write_text('#!/bin/sh\necho "$(id -un) $(id -Gn) ${SECRET:-none} $(pwd)"\n')
    python.chmod(0o755)
    groups = shell.run(["id", "-Gn", runs_as], timeout_s=5).stdout.strip()
    secret = "of-root" if runs_as == "root" else "none"
    told = dict(_pythons(Here(), {str(python): user}))
    assert told == {str(python): f"{runs_as} {groups} {secret} /"}
