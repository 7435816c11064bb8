"""An echo bot, and what goes wrong with handlers: each fault by a command."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

from telegram import Update
from telegram.ext import ApplicationBuilder, CommandHandler, ContextTypes, MessageHandler, filters

from bot_runner.context import Context

HIDES = """
import os, time
if os.fork(): os._exit(0)
os.setsid()
print(os.getpid(), flush=True)
time.sleep(300)
"""


async def echo(update: Update, _: ContextTypes.DEFAULT_TYPE) -> None:
    await update.effective_message.reply_text(update.effective_message.text)


async def slow(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
    await asyncio.sleep(float(context.args[0]))
    await update.effective_message.reply_text(f"slept {context.args[0]}")


async def block(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
    await update.effective_message.reply_text("blocking")
    time.sleep(float(context.args[0]))  # noqa: ASYNC251  this is the fault


async def fail(_: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
    raise ValueError(f"failed for {context.bot.token}")


async def leave(_: Update, __: ContextTypes.DEFAULT_TYPE) -> None:
    sys.exit(3)


async def die(_: Update, __: ContextTypes.DEFAULT_TYPE) -> None:
    os._exit(3)


async def halt(_: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
    context.application.stop_running()


async def cancel(_: Update, __: ContextTypes.DEFAULT_TYPE) -> None:
    for task in asyncio.all_tasks():
        task.cancel()


async def shout(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
    sys.stdout.write(f"printed {context.bot.token}\n")
    sys.stderr.write(f"to stderr {context.bot.token}\n")
    os.write(1, b"raw bytes\n")
    await update.effective_message.reply_text("printed")


async def spawn(update: Update, _: ContextTypes.DEFAULT_TYPE) -> None:
    """Start a process in a session of its own, whose parent ends at once."""
    child = subprocess.Popen([sys.executable, "-c", HIDES], stdout=subprocess.PIPE)  # noqa: ASYNC220  short
    pid = child.stdout.readline().decode().strip()
    child.wait()
    await update.effective_message.reply_text(pid)


async def stubborn(update: Update, _: ContextTypes.DEFAULT_TYPE) -> None:
    """Start a process that does not heed SIGTERM."""
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(300)"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)  # noqa: ASYNC220  short
    child.stdout.readline()
    await update.effective_message.reply_text(str(child.pid))


COMMANDS = {
    "stubborn": stubborn,
    "slow": slow,
    "block": block,
    "fail": fail,
    "leave": leave,
    "die": die,
    "halt": halt,
    "cancel": cancel,
    "shout": shout,
    "spawn": spawn,
}


class Builder(ApplicationBuilder):
    """A factory may return its builder: the handlers are added when the runner builds."""

    def build(self):
        application = super().build()
        for name, handler in COMMANDS.items():
            application.add_handler(CommandHandler(name, handler))
        application.add_handler(MessageHandler(filters.TEXT, echo))
        return application


def build(context: Context) -> ApplicationBuilder:
    log = context.logger

    async def post_init(_) -> None:
        log.info("post_init says %s", context.config.get("greeting"))

    async def post_stop(_) -> None:
        log.info("post_stop")

    async def post_shutdown(_) -> None:
        log.info("post_shutdown")

    context.on_stop(lambda: log.info("on_stop"))
    log.info("context is %r, its token is %s", context, context.token)
    return Builder().post_init(post_init).post_stop(post_stop).post_shutdown(post_shutdown)


def eager(context: Context) -> ApplicationBuilder:
    """Says that it is ready, which is not for it to say."""

    async def ready(_) -> None:
        context.health.ready()

    return Builder().post_init(ready)


def slow_to_end(context: Context) -> ApplicationBuilder:
    """Its callback and its first hook hang until they are cancelled."""
    builder = build(context)

    async def hang(_=None) -> None:
        await asyncio.sleep(300)

    context.on_stop(hang)
    return builder.post_stop(hang)


def exits_at_its_end(context: Context) -> ApplicationBuilder:
    """Its callback and its first hook call ``sys.exit``, as those of a script of its own would."""

    async def leave(_=None) -> None:
        sys.exit(5)

    builder = build(context).post_stop(leave)
    context.on_stop(leave)
    return builder


def hangs_at_its_end(context: Context) -> ApplicationBuilder:
    async def hang(_=None) -> None:
        while True:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(300)

    context.on_stop(hang)
    return Builder().post_stop(hang).post_shutdown(hang)


def built(context: Context):
    """A built application, with an updater of its own that nobody starts."""
    return build(context).token(context.token).base_url(f"{context.endpoint}/bot").build()


def picky(context: Context) -> ApplicationBuilder:
    context.allowed_updates = ["callback_query"]
    return build(context)


class SpeechlessError(Exception):
    def __str__(self) -> str:
        raise LookupError("no words")


def raises_without_words(_: Context):
    raise SpeechlessError


def shuts_down(_: Context) -> ApplicationBuilder:
    async def shut_down(application) -> None:
        await application.bot.shutdown()

    return ApplicationBuilder().post_init(shut_down)


def greets_first(_: Context) -> ApplicationBuilder:
    async def greet(application) -> None:
        await application.bot.send_message(1, "here I am")

    return ApplicationBuilder().post_init(greet)


def handles_signals(context: Context) -> ApplicationBuilder:
    """What a script does that ends by itself."""
    signal.signal(signal.SIGTERM, lambda *_: context.logger.info("heard"))
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, lambda: context.logger.info("heard too"))
    return build(context)


def elsewhere(context: Context):
    """A built application that calls the server which python-telegram-bot calls by default."""
    return build(context).token(context.token).build()


def foreign(_: Context):
    return ApplicationBuilder().token("999999999:" + "x" * 35).build()


def takes_nothing():
    return ApplicationBuilder()


def runs_itself(context: Context):
    built(context).run_polling()


def nothing(_: Context):
    return "no application"


def raises(context: Context):
    raise ValueError(f"no such thing, says {context.token}")
