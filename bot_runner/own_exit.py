"""The app's own ``os._exit``, before which what happens is told, and ``os.exec*``, which is refused."""

import errno
import operator
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

# A disk that hangs does not keep the process.
_KEPT_WITHIN_S = 1.0


def tell(say: Callable[[int], object], keep: Callable[[int], object]) -> None:
    """From now on have these called with the status before ``os._exit`` ends the process.

    Parameters:
        say: in the thread that called it.
        keep: in another one, and for a second only.
    """
    end, pid = os._exit, os.getpid()

    def _exit(status: int) -> NoReturn:
        code = operator.index(status)
        if os.getpid() == pid:  # a fork, as of multiprocessing, ends by it too
            with suppress(Exception):
                say(code)
                thread = threading.Thread(target=keep, args=(code,), daemon=True)
                thread.start()
                thread.join(_KEPT_WITHIN_S)
        end(code)

    os._exit = _exit


def refuse_exec(refuse: Callable[[str], object]) -> None:
    """From now on refuse to replace this process by a program: that would find neither token nor supervisor.

    All of ``os.exec*`` come to these two; a fork may become what it likes.

    Parameters:
        refuse: called with the program, in the thread that called it.
    """
    pid = os.getpid()

    def refusing(exec_: Callable[..., NoReturn]) -> Callable[..., NoReturn]:
        def execute(path: Any, *arguments: Any) -> NoReturn:
            if os.getpid() == pid:
                refuse(os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else repr(path))
                raise PermissionError(errno.EPERM, "a bot may not replace its process by exec")
            exec_(path, *arguments)

        return execute

    os.execv, os.execve = refusing(os.execv), refusing(os.execve)
