"""The containers themselves: what the other tests of this folder rely on."""

import subprocess
import sys
from pathlib import Path

from tests.hosts import image

pytest_plugins = ("tests.hosts.fixtures",)


def test_it_runs_systemd_and_the_toolkit_under_debians_python(host):
    assert host.out("cat", "/proc/1/comm") == "systemd"
    assert host.out("toolkit", "--version").startswith("toolkit ")
    assert host.out("readlink", "-f", f"{image.OPT}/bin/python").startswith("/usr/bin/python3")
    assert host.out("systemctl", "is-system-running") == "running"


def test_ssh_lets_root_and_admin_in(host):
    done = subprocess.run(
        [*host.ssh("admin"), "sudo id -un"], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.stdout, done.stderr) == ("root\n", "")


def test_files_come_in_with_mode_and_owner(host, tmp_path):
    host.write("/etc/some/secret", "tëxt\n", 0o640, "root:admin")
    assert host.read("/etc/some/secret") == "tëxt\n"
    assert host.out("stat", "-c", "%a %U:%G", "/etc/some/secret") == "640 root:admin"
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("x")
    host.put(tmp_path / "folder", "/srv")
    assert host.out("stat", "-c", "%U", "/srv/folder/file") == "root"


def test_a_user_with_a_manager_gets_its_runtime_folder(host, eventually):
    host.run("loginctl", "enable-linger", "admin")
    eventually(
        lambda: (
            host.run("systemctl", "--user", "is-system-running", user="admin", code=None).stdout
            == "running\n"
        )
    )
    assert host.out("id", "-un", user="admin") == "admin"


def test_its_bus_answers_outside(host):
    done = subprocess.run(
        [
            "busctl",
            f"--address={host.bus}",
            "get-property",
            "org.freedesktop.systemd1",
            "/org/freedesktop/systemd1",
            "org.freedesktop.systemd1.Manager",
            "Version",
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout.startswith('s "252'), done.stderr


def test_a_reboot_keeps_what_was_written_and_the_address(host):
    before = host.out("cat", "/etc/machine-id"), host.out("cat", "/proc/sys/kernel/random/boot_id")
    host.write("/var/lib/kept", "yes")
    host.reboot()
    assert host.read("/var/lib/kept") == "yes"
    assert host.out("cat", "/etc/machine-id") == before[0]
    assert not Path(f"{host.root}/tmp/gone").exists()
    assert subprocess.run([*host.ssh(), "true"], timeout=30, check=False).returncode == 0


def test_hosts_are_apart_and_start_clean(host, new_host):
    host.write("/etc/mine", "x")
    other = new_host(files={"/etc/brought": "b"})
    assert other.address != host.address
    assert other.read("/etc/brought") == "b"
    assert other.run("test", "-e", "/etc/mine", code=1)


KILLED = """
import sys, time
from tests.hosts import image
from tests.hosts.container import Container
container = Container(image.plain())
print(container.name, container.leader, flush=True)
time.sleep(600)
"""


def test_a_killed_test_run_leaves_nothing(containers_run, eventually):
    image.plain()
    run = subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True)
    name, leader = run.stdout.readline().split()
    run.kill()
    run.wait()
    run.stdout.close()
    eventually(
        lambda: not Path(f"/proc/{leader}").exists() and not Path(f"/sys/class/net/ve-{name}").exists()
    )
    mounts = Path("/proc/mounts").read_text()
    assert "bot-toolkit-hosts/slots" not in mounts
