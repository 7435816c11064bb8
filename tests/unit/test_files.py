import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from toolkit import files, regular_files
from toolkit.errors import OddFileError, RefusedError
from toolkit.lock import changing, wait_until_free


def test_a_file_is_replaced_whole_with_its_mode(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")
    files.write_atomically(path, "new", 0o640)
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["a"]


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path):
    path = tmp_path / "a"
    path.mkdir()  # a rename over a folder fails
    with pytest.raises(OSError, match="directory"):
        files.write_atomically(path, "new")
    assert os.listdir(tmp_path) == ["a"]


def test_files_that_are_written_together_are_all_as_they_were_if_one_cannot_be_written(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("old")
    wanted = [files.NewFile(old, "newer", 0o640), files.NewFile(new, b"new")]
    with pytest.raises(FileNotFoundError):
        files.write_together([*wanted, files.NewFile(tmp_path / "nowhere" / "a", "")])
    assert os.listdir(tmp_path) == ["old"]
    assert old.read_text() == "old"
    files.write_together(wanted)
    assert sorted(os.listdir(tmp_path)) == ["new", "old"]
    assert (old.read_text(), new.read_text()) == ("newer", "new")
    assert old.stat().st_mode & 0o777 == 0o640


def test_what_cannot_be_written_is_told_by_its_own_name(tmp_path, small_disk):
    disk = small_disk(tmp_path / "disk", 64)
    path = disk.place / "a"
    with pytest.raises(OSError, match="left on device") as full:
        files.write_atomically(path, "x" * 100_000)
    disk.let_write(False)
    with pytest.raises(OSError, match="Read-only") as closed:
        files.write_atomically(path, "new")
    assert [full.value.filename, closed.value.filename] == [str(path)] * 2
    assert os.listdir(disk.place) == []


def test_what_a_killed_process_left_of_a_file_is_removed(tmp_path):
    for name in (".a.1.new", ".a.23.new", ".b.1.new", "a.1.new", ".a.new", "a"):
        (tmp_path / name).touch()
    files.remove_unfinished([tmp_path / "a", tmp_path / "nowhere" / "a"])
    assert sorted(os.listdir(tmp_path)) == [".a.new", ".b.1.new", "a", "a.1.new"]


def test_staged_files_take_no_room_any_more(tmp_path, small_disk):
    disk = small_disk(tmp_path / "disk", 64)
    first, second = disk.place / "a", disk.place / "b"
    with files.Staged() as staged:
        staged.add([files.NewFile(first, "x" * 10_000), files.NewFile(second, "x" * 10_000)])
        disk.fill()
        assert staged.put([first, disk.place / "c"]) == [first]
        assert sorted(os.listdir(disk.place)) == [f".b.{os.getpid()}.new", "a", "ballast"]
    assert sorted(os.listdir(disk.place)) == ["a", "ballast"]


def test_folders_are_made_private(tmp_path):
    files.make_private(tmp_path / "a" / "b")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700
    files.remove(tmp_path / "a" / "nothing")


@pytest.fixture(params=["link", "fifo", "folder", "socket", "device"])
def odd(request, short_dir):
    """What is no regular file, and what it is called."""
    path = short_dir / "odd"
    match request.param:
        case "link":
            (short_dir / "secret").write_text("secret")
            path.symlink_to(short_dir / "secret")
            return path, "a symbolic link"
        case "fifo":
            os.mkfifo(path)
            return path, "a named pipe"
        case "folder":
            path.mkdir()
            return path, "a folder"
        case "socket":
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(path))
            return path, "a socket"
        case _:
            return Path("/dev/zero"), "a device"


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_RDWR | os.O_CREAT])
def test_what_is_no_regular_file_is_told_apart_at_once(odd, flags):
    path, words = odd
    with pytest.raises(OddFileError) as caught:
        regular_files.open_regular(path, flags)
    assert caught.value.message == f"{path} is {words}, not a file"
    with pytest.raises(OddFileError, match=words):
        regular_files.refuse_odd(path)


def test_a_file_is_read_up_to_a_size(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"x" * 10)
    assert regular_files.read_regular(path, 10) == b"x" * 10
    os.truncate(path, 50 * 10**9)
    with pytest.raises(OddFileError, match="more than 10 bytes"):
        regular_files.read_regular(path, 10)
    (tmp_path / "link").symlink_to(path)
    with open(regular_files.open_regular(tmp_path / "link", follow=True), "rb") as file:
        assert file.read(3) == b"xxx"


def test_a_lock_that_is_a_link_leaves_alone_what_it_leads_to(tmp_path):
    (tmp_path / "precious").write_text("x")
    (tmp_path / "fleet.lock").symlink_to(tmp_path / "precious")
    with pytest.raises(RefusedError) as caught, changing(tmp_path / "fleet.lock", "toolkit up"):
        pass
    assert caught.value.message == f"{tmp_path}/fleet.lock is a symbolic link, not a file"
    assert caught.value.hint == "remove it, and see who made it"
    assert (tmp_path / "precious").read_text() == "x"


def test_who_has_no_name_may_change_the_fleet_too(tmp_path, monkeypatch):
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 7)
    with changing(tmp_path / "fleet.lock", "toolkit up"):
        assert f"of {2**31 - 7} (pid" in (tmp_path / "fleet.lock").read_text()


HOLD = """
import sys, pathlib
from toolkit.lock import changing
with changing(pathlib.Path(sys.argv[1]), "toolkit deploy") as hold:
    hold.tell("it waits for alice")
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_second_command_is_refused_and_told_who_is_first(tmp_path, eventually):
    path = tmp_path / "fleet.lock"
    first = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )
    try:
        assert first.stdout.readline() == "held\n"
        with pytest.raises(RefusedError) as caught, changing(path, "toolkit up"):
            pass
        assert caught.value.message.startswith("the fleet is being changed by `toolkit deploy` of ")
        assert f"pid {first.pid}" in caught.value.message
        assert caught.value.message.endswith("Z; it waits for alice")
        assert f"`kill {first.pid}`" in caught.value.hint
        path.write_text("`toolkit up` of eve (pid 1) since 2020-01-01T00:00:00Z")  # as an earlier one left it
        with pytest.raises(RefusedError) as caught, changing(path, "toolkit up"):
            pass
        assert caught.value.message == f"the fleet is being changed by another command (pid {first.pid})"
    finally:
        first.send_signal(signal.SIGKILL)
        first.communicate()

    def free():
        with changing(path, "toolkit up"):
            return True

    assert eventually(free), "the kernel frees the lock of a killed process"


def test_a_command_that_is_at_work_is_waited_for_and_named_where_it_takes_too_long(tmp_path):
    path = tmp_path / "fleet.lock"
    wait_until_free(path, 0)
    with changing(path, "toolkit deploy"):
        pass
    wait_until_free(path, 0)
    with changing(path, "toolkit deploy"), pytest.raises(RefusedError, match="changed by `toolkit deploy`"):
        wait_until_free(path, 0)


def test_a_lock_that_another_command_held_meanwhile_is_refused(tmp_path):
    path = tmp_path / "fleet.lock"
    with changing(path, "toolkit up") as hold:
        pass
    with changing(path, "toolkit up", hold.told) as again:
        assert again.told
    with changing(path, "toolkit down"):
        pass
    with pytest.raises(RefusedError, match="meanwhile"), changing(path, "toolkit up", again.told):
        pass


@pytest.mark.parametrize(("mode", "umask"), [(0o755, 0o077), (0o700, 0o777), (0o700, 0)])
def test_a_folder_gets_its_mode_whatever_the_umask(tmp_path, mode, umask):
    before = os.umask(umask)
    try:
        files.make_private(tmp_path / "a" / "b", mode)
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("a", "a/b")] == [mode, mode]
