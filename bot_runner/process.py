"""What a process tree uses, read from /proc (proc(5)).

Not psutil: it would cost every bot 2 MB of memory and 15 ms of start for what a few lines read here.
"""

import os
import time
from collections import deque

_TICKS = os.sysconf("SC_CLK_TCK")
WINDOW_S = 10.0
# A child that ended is left to the app for so long, in case the app still wants to know how; then it is
# one that the runner adopted and nobody waits for.
UNCLAIMED_S = 600.0


def _read(path: str) -> bytes:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(file, 65536)
    except OSError:
        return b""
    finally:
        os.close(file)


def children(pid: int) -> list[int]:
    """The children of a process, of all its threads."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    found = b" ".join(_read(f"/proc/{pid}/task/{thread}/children") for thread in threads)
    return [int(child) for child in found.split()]


def tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    found, seen = [pid], {pid}
    for member in found:  # it grows while it is walked
        fresh = [child for child in children(member) if child not in seen]
        found += fresh
        seen.update(fresh)
    return found


def _stat(pid: int) -> list[bytes]:
    """The fields after the command's name, which may hold anything; the first is the state."""
    return _read(f"/proc/{pid}/stat").rpartition(b") ")[2].split()


def is_zombie(pid: int) -> bool:
    """Whether the process has ended and only waits to be asked how."""
    return _stat(pid)[:1] == [b"Z"]


def cpu_s(pid: int) -> float:
    """Seconds of processor time of a process and of its children that have ended."""
    return sum(int(field) for field in _stat(pid)[11:15]) / _TICKS


def memory(pid: int) -> int:
    """Bytes of a process's memory, shared pages in proportion (PSS); resident pages where that is hidden."""
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    fields = _read(f"/proc/{pid}/statm").split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") if len(fields) > 1 else 0


class Usage:
    """Samples of this process's tree, taken in the background so that an answer costs nothing.

    Parameters:
        owns_children: the runner starts all children itself and knows them, so that any other child that
            has ended was adopted and can be waited for at once.
    """

    def __init__(self, *, owns_children: bool = False) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=16)
        self._zombies: dict[int, float] = {}
        self._unclaimed_s = WINDOW_S if owns_children else UNCLAIMED_S
        self.memory_bytes = 0
        self.processes = 1
        self.known: set[int] = set()

    def sample(self, *, memory_too: bool = True) -> None:
        """Look at the tree now.

        Parameters:
            memory_too: also at its memory, for which the kernel walks all its pages.
        """
        pids = tree(os.getpid())
        now = time.monotonic()
        self._samples.append((now, sum(map(cpu_s, pids))))
        while len(self._samples) > 1 and now - self._samples[1][0] >= WINDOW_S:
            self._samples.popleft()
        if memory_too:
            self.memory_bytes = sum(map(memory, pids))
        self.processes = len(pids)
        if len(pids) > 1:
            self._bury(pids[1:], now)

    @property
    def cpu_percent(self) -> float:
        """The tree's share of one processor over the last 10 s, in percent."""
        samples = list(self._samples)
        if not samples or samples[-1][0] <= samples[0][0]:
            return 0.0
        (began, before), (ended, after) = samples[0], samples[-1]
        return round(max(0.0, after - before) / (ended - began) * 100, 1)

    def _bury(self, pids: list[int], now: float) -> None:
        """Wait for ended children that were adopted: an app never will."""
        ended = {pid for pid in pids if pid not in self.known and is_zombie(pid)}
        self._zombies = {pid: self._zombies.get(pid, now) for pid in ended}
        for pid, since in self._zombies.items():
            if now - since >= self._unclaimed_s:
                try:
                    os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    continue
