"""What holds for every kind of bot: classes, pacing, holds, the record, readiness, secrets."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from bot_runner.start_slot import StartSlot
from toolkit import botfile, run_record
from toolkit.botfile import App, Limits
from toolkit.health import start_timeout_s
from toolkit.lifecycle import FailureClass
from toolkit.run_record import LastExit, RunRecord
from toolkit.secrets import TokenReference

RUNNER = Path(sys.executable).with_name("bot-runner")
# Of the same version, whose modules it can load.
SYSTEM_PYTHON = Path("/usr/bin/python{}.{}".format(*sys.version_info))


def test_an_async_bot_is_ready_stopped_and_ended(bot):
    bot.app("async", "tasks_app:waits", ready="app").up()
    status = bot.ask("status")
    assert status["poll_age_s"] is None
    assert status["loop_lag_s"] is not None
    assert (Path(bot.file.files.state) / "ran").read_text() == "Hello"
    assert bot.stop() == 0
    assert "ended well" in bot.messages("alice")


def test_an_async_bot_that_waits_for_its_own_word_is_initializing(bot):
    bot.app("async", "tasks_app:never_ready", ready="app").start()
    bot.until("INITIALIZING", "has not said that it is ready")
    assert bot.stop() == 0


def test_an_async_bot_without_callback_is_cancelled(bot):
    bot.app("async", "tasks_app:cancelled").up()
    assert bot.stop() == 0
    assert "cancelled" in bot.messages("alice")


def test_an_async_bot_whose_callback_exits_is_let_finish(bot):
    bot.app("async", "tasks_app:exits_when_told").up()
    assert bot.stop() == 0
    assert "ended well" in bot.messages("alice")


def test_an_async_bot_that_will_not_end_is_ended(bot):
    bot.app("async", "tasks_app:deaf_to_stop").change(stop_s=1.0).up()
    assert bot.stop() == 0
    assert "the app did not end within 1 s" in bot.messages()


def test_a_thread_that_never_ends_does_not_hold_the_exit(bot):
    bot.app("async", "tasks_app:leaves_a_thread").up()
    assert bot.stop() == 0
    assert bot.record().last_exit.kind == "stopped"


def test_the_control_socket_answers_while_the_loop_is_blocked(bot, eventually):
    bot.app("async", "tasks_app:blocked", ready="app").change(stop_s=1.0).start()
    eventually(lambda: (bot.status().get("loop_lag_s") or 0) > 1, "the lag of a blocked loop")
    assert bot.ask("health")["state"] == "RUNNING"
    bot.ask("stop")
    assert bot.ended() == 0


@pytest.mark.parametrize(
    ("kind", "target", "failure", "words"),
    [
        ("async", "tasks_app:returns", "APP_CRASHED", "nobody asked it to end"),
        ("async", "tasks_app:exits", "APP_CRASHED", "SystemExit(77)"),
        ("async", "tasks_app:raises", "APP_CRASHED", "RuntimeError: broken"),
        ("async", "tasks_app:replaces_itself", "APP_CRASHED", "tried to replace its process by exec"),
        ("async", "tasks_app:may_not_catch_that", "APP_CRASHED", "tried to replace its process by exec"),
        ("async", "tasks_app:awaits_what_was_cancelled", "APP_CRASHED", "CancelledError()"),
        ("async", "tasks_app:cancels_all", "APP_CRASHED", "CancelledError()"),
        ("async", "tasks_app:interrupts", "APP_CRASHED", "KeyboardInterrupt()"),
        ("async", "tasks_app:leaves_a_task_that_exits", "APP_CRASHED", "RuntimeError: broken"),
        ("async", "tasks_app:plain", "APP_IMPORT", "not a coroutine function"),
        ("async", "tasks_app:missing", "APP_IMPORT", "AttributeError"),
        ("async", "broken_app:main", "APP_IMPORT", "LookupError: this module cannot be imported"),
        ("async", "no_such_app:main", "APP_IMPORT", "ModuleNotFoundError"),
        ("telegram", "echo_app:nothing", "APP_IMPORT", "returned str"),
        ("telegram", "echo_app:takes_nothing", "APP_IMPORT", "have it begin as `takes_nothing(bot)`"),
        ("telegram", "echo_app:runs_itself", "APP_IMPORT", "it has to return it"),
        ("telegram", "echo_app:foreign", "BAD_CONFIG", "another bot's token"),
        ("telegram", "echo_app:elsewhere", "BAD_CONFIG", "calls https://api.telegram.org, not"),
        ("telegram", "echo_app:raises", "APP_CRASHED", "ValueError: no such thing"),
        ("telegram", "echo_app:raises_without_words", "APP_CRASHED", "SpeechlessError: (it cannot say"),
        ("telegram", "echo_app:shuts_down", "APP_CRASHED", "shut its own bot down"),
    ],
)
def test_an_app_that_fails_ends_with_its_class(bot, kind, target, failure, words):
    bot.app(kind, target).start()
    assert bot.ended() == FailureClass[failure].code
    last = bot.record().last_exit
    assert (last.kind, last.failure) == ("failed", failure)
    assert words in last.reason
    assert "its event loop hangs" not in bot.log()


def test_a_fork_of_the_app_may_become_another_program(bot):
    bot.app("async", "tasks_app:becomes_another_in_a_fork", ready="app").up()
    assert "the fork ended with 0" in bot.messages()
    assert bot.stop() == 0


def test_check_imports_and_no_more(bot):
    def check(target):
        bot.app("async", target)
        bot.path.write_text(json.dumps(msgspec.to_builtins(bot.file)))
        return subprocess.run([RUNNER, "--check", bot.path], check=False, capture_output=True, text=True)

    assert check("tasks_app:waits").returncode == 0
    broken = check("broken_app:main")
    assert broken.returncode == 72
    assert broken.stderr.startswith("error: broken_app:main: LookupError")
    bot.path.write_text("{}")
    bad = subprocess.run([RUNNER, "--check", bot.path], check=False, capture_output=True, text=True)
    assert bad.returncode == 78
    assert "not a bot file" in bad.stderr
    assert not Path(bot.file.files.run_record).exists()


def test_starts_wait_for_their_turn_and_a_waiting_one_can_be_stopped(bot):
    slots = [StartSlot() for _ in range(StartSlot().count)]
    try:
        for slot in slots:
            assert asyncio.run(slot.take(60.0))
        bot.start()
        status = bot.until("INITIALIZING", "waiting for its turn")
        assert f"{slots[0].count} bots start at once" in status["reason"]
        assert bot.stop() == 0
        bot.start()
        bot.until("INITIALIZING", "waiting for its turn")
    finally:
        for slot in slots:
            slot.release()
    bot.until("RUNNING")


def test_who_waits_for_the_api_lets_others_start(bot, eventually):
    slots = [StartSlot() for _ in range(StartSlot().count)]
    try:
        for slot in slots[1:]:
            assert asyncio.run(slot.take(60.0))
        bot.change(endpoint="http://127.0.0.1:9").start()
        bot.until("INITIALIZING", "getMe: the Bot API at 127.0.0.1:9 cannot be reached")
        eventually(slots[0].try_take, "the slot", within_s=5)
    finally:
        for slot in slots:
            slot.release()


def test_a_bad_bot_file_is_held_until_the_supervisor_heeds_the_code(bot):
    bot.start()
    bot.runner.kill()
    bot.ended()
    bot.path.write_text("no json")
    began = time.monotonic()
    done = subprocess.run(bot.runner.args, check=False, capture_output=True, text=True)
    assert done.returncode == FailureClass.BAD_CONFIG.code
    assert time.monotonic() - began > 1.0
    assert str(bot.path) in done.stderr


def test_a_place_that_cannot_be_taken_is_a_bad_configuration(bot):
    lock = Path(bot.file.files.socket).with_name("runner.lock")
    lock.mkdir(parents=True)
    bot.start()
    assert bot.ended() == FailureClass.BAD_CONFIG.code
    assert f"error: {lock}: Is a directory" in bot.stray()


def test_a_class_exit_is_held_and_the_hold_ends_at_sigterm(bot):
    bot.app("async", "broken_app:main").change(hold_s=30.0).start()
    bot.until("QUARANTINED", "app failed to import")
    assert bot.record().pid is None
    assert bot.stop() == FailureClass.APP_IMPORT.code


def test_a_crash_before_the_supervisors_time_is_held_too(bot):
    bot.app("async", "tasks_app:raises").change(hold_s=30.0).start()
    bot.until("BACKOFF", "RuntimeError")
    assert bot.stop() == FailureClass.APP_CRASHED.code


def test_a_crash_loop_is_paced_and_ends(bot):
    restart = msgspec.structs.replace(bot.file.restart, limit=4)
    bot.app("async", "tasks_app:raises").change(restart=restart)
    codes, reasons = [], []
    for _ in range(4):
        bot.start()
        end = time.monotonic() + 20
        while bot.runner.poll() is None:
            assert time.monotonic() < end
            reasons.append(bot.status()["reason"])
            time.sleep(0.01)
        codes.append(bot.runner.returncode)
    crashed, loop = FailureClass.APP_CRASHED.code, FailureClass.CRASH_LOOP.code
    assert codes == [crashed, crashed, crashed, loop]
    assert any("2 runs in a row failed; the next try" in reason for reason in reasons)
    assert not any("1 runs in a row" in reason for reason in reasons)
    record = bot.record()
    assert (record.starts, record.failures) == (4, 0)
    assert "4 runs in a row failed" in record.last_exit.reason


def test_sigterm_during_a_pause_ends_it_at_once(bot):
    restart = msgspec.structs.replace(bot.file.restart, pause_s=60.0, pause_max_s=60.0)
    bot.change(restart=restart)
    Path(bot.file.files.state).mkdir()
    last = LastExit(at="2026-01-01T00:00:00.000Z", kind="failed", failure="APP_CRASHED")
    record = RunRecord(starts=2, failures=2, last_exit=last)
    Path(bot.file.files.run_record).write_bytes(msgspec.json.encode(record))
    bot.start()
    status = bot.until("BACKOFF", "2 runs in a row failed")
    assert (status["ready"], status["restarts"]) == (False, 2)
    assert bot.stop() == 0
    assert bot.record().last_exit.kind == "stopped"


def test_the_record_is_on_disk_before_the_app_is_loaded(bot):
    """The app reads it while it is imported."""
    (bot.folder / "reader_app.py").write_text(
        "import pathlib\nseen = pathlib.Path('state/run.json').read_text()\n"
        "async def main(context):\n    context.logger.info('seen %s', seen)\n"
    )
    app = msgspec.structs.replace(bot.file.app, kind="async", target="reader_app:main", search=(".",))
    bot.change(app=app).start()
    bot.ended()
    assert any(text.startswith('seen {"version":1,"starts":1') for text in bot.messages("alice"))


def own_app(bot, text, kind="async"):
    (bot.folder / "own_app.py").write_text(text)
    return bot.change(app=App(kind=kind, target="own_app:main", search=(".",)))


def test_an_app_that_ends_its_process_at_once_is_told_with_its_code(bot):
    own_app(bot, "import os\ndef main(context):\n    os._exit(3)\n", kind="telegram").start()
    assert bot.ended() == 3
    last = bot.record().last_exit
    told = (last.kind, last.code, last.reason)
    assert told == ("died", 3, "the app ended its process by os._exit(3)")
    line = next(each for each in bot.lines() if "os._exit(3)" in each["message"])
    assert "own_app.py" in line["exception"]
    bot.start()
    assert bot.ended() == 3
    assert (bot.record().starts, bot.record().failures) == (2, 2)


def test_a_fork_that_ends_by_itself_is_no_end_of_the_bot(bot, eventually):
    own_app(
        bot,
        "import asyncio, os\nfrom os import _exit\nasync def main(context):\n"
        "    child = os.fork()\n    if not child:\n        _exit(4)\n"
        "    context.logger.info('child %d', os.waitpid(child, 0)[1] >> 8)\n    await asyncio.sleep(60)\n",
    ).up()
    eventually(lambda: "child 4" in bot.messages("alice"), "the end of the child")
    assert bot.record().last_exit is None
    assert bot.stop() == 0


BLOCKS_SIDE_LOOP = """
import asyncio, sys, time

def side_loop():
    for frame in sys._current_frames().values():
        while frame:
            loop = frame.f_locals.get("self")
            if frame.f_code.co_name == "run_forever" and loop is not asyncio.get_running_loop():
                return loop
            frame = frame.f_back

async def main(context):
    side_loop().call_soon_threadsafe(time.sleep, 60)
    await asyncio.sleep(0.3)
    sys.exit("enough")
"""


def test_a_side_loop_that_stands_still_at_the_end_changes_no_exit_code(bot):
    """As it does while a disk stalls."""
    own_app(bot, BLOCKS_SIDE_LOOP).start()
    assert bot.ended() == FailureClass.APP_CRASHED.code
    assert "the control socket is not closed" in bot.log()
    assert bot.stray() == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be others, and root has no such limit")
@pytest.mark.skipif(not SYSTEM_PYTHON.exists(), reason="others may not reach the interpreter of the tests")
@pytest.mark.parametrize(("processes", "kind"), [(1, "async"), (2, "async"), (3, "telegram")])
def test_a_thread_that_may_not_be_started_is_told_with_its_limit(bot, processes, kind):
    target = {"async": "tasks_app:waits", "telegram": "echo_app:build"}[kind]
    bot.app(kind, target).change(limits=Limits(processes=processes))
    user = random.randrange(100_000, 2**31)
    for path in (bot.folder, bot.folder / "token"):
        os.chown(path, user, user)
    bot.path.write_text(botfile.encode(bot.file))
    done = subprocess.run(
        [SYSTEM_PYTHON, "-m", "bot_runner", bot.path],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        cwd="/",
        user=user,
        group=user,
        extra_groups=[],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    told = done.stderr + bot.log()
    assert done.returncode == FailureClass.BAD_CONFIG.code, told
    assert f"no thread can be started: `limits: processes` is {processes}" in told
    assert "Traceback" not in told


def test_a_killed_bot_is_counted_by_the_next_start(bot):
    bot.app("async", "tasks_app:waits").up()
    bot.runner.kill()
    bot.ended()
    bot.up()
    status = bot.ask("status")
    assert (status["starts"], status["restarts"], status["last_exit"]["kind"]) == (2, 1, "died")
    assert bot.stop() == 0
    bot.up()
    status = bot.ask("status")
    assert (status["starts"], status["restarts"], status["last_exit"]["kind"]) == (1, 0, "stopped")
    assert bot.record().total_starts == 3


def test_a_program_gets_its_configuration_and_is_heard(bot, eventually):
    bot.app("exec", argv=("./program.sh", "READY=1"), ready="app", token_env="MY_TOKEN")
    bot.change(directory=str(Path(__file__).parents[2] / "apps")).up()
    eventually(lambda: bot.messages("stdout"), "what it prints")
    assert bot.messages("stdout")[0] == (
        f'name=alice type=echo config={{"deep": {{"list": [1, 2]}}, "greeting": "Hello"}} token={bot.id}:***'
    )
    assert bot.messages("stderr") == ["to stderr"]
    assert bot.ask("status")["processes"] >= 2
    assert bot.stop() == 0
    assert "bye" in bot.messages("stdout")
    assert bot.token.partition(":")[2] not in bot.log()


def test_a_programs_status_tells_what_it_waits_for(bot):
    bot.app("exec", argv=("./program.sh", "STATUS=warming up"), ready="app")
    bot.change(directory=str(Path(__file__).parents[2] / "apps")).start()
    bot.until("INITIALIZING", "warming up")
    assert bot.stop() == 0


@pytest.mark.parametrize(
    ("argv", "failure", "words"),
    [
        (("/bin/sh", "-c", "exit 77"), "APP_CRASHED", "ended with code 77"),
        (("/bin/sh", "-c", "kill -SEGV $$"), "APP_CRASHED", "SIGSEGV"),
        (("no-such-program",), "APP_IMPORT", "no program no-such-program"),
        (("./garbage",), "APP_IMPORT", "cannot be executed: Exec format error"),
    ],
)
def test_a_programs_own_end_is_a_crash(bot, argv, failure, words):
    (bot.folder / "garbage").write_bytes(b"\0\1\2")
    (bot.folder / "garbage").chmod(0o755)
    bot.app("exec", argv=argv).change(token=None).start()
    assert bot.ended() == FailureClass[failure].code
    assert words in bot.record().last_exit.reason


def test_a_program_that_says_that_it_stops_and_does_not_is_ended(bot):
    script = (
        "import os, socket, time\n"
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect(os.environ['NOTIFY_SOCKET'])\n"
        "s.send(b'READY=1'); s.send(b'STOPPING=1'); time.sleep(60)\n"
    )
    bot.app("exec", argv=(sys.executable, "-c", script), ready="app").change(stop_s=0.5).start()
    assert bot.ended() == FailureClass.APP_CRASHED.code
    assert "said that it is stopping, and did not end within 0.5 s" in bot.record().last_exit.reason


def test_a_configuration_that_no_program_can_be_given_is_told(bot):
    bot.app("exec", argv=("/bin/true",)).change(token=None, config={"long": "x" * (130 << 10)}).start()
    assert bot.ended() == FailureClass.BAD_CONFIG.code
    assert "too long for a program: 128 KiB" in bot.record().last_exit.reason


def test_a_program_dies_with_its_runner(bot, eventually, lives):
    bot.app("exec", argv=("sleep", "300")).up()
    eventually(lambda: bot.ask("status")["processes"] == 2, "the program in the tree")
    children = Path(f"/proc/{bot.runner.pid}/task/{bot.runner.pid}/children").read_text()
    child = int(children.split()[0])
    bot.runner.kill()
    eventually(lambda: not lives(child), "the program's end", within_s=2)


def test_a_program_that_ignores_sigterm_is_killed(bot, eventually):
    bot.app("exec", argv=("/bin/sh", "-c", "trap '' TERM; echo on; while :; do sleep 0.1; done"))
    bot.change(stop_s=1.0).up()
    eventually(lambda: "on" in bot.messages("stdout"), "its trap")
    assert bot.stop() == 0
    assert "the program did not end within 1 s and is killed" in bot.messages()


def test_the_supervisor_is_told_and_the_app_is_not(bot, supervisor):
    bot.app("exec", argv=("/bin/sh", "-c", "echo $NOTIFY_SOCKET; exec sleep 99"))
    bot.up(NOTIFY_SOCKET=supervisor.getsockname(), WATCHDOG_USEC="900000")
    heard = []
    while "WATCHDOG=1" not in heard:
        heard += supervisor.recv(4096).decode().splitlines()
    assert heard.index("READY=1") < heard.index("WATCHDOG=1")
    bot.runner.send_signal(signal.SIGTERM)
    while "STOPPING=1" not in heard:
        heard += supervisor.recv(4096).decode().splitlines()
    assert bot.ended() == 0
    assert bot.messages("stdout") == [str(Path(bot.file.files.socket).with_name("notify.sock"))]


def test_the_supervisor_is_asked_for_time_again_and_again_until_the_api_is_reached(bot, supervisor):
    bot.change(endpoint="http://127.0.0.1:9").start(NOTIFY_SOCKET=supervisor.getsockname())
    asked = f"EXTEND_TIMEOUT_USEC={int(start_timeout_s(bot.file.health, bot.file.stop_s) * 1e6)}"
    heard = []
    while heard.count(asked) < 2:
        heard += supervisor.recv(4096).decode().splitlines()
    assert "READY=1" not in heard
    assert bot.stop() == 0


def test_a_bot_that_gets_ready_with_a_trouble_is_ready_for_the_supervisor(bot, supervisor):
    bot.app("async", "tasks_app:ready_with_a_trouble", ready="app")
    bot.start(NOTIFY_SOCKET=supervisor.getsockname())
    heard = []
    while "READY=1" not in heard:
        heard += supervisor.recv(4096).decode().splitlines()
    assert bot.until("DEGRADED", "slow")["ready"]


def test_a_supervisor_that_does_not_read_blocks_nothing(bot, supervisor, sandbox):
    bot.up(NOTIFY_SOCKET=supervisor.getsockname(), WATCHDOG_USEC="60000")
    for number in range(5):
        assert sandbox.ask(bot.id, f"{number}")
    time.sleep(0.5)  # long enough for the queue of the socket to be full
    assert bot.ask("status")["loop_lag_s"] < 5
    assert bot.stop() == 0


def _everything_readable(bot) -> str:
    process = Path(f"/proc/{bot.runner.pid}")
    texts = [(process / name).read_bytes().decode("utf-8", "replace") for name in ("cmdline", "environ")]
    texts += [json.dumps(bot.ask(method)) for method in ("hello", "health", "status")]
    files = [path for path in bot.folder.rglob("*") if path.is_file() and path.name != "token"]
    return "\n".join([*texts, *(path.read_text(errors="replace") for path in files)])


def test_the_token_is_nowhere(bot, sandbox, eventually):
    log = msgspec.structs.replace(bot.file.log, level="DEBUG")
    bot.change(log=log).up()
    sandbox.say(bot.id, "/fail")
    sandbox.ask(bot.id, "/shout")
    eventually(lambda: f"printed {bot.id}:***" in bot.messages("stdout"), "what it printed")
    eventually(lambda: f"to stderr {bot.id}:***" in bot.messages("stderr"), "what it printed")
    assert f"its token is {bot.id}:***" in bot.log()
    assert "ValueError: failed for" in bot.log()
    assert bot.token.partition(":")[2] not in _everything_readable(bot)
    assert bot.stop() == 0
    bot.app("async", "tasks_app:raises").start()
    bot.ended()
    assert bot.token.partition(":")[2] not in bot.log() + bot.stray()
    assert bot.token.partition(":")[2] not in Path(bot.file.files.run_record).read_text()


def test_a_token_command_that_hangs_keeps_nobody_from_ending_the_bot(bot):
    bot.change(token=TokenReference("command", ("sleep", "60")), stop_s=1.0).start()
    bot.until("INITIALIZING", "the command that tells its token runs")
    assert bot.stop() == 0
    assert "its event loop hangs" not in bot.log()


def test_tokens_come_from_the_environment_or_a_command(bot, sandbox):
    bot.change(token=TokenReference("env", ("SECRET",))).up(SECRET=bot.token)
    assert sandbox.ask(bot.id, "hello")
    assert bot.stop() == 0
    bot.change(token=TokenReference("command", ("cat", str(bot.folder / "token")))).up()
    assert sandbox.ask(bot.id, "hello")
    assert bot.stop() == 0


@pytest.mark.parametrize(
    ("reference", "failure", "words"),
    [
        (("file", ("/no/such/file",)), "BAD_CONFIG", "/no/such/file: No such file"),
        (("env", ("NOT_SET",)), "BAD_CONFIG", "NOT_SET is not set"),
        (("command", ("false",)), "TEMPORARY", "the token command false failed with code 1"),
        (("command", ("no-such",)), "BAD_CONFIG", "the token command no-such"),
        (("command", ("echo", "nothing")), "BAD_CONFIG", "holds no bot token"),
    ],
)
def test_a_token_that_is_not_there_ends_with_its_class(bot, reference, failure, words):
    bot.change(token=TokenReference(*reference)).start()
    assert bot.ended() == FailureClass[failure].code
    assert words in bot.record().last_exit.reason


def test_a_full_disk_stops_no_bot(bot, sandbox):
    Path(bot.file.files.log).symlink_to("/dev/full")
    bot.up()
    assert sandbox.ask(bot.id, "hello")
    assert bot.stop() == 0


@pytest.mark.parametrize("at", ["2026-01-01T00:00:00", "2026-13-01T00:00:00Z", "yesterday"])
def test_a_record_whose_time_cannot_be_read_is_one_all_the_same(bot, at):
    Path(bot.file.files.state).mkdir()
    Path(bot.file.files.run_record).write_text(json.dumps({"pid": 4194305, "started_at": at, "starts": 3}))
    bot.app("async", "tasks_app:waits").up()
    assert bot.status()["starts"] == 4


def test_a_runner_that_breaks_itself_tells_how(bot):
    bot.app("async", "tasks_app:pulls_the_rug").start()
    assert bot.ended() == FailureClass.TEMPORARY.code
    last = bot.record().last_exit
    assert (last.failure, last.reason.partition(": ")[0]) == ("TEMPORARY", "bot-runner itself failed")
    assert "OSError: [Errno 22] Invalid argument" in bot.log()
    assert bot.stray().startswith(f"error: {last.reason}\n")


def test_an_unreadable_record_begins_anew(bot):
    Path(bot.file.files.state).mkdir()
    Path(bot.file.files.run_record).write_text("torn")
    bot.app("async", "tasks_app:waits").up()
    assert bot.ask("status")["starts"] == 1
    assert run_record.read(Path(bot.file.files.run_record)).pid == bot.runner.pid
