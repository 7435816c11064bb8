"""Commands that only look."""

import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator

from measure import BIN, TOOLKIT, folder, goal, paired, run, running, seconds, write_fleet

IDLE = "import asyncio\n\nasync def main(bot):\n    await asyncio.Event().wait()\n"
_UP_S, _LOOK_S = 120.0, 0.2
HELLO = "import typer\napp = typer.Typer(rich_markup_mode=None)\n@app.command()\ndef hello(): ...\napp()\n"


def help_text() -> Iterator[str]:
    """`toolkit --help` against a Typer hello."""
    with folder() as path:
        (path / "hello.py").write_text(HELLO)
        ours, hello = paired((TOOLKIT, "--help"), (sys.executable, path / "hello.py", "--help"))
    yield goal("toolkit --help", ours, 0.10, "s") + f", {ours / hello:.2f} x a Typer hello ({hello:.3f} s)"


def list_of_100() -> Iterator[str]:
    """`bot list` of 100 running bots against `supervisorctl status` of the same supervisord."""
    with folder() as path:
        (path / "idle.py").write_text(IDLE)
        fleet = write_fleet(path, 100, '{async: "idle:main"}')
        with running(fleet):
            conf = path / "state" / "bench" / "supervisord.conf"
            ours = (TOOLKIT, "-f", fleet, "bot", "list")
            assert run(*ours).stdout.count(" RUNNING ") == 100
            mine, theirs = paired(ours, (BIN / "supervisorctl", "-c", conf, "status"))
    ratio = mine / theirs
    yield f"bot list of 100: {mine:.3f} s, {ratio:.2f} x supervisorctl status ({theirs:.3f} s; goal 1.2)"


# One process that answers for 1,000 bots: the machine need not hold 1,000 interpreters to time their reader.
ANSWERING = """
import asyncio, json, struct, sys
status = json.loads(sys.argv[2])
async def answer(reader, writer):
    try:
        while True:
            (size,) = struct.unpack(">I", await reader.readexactly(4))
            call = json.loads(await reader.readexactly(size))
            data = json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": status}).encode()
            writer.write(struct.pack(">I", len(data)) + data)
    except asyncio.IncompleteReadError:
        writer.close()
async def main():
    for path in open(sys.argv[1]).read().split():
        await asyncio.start_unix_server(answer, path, backlog=8)
    print("up", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def list_of_1000() -> Iterator[str]:
    """`bot list` of 1,000 programs whose control sockets one process answers."""
    with folder() as path:
        (path / "idle.py").write_text(IDLE)
        fleet = write_fleet(path, 1, '{async: "idle:main"}')
        with running(fleet):
            listed = json.loads(run(TOOLKIT, "-f", fleet, "bot", "list", "--json").stdout)
            status = dict(listed["bots"][0], details=None)
        write_fleet(path, 1000, "{exec: [/bin/sleep, infinity]}")
        home = path / "state" / "bench"
        _install_sleepers(fleet, home)
        sockets = []
        for number in range(1000):
            (home / "run" / f"bot{number}").mkdir(exist_ok=True)
            sockets.append(str(home / "run" / f"bot{number}" / "control.sock"))
        (path / "sockets").write_text("\n".join(sockets))
        server = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(ANSWERING), str(path / "sockets"), json.dumps(status)],
            stdout=subprocess.PIPE,
        )
        try:
            assert server.stdout
            server.stdout.readline()
            count = run(TOOLKIT, "-f", fleet, "bot", "list").stdout.count(" RUNNING ")
            assert count == 1000, count
            took = seconds(TOOLKIT, "-f", fleet, "bot", "list", runs=5)
        finally:
            server.kill()
            server.communicate()
            run(TOOLKIT, "-f", fleet, "down", check=False)
    yield goal("bot list of 1,000", took, 2.0, "s")


def _install_sleepers(fleet: os.PathLike[str], home: os.PathLike[str]) -> None:
    """Units of 1,000 sleeping programs, put in force by supervisord itself."""
    import re
    from pathlib import Path

    from toolkit import revisions
    from toolkit.paths import FleetPaths
    from toolkit.revisions import Applied

    run(TOOLKIT, "-f", fleet, "render", "--out", home)
    for unit in (Path(home) / "units").glob("*.conf"):
        text = re.sub(r"(?m)^command *=.*$", "command=/bin/sleep infinity", unit.read_text())
        unit.write_text(text)
    with revisions.opened(FleetPaths("bench", Path(home))) as history:
        number = history.begin(Path(fleet), [])
        history.put_in_force(Applied(f"bot{n}", "t", "supervisord", "u", "f", number) for n in range(1000))
        history.finish(number, whole=True)
    run(BIN / "supervisord", "-c", Path(home) / "supervisord.conf")
    status = (BIN / "supervisorctl", "-c", Path(home) / "supervisord.conf", "status")
    end = time.monotonic() + _UP_S
    while run(*status, check=False).stdout.count("RUNNING") < 1000:
        if time.monotonic() > end:
            sys.exit(f"1,000 programs did not start within {_UP_S:g} s")
        time.sleep(_LOOK_S)
