"""Bots that let their token slip in every way that was thought of."""

# ruff: noqa: T201, TRY301  printing and raising are the point

import asyncio
import atexit
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
import warnings

from telegram import Update
from telegram.ext import Application, CommandHandler, ContextTypes


class Talkative:
    """Tells its secret when it is shown, and when it goes."""

    def __init__(self, token: str) -> None:
        self.token = token

    def __repr__(self) -> str:
        return f"<Talkative {self.token}>"

    def __del__(self) -> None:
        raise RuntimeError(f"gone with {self.token}")


def print_it(token: str) -> None:
    print("printed", token)
    print("to stderr", token, file=sys.stderr)
    print(b"as bytes " + token.encode())
    print("x" * 8185 + token + "y" * 9000)
    print("\x1b[31m" + token + "\x1b[0m")
    print(f"https://api.telegram.org/bot{token}/getMe?x=1 {token.replace(':', '%3A')}")
    os.write(1, b"in two: " + token[:20].encode())
    time.sleep(0.05)  # so that the two halves are read one by one
    os.write(1, token[20:].encode() + b"\n")
    subprocess.run([sys.executable, "-c", "print(input())"], input=token, text=True, check=True)
    sys.stdout.write("no end of line " + token)
    sys.stdout.flush()


def log_it(token: str, bot: object) -> None:
    logger = logging.getLogger("leaky")
    logger.info("an argument %s and %r", token, {"token": token, "nested": [Talkative(token)]})
    logger.info("a bot %r", bot)
    logger.warning("does not fit %d", token)
    logger.info("a stack", stack_info=True)
    logger.info("extra", extra={"token": token})
    warnings.warn(f"deprecated {token}", stacklevel=1)
    try:
        try:
            raise KeyError(token)
        except KeyError as error:
            error.add_note(f"a note on {token}")
            raise ValueError(f"caused {token}") from error
    except ValueError:
        logger.exception("chained %s", token)
        traceback.print_exc()


async def every_way(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
    """All that can be survived."""
    token = context.bot.token
    print_it(token)
    log_it(token, context.bot)

    async def fails() -> None:
        raise RuntimeError(f"nobody fetches this: {token}")

    task = asyncio.create_task(fails(), name=f"task {token}")
    await asyncio.sleep(0)
    del task
    thread = threading.Thread(target=lambda: Talkative(token).missing, name=f"thread {token}")
    thread.start()
    thread.join()
    asyncio.get_running_loop().call_soon(lambda: (_ for _ in ()).throw(RuntimeError(f"callback {token}")))
    context.application.create_task(fails(), update, name=f"task {token}")
    await update.effective_message.reply_text("told")
    raise RuntimeError(f"a handler of {context.bot!r} fails with {token}")


async def block(*_) -> None:
    """Blocks the loop while a task and a thread of telling names wait."""
    time.sleep(10**6)  # noqa: ASYNC251


async def crash(*_) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


async def leave(_, context: ContextTypes.DEFAULT_TYPE) -> None:
    sys.exit(f"leaving with {context.bot.token}")


def build(bot):
    token = bot.token
    kept.append(Talkative(token))
    atexit.register(print, "at exit", token)
    bot.logger.info("a context %r", bot)

    async def post_init(application: Application) -> None:
        bot.health.degraded(f"degraded {token}")
        waiting.append(asyncio.create_task(asyncio.Event().wait(), name=f"waiting {token}"))
        for name, handler in HANDLERS.items():
            application.add_handler(CommandHandler(name, handler))

    async def on_stop() -> None:
        raise RuntimeError(f"on_stop {token}")

    async def hook(application: Application) -> None:
        raise RuntimeError(f"hook of {application!r} {token}")

    bot.on_stop(on_stop)
    return Application.builder().post_init(post_init).post_stop(hook).post_shutdown(hook)


HANDLERS = {"all": every_way, "block": block, "crash": crash, "leave": leave}
kept, waiting = [], []


def raises(bot):
    raise ValueError(f"the factory says {bot.token}")


async def coroutine(bot) -> None:
    bot.health.ready()
    raise RuntimeError(f"the coroutine says {bot.token}")
