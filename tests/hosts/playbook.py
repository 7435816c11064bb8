"""Plays the playbooks of ansible/ on hosts of the tests."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.hosts.host import Host, ssh_config

ANSIBLE = Path(__file__).parents[2] / "ansible"
ECHO = ANSIBLE.parent / "templates" / "init" / "bots" / "echo.py"
PLAY_S = 600.0


@dataclass(frozen=True)
class Recap:
    """What a play came to: how many tasks changed something or failed, and all that was printed."""

    changed: int
    failed: int
    text: str


def play(
    name: str, hosts: Iterable[Host], variables: dict[str, Any], folder: Path, *options: str, code: int = 0
) -> Recap:
    """Play ``ansible/NAME.yml`` as the hosts' user admin; ``folder`` takes the inventory."""
    listed = {host.name: {"ansible_host": host.address, "ansible_port": host.port} for host in hosts}
    common = {"ansible_user": "admin", "ansible_python_interpreter": "/usr/bin/python3"} | variables
    inventory = folder / "inventory.json"
    inventory.write_text(json.dumps({"bots": {"hosts": listed, "vars": common}}))
    environment = os.environ | {
        "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"),
        "ANSIBLE_HOME": str(folder / "ansible"),
        "ANSIBLE_SSH_ARGS": f"-F {ssh_config()} -o ControlMaster=auto -o ControlPersist=30s",
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / "c"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_FORKS": "4",
        # A virtual machine is slow, and slower where other tests run beside it.
        "ANSIBLE_TIMEOUT": "120",
    }
    command = [Path(sys.executable).with_name("ansible-playbook"), "-i", inventory, *options, f"{name}.yml"]
    done = subprocess.run(
        command, cwd=ANSIBLE, env=environment, capture_output=True, text=True, timeout=PLAY_S, check=False
    )
    text = done.stdout + done.stderr
    assert done.returncode == code, text[-6000:]
    assert "[WARNING]" not in text, text
    assert "DEPRECAT" not in text, text
    counts = {word: sum(map(int, re.findall(rf"\b{word}=(\d+)", text))) for word in ("changed", "failed")}
    return Recap(counts["changed"], counts["failed"], text)


def fleet_folder(folder: Path, text: str) -> Path:
    """A fleet as an operator keeps it: a fleet.yaml, and the example bots of the repository."""
    shutil.copytree(ECHO.parent, folder / "bots")
    (folder / "fleet.yaml").write_text(text)
    return folder
