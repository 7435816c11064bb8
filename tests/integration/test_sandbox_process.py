"""The sandbox as a process and the commands around it."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from toolkit.sandbox.client import SandboxClient

pytest_plugins = ("tests.fixtures_sandbox",)

TOOLKIT = str(Path(sys.executable).with_name("toolkit"))


def toolkit(*arguments: object, code: int = 0, **options) -> str:
    """Run a command of the installed toolkit; both its outputs."""
    done = subprocess.run(
        [TOOLKIT, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
        **options,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


class Detached:
    def __init__(self, folder: Path) -> None:
        self.url_file, self.pid_file, self.log = folder / "url", folder / "pid", folder / "log"
        self.files = ["--url-file", self.url_file, "--pid-file", self.pid_file, "--log", self.log]

    def start(self, port: int = 0, code: int = 0) -> str:
        return toolkit("sandbox", "--detach", "--port", port, *self.files, code=code)

    @property
    def url(self) -> str:
        return self.url_file.read_text().strip()

    @property
    def pid(self) -> int:
        return int(self.pid_file.read_text())


def servers_of(pid_file: Path) -> list[int]:
    """Every process that was started with this pid file and still runs."""
    found = psutil.process_iter(["pid", "cmdline", "status"])
    mine = [each.info for each in found if str(pid_file) in (each.info["cmdline"] or [])]
    return [each["pid"] for each in mine if each["status"] != psutil.STATUS_ZOMBIE]


@pytest.fixture
def detached(tmp_path) -> Iterator[Detached]:
    made = Detached(tmp_path)
    made.start()
    yield made
    for pid in servers_of(made.pid_file):
        os.kill(pid, signal.SIGKILL)


def kill(detached: Detached) -> None:
    process = psutil.Process(detached.pid)
    process.kill()
    psutil.wait_procs([process], timeout=10)


def refusals(pid_file: Path, code: int) -> list[str]:
    """What the commands that take a pid file say of it."""
    commands = (["stop"], ["--port", "0"], ["--detach", "--port", "0"])
    return [toolkit("sandbox", *command, "--pid-file", pid_file, code=code) for command in commands]


class TestDetached:
    def test_it_answers_when_the_command_returns(self, detached):
        assert SandboxClient(detached.url).health()["pid"] == detached.pid

    def test_it_holds_nothing_of_the_shell(self, detached):
        process = psutil.Process(detached.pid)
        assert process.cwd() == "/"
        assert os.getsid(detached.pid) == detached.pid
        targets = [os.readlink(f"/proc/{detached.pid}/fd/{number}") for number in range(3)]
        assert targets == ["/dev/null", str(detached.log), str(detached.log)]
        assert not [
            fd for fd in Path(f"/proc/{detached.pid}/fd").iterdir() if os.readlink(fd).startswith("pipe:")
        ]

    def test_starting_it_again_leaves_it_as_it_is(self, detached):
        pid, url = detached.pid, detached.url
        assert url in detached.start()
        assert url in detached.start(int(url.rpartition(":")[2]))
        assert detached.pid == pid
        assert "runs already" in detached.start(port=1, code=4)

    def test_stop_ends_it_and_its_address_can_be_taken_again(self, detached):
        url, pid = detached.url, detached.pid
        assert "is stopped" in toolkit("sandbox", "stop", "--pid-file", detached.pid_file)
        assert pid not in servers_of(detached.pid_file)
        assert not detached.pid_file.exists()
        assert "no sandbox was running" in toolkit("sandbox", "stop", "--pid-file", detached.pid_file)
        detached.start(int(url.rpartition(":")[2]))
        assert detached.url == url
        toolkit("sandbox", "stop", "--pid-file", detached.pid_file)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
    def test_another_user_may_not_end_it(self, short_dir):
        short_dir.chmod(0o755)
        detached = Detached(short_dir)
        detached.start()
        stranger = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        command = [*stranger, TOOLKIT, "sandbox", "stop", "--pid-file", detached.pid_file]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 4
        assert done.stderr.splitlines() == [
            f"error: the sandbox (pid {detached.pid}) is another user's",
            "hint: run it as the user that started it",
        ]
        toolkit("sandbox", "stop", "--pid-file", detached.pid_file)

    def test_a_pid_file_left_behind_is_no_sandbox(self, detached):
        kill(detached)
        assert "no sandbox was running" in toolkit("sandbox", "stop", "--pid-file", detached.pid_file)
        assert not detached.pid_file.exists()

    def test_a_number_left_behind_that_another_process_has_by_now(self, detached):
        kill(detached)
        for file in (detached.pid_file, detached.pid_file.with_name(".pid.lock")):
            file.write_text(f"{os.getpid()}\n")
        assert "no sandbox was running" in toolkit("sandbox", "stop", "--pid-file", detached.pid_file)
        assert not detached.pid_file.exists()

    def test_two_that_start_at_once_are_one(self, tmp_path):
        made = Detached(tmp_path)
        started = [
            subprocess.Popen(
                [TOOLKIT, "sandbox", "--detach", "--port", "0", *map(str, made.files)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for _ in range(3)
        ]
        codes = sorted(each.wait(60) for each in started)
        running = servers_of(made.pid_file)
        try:
            assert codes[0] == 0
            assert running == [made.pid]
            assert SandboxClient(made.url).health()["pid"] == made.pid
            toolkit("sandbox", "stop", "--pid-file", made.pid_file)
            assert servers_of(made.pid_file) == []
        finally:
            for pid in servers_of(made.pid_file):
                os.kill(pid, signal.SIGKILL)


class TestPidFilesOfOthers:
    """What no sandbox wrote is neither removed nor replaced."""

    @pytest.mark.parametrize(
        "content", ["", "a novel\n" * 9, "12 34\n", "-1\n", "0\n", "4194305\n", "9" * 5000]
    )
    def test_a_file_that_is_no_pid_file(self, tmp_path, content):
        file = tmp_path / "precious"
        file.write_text(content)
        for told in refusals(file, 2):
            assert f"{file} is no pid file of a sandbox" in told
        assert file.read_text() == content
        assert list(tmp_path.iterdir()) == [file]

    def test_a_pipe_a_link_and_a_folder(self, tmp_path):
        pipe, link, folder = (tmp_path / name for name in ("pipe", "link", "folder"))
        os.mkfifo(pipe)
        link.symlink_to(pipe)
        folder.mkdir()
        for path in (pipe, link, folder, Path()):
            for told in refusals(path, 2):
                assert f"{path} is no pid file of a sandbox: it is a" in told
        assert {pipe, link, folder} == set(tmp_path.iterdir())

    def test_a_process_that_lives_and_is_no_sandbox(self, tmp_path):
        file = tmp_path / "pid"
        file.write_text(f"{os.getpid()}\n")
        for told in refusals(file, 4):
            assert f"{file} is of process {os.getpid()}, which is no sandbox; it is left as it is" in told
        assert file.read_text() == f"{os.getpid()}\n"

    def test_what_was_put_in_the_place_of_a_running_sandboxs_file_stays(self, detached):
        detached.pid_file.write_text(f"{os.getpid()}\n")
        assert "is stopped" in toolkit("sandbox", "stop", "--pid-file", detached.pid_file)
        assert servers_of(detached.pid_file) == []
        assert detached.pid == os.getpid()

    def test_a_file_of_others_in_the_place_of_the_lock(self, tmp_path):
        lock = tmp_path / ".pid.lock"
        lock.write_text("a novel\n")
        told = toolkit("sandbox", "--detach", "--port", 0, "--pid-file", tmp_path / "pid", code=2)
        assert f"{lock} is no pid file" in told
        assert lock.read_text() == "a novel\n"


class TestFilesOfOthers:
    """What is named, and is none of a sandbox, is left as it is, and nothing waits for it."""

    @pytest.mark.parametrize("content", ["", "a novel\n", "http://127.0.0.1:1\nand more\n"])
    def test_a_file_that_is_no_url_file(self, tmp_path, content):
        file = tmp_path / "precious"
        file.write_text(content)
        for how in ((), ("--detach",)):
            told = toolkit("sandbox", *how, "--port", 0, "--url-file", file, code=2)
            assert f"{file} is no URL file of a sandbox: it holds something else" in told
        assert file.read_text() == content

    @pytest.mark.parametrize("option", ["--url-file", "--log", "--tls-cert"])
    def test_a_pipe_a_folder_and_no_folder(self, tmp_path, option):
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        more = ("--tls-key", pipe) if option == "--tls-cert" else ()
        for path, words in ((pipe, "is a named pipe"), (tmp_path, "is a folder"), (pipe / "x", f"{pipe}")):
            assert words in toolkit("sandbox", "--detach", "--port", 0, option, path, *more, code=2)
        assert list(tmp_path.iterdir()) == [pipe]

    def test_a_log_that_is_a_link_is_written(self, tmp_path):
        made = Detached(tmp_path)
        made.log.symlink_to(tmp_path / "elsewhere")
        made.start()
        assert (tmp_path / "elsewhere").exists()
        toolkit("sandbox", "stop", "--pid-file", made.pid_file)


class TestForeground:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_it_ends_on_a_signal_with_code_0(self, number):
        process = subprocess.Popen([TOOLKIT, "sandbox", "--port", "0"], stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline().startswith("the sandbox answers at http://127.0.0.1:")
        process.send_signal(number)
        assert process.wait(20) == 0
        process.stdout.close()

    def test_a_port_that_is_taken(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            told = toolkit("sandbox", "--port", taken.getsockname()[1], code=1)
        assert "cannot listen on" in told
        assert "hint: choose another --port" in told

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
    def test_other_machines_are_kept_out(self, host):
        told = toolkit("sandbox", "--port", 0, "--host", host, code=2)
        assert "--public" in told

    def test_ipv6(self):
        process = subprocess.Popen(
            [TOOLKIT, "sandbox", "--port", "0", "--host", "::1"], stdout=subprocess.PIPE, text=True
        )
        url = process.stdout.readline().split()[4].rstrip(";")
        assert SandboxClient(url).health()["sandbox"] is True
        process.terminate()
        assert process.wait(20) == 0
        process.stdout.close()

    def test_without_the_extra_a_hint_says_how_to_get_it(self):
        script = (
            "import sys; sys.modules['uvicorn'] = None; from toolkit.cli.app import main; "
            "sys.argv[1:] = ['sandbox']; main()"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 2
        assert done.stderr.splitlines() == [
            "error: the sandbox needs uvicorn, of the extra `sandbox`",
            f"hint: install it: `{sys.executable} -m pip install 'bot-toolkit[sandbox]'`",
        ]


def test_the_client_needs_none_of_the_extra():
    script = (
        "import sys, toolkit.sandbox.client; "
        "print([name for name in ('starlette', 'uvicorn', 'httpx', 'msgspec') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


class TestCommands:
    def test_speaking_and_reading(self, sandbox, api):
        answering = threading.Thread(
            target=lambda: [
                api(
                    "sendMessage",
                    chat_id=each["message"]["chat"]["id"],
                    text=f"echo: {each['message']['text']}",
                )
                for each in api.updates(timeout=30)
            ]
        )
        answering.start()
        assert toolkit("sandbox", "say", api.id, "hello", "--url", sandbox.url) == f"{api.id}: echo: hello\n"
        answering.join()

    def test_buttons_are_shown_and_pressed(self, sandbox, api):
        keyboard = {
            "inline_keyboard": [[{"text": "Yes", "callback_data": "y"}, {"text": "No", "callback_data": "n"}]]
        }

        def serve() -> None:
            api("sendMessage", chat_id=9, text="Sure?", reply_markup=keyboard) if api.updates(
                timeout=30
            ) else None
            offset = api.updates()[-1]["update_id"] + 1
            query = api.updates(timeout=30, offset=offset)[0]["callback_query"]
            api("sendMessage", chat_id=9, text=f"you chose {query['data']}")

        serving = threading.Thread(target=serve)
        serving.start()
        shown = toolkit("sandbox", "say", api.id, "?", "--chat", 9, "--url", sandbox.url)
        assert shown == f"{api.id}: Sure?\n  [Yes] [No]\n"
        told = json.loads(
            toolkit("sandbox", "press", api.id, "No", "--chat", 9, "--url", sandbox.url, "--json")
        )
        serving.join()
        assert told["version"] == 1
        assert [each["text"] for each in told["answers"]] == ["you chose n"]
        assert told["answers"][0]["time"].endswith("Z")

    def test_silence_is_exit_code_3(self, sandbox, api):
        told = toolkit("sandbox", "say", api.id, "anyone?", "--wait", 0.1, "--url", sandbox.url, code=3)
        assert "did not answer in time" in told
        told = toolkit("sandbox", "say", api.id, "?", "--wait", 0.1, "--url", sandbox.url, "--json", code=3)
        assert json.loads(told.rpartition("}")[0] + "}")["answers"] == []

    def test_faults(self, sandbox, api):
        toolkit("sandbox", "fault", api.id, "getMe", "429", "--retry-after", 4, "--url", sandbox.url)
        assert api("getMe")["parameters"] == {"retry_after": 4}
        assert "1 healed" in toolkit("sandbox", "heal", api.id, "--url", sandbox.url)
        assert api("getMe")["ok"]
        assert "a fault is" in toolkit(
            "sandbox", "fault", api.id, "getMe", "explode", "--url", sandbox.url, code=2
        )

    def test_the_faults_in_force(self, sandbox, api):
        toolkit("sandbox", "fault", api.id, "getMe", "drop", "--count", 3, "--url", sandbox.url)
        with pytest.raises((ConnectionError, OSError)):
            api("getMe")
        told = toolkit("sandbox", "faults", "--url", sandbox.url).splitlines()
        assert [line.split() for line in told[1:] if api.id in line] == [
            [api.id, "getme", "drop", "2", "-", "1"]
        ]
        found = json.loads(toolkit("sandbox", "faults", "--url", sandbox.url, "--json"))["faults"]
        (row,) = [each for each in found if each["bot_id"] == api.id]
        assert (row["name"], row["kind"], row["left"], row["hits"]) == (None, "drop", 2, 1)

    def test_bots(self, sandbox, api):
        api("getMe")
        told = toolkit("sandbox", "bots", "--url", sandbox.url).splitlines()
        assert told[0].split()[:4] == ["BOT", "ID", "POLLING", "POLLS"]
        assert any(line.split()[:2] == ["-", api.id] for line in told[1:])
        found = json.loads(toolkit("sandbox", "bots", "--url", sandbox.url, "--json"))
        (row,) = [each for each in found["bots"] if each["bot_id"] == api.id]
        assert (row["calls"], row["last_poll_at"]) == ({"getMe": 1}, None)

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("fault", "BOT", "é", "500"), "no method é"),
            (("heal", "BOT", "getM"), "did you mean getMe?"),
            (("say", "BOT", ""), "a message has 1 to 4096 characters"),
            (("say", "BOT", "hi", "--chat", 9 * 10**23), "at most 52 bits"),
            (("press", "BOT", "Yes"), "has the button 'Yes'"),
            (("say", "alice", "hi"), "the digits before the token's colon"),
        ],
    )
    def test_what_makes_no_sense_is_wrong_input(self, sandbox, api, arguments, words):
        named = [api.id if word == "BOT" else word for word in arguments]
        assert words in toolkit("sandbox", *named, "--url", sandbox.url, code=2)

    @pytest.mark.parametrize("url", ["ftp://x", "http://[::1", "http://h:99999", "http://a b", "http://h/x"])
    def test_what_is_no_url_of_a_sandbox(self, url):
        told = toolkit("sandbox", "say", "123456", "hi", "--url", url, code=2)
        assert f"{url} is no sandbox" in told

    def test_nobody_there(self):
        told = toolkit("sandbox", "say", "123", "hi", "--url", "http://127.0.0.1:1", code=1)
        assert "hint: start one with `toolkit sandbox`" in told
