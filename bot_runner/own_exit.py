"""The app's own ``os._exit``, which ends the process at once: what happened is told first."""

import operator
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

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
