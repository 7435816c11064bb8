"""systemd itself, without a machine that runs it: in its test mode it loads units and tells what it read.

The dump's form is that of systemd 252's `exec_context_dump` and `quote_command_line`.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

SYSTEMD = Path("/lib/systemd/systemd")
OWN_UNITS = "/lib/systemd/system"
NOBODY = 65534
_ESCAPES = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}


def read(folder: Path, unit: str) -> str:
    """What systemd understands of a unit in a folder that everyone may read."""
    user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    done = subprocess.run(
        [SYSTEMD, "--test", "--system", f"--unit={unit}", "--no-pager"],
        env={
            "HOME": "/",
            "PATH": "/usr/bin:/bin",
            "SYSTEMD_UNIT_PATH": f"{folder}:{OWN_UNITS}",
            # Generators are programs, a dozen a read, and none of them makes the units that are asked for.
            "SYSTEMD_GENERATOR_PATH": os.devnull,
            "SYSTEMD_ENVIRONMENT_GENERATOR_PATH": os.devnull,
        },
        capture_output=True,
        timeout=60,
        check=True,
        **user,
    )
    text = done.stdout.decode()
    (section,) = re.findall(rf"-> Unit {re.escape(unit)}:\n(.*?)(?=\n\t-> Unit |\Z)", text, re.DOTALL)
    assert "\t\tUnit Load State: loaded\n" in section, (section, done.stderr)
    return section


def verify(files: list[Path], mode: str = "--system") -> str:
    """What `systemd-analyze verify` has to say of units."""
    program = shutil.which("systemd-analyze")
    assert program
    folder = files[0].parent
    done = subprocess.run(
        [program, "verify", "--recursive-errors=one", "--man=no", mode, *files],
        env={
            **os.environ,
            "SYSTEMD_UNIT_PATH": f"{folder}:/lib/systemd/{mode[2:]}",
            "XDG_RUNTIME_DIR": str(folder),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr + (f"exit code {done.returncode}" if done.returncode else "")


def setting(section: str, name: str) -> str:
    """The value of a setting that stands once."""
    (value,) = re.findall(rf"^\t+{re.escape(name)}: (.*)$", section, re.MULTILINE)
    return value


def environment(section: str) -> str:
    """The variables as the dump has them: as they are, line breaks too."""
    first = section.index("\t\tEnvironment: ")
    return section[first : section.index("\n\t\tRuntimeDirectoryPreserve:", first) + 1]


def words(line: str) -> list[str]:
    """The words of a command line as the dump quotes them."""
    data = line.encode()
    found: list[bytes] = []
    place, quoted, word = 0, False, bytearray()
    while place < len(data):
        char = data[place : place + 1]
        if char == b'"':
            quoted = not quoted
        elif char == b"\\" and quoted:
            place += 1
            follows = chr(data[place])
            if follows.isdigit():
                word.append(int(data[place : place + 3], 8))
                place += 2
            else:
                word.append(_ESCAPES.get(follows, data[place]))
        elif char == b" " and not quoted:
            found.append(bytes(word))
            word.clear()
        else:
            word += char
        place += 1
    return [part.decode() for part in (*found, bytes(word))]
