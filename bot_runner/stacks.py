"""What each thread and each task is at: told in the log before a deaf bot is ended."""

import asyncio
import faulthandler
import os
from collections.abc import Iterator
from typing import Any

_MOST_TASKS = 50
_MOST_FRAMES = 30
_MOST_BYTES = 65536


def threads() -> str:
    """The stacks of all threads, the innermost call first. No values, so no secrets."""
    try:
        file = os.memfd_create("stacks")
    except OSError as error:  # a bot may be deaf because it has used up its file descriptors
        return f"the stacks of threads cannot be told: {error.strerror}"
    try:
        faulthandler.dump_traceback(file, all_threads=True)
        os.lseek(file, 0, os.SEEK_SET)
        return os.read(file, _MOST_BYTES).decode("utf-8", "replace")
    finally:
        os.close(file)


def tasks(loop: asyncio.AbstractEventLoop) -> str:
    """What the loop's tasks wait for, the outermost call first; may be called from another thread."""
    alive = sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name())
    told = ["\n".join([f"Task {task.get_name()}", *_chain(task.get_coro())]) for task in alive[:_MOST_TASKS]]
    if len(alive) > _MOST_TASKS:
        told.append(f"and {len(alive) - _MOST_TASKS} tasks more")
    return "\n".join(told)


def _chain(waiting: Any) -> Iterator[str]:
    """A line for each coroutine, generator or future that the one before it waits for."""
    for _ in range(_MOST_FRAMES):
        frame = getattr(waiting, "cr_frame", None) or getattr(waiting, "gi_frame", None)
        if frame is None:
            if waiting is not None:
                yield f"  waits for a {type(waiting).__name__}"
            return
        yield f'  File "{frame.f_code.co_filename}", line {frame.f_lineno} in {frame.f_code.co_name}'
        waiting = getattr(waiting, "cr_await", None) or getattr(waiting, "gi_yieldfrom", None)
