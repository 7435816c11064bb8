"""A bot whose handlers do what handlers do wrong, each by a command.

A fault strikes once for each update: when the update comes again, after the process ended by it, the bot
answers "again: …". With `always` as the command's last word it strikes each time, as a poisonous update does.
Every update that a handler began and ended is kept in the file `handled` in the bot's state folder.
"""

import asyncio
import os
import signal
import sys
import time

from telegram import Update
from telegram.ext import Application, CommandHandler, ContextTypes, MessageHandler, filters

FOREVER_S = 10**6
leaked = []


async def block(*_):
    """Keeps the event loop from turning."""
    time.sleep(FOREVER_S)  # noqa: ASYNC251


async def hang(*_):
    """Never returns."""
    await asyncio.sleep(FOREVER_S)


async def cling(*_):
    """Never returns, also when it is cancelled."""
    while True:
        try:
            await asyncio.sleep(FOREVER_S)
        except asyncio.CancelledError:
            continue


async def fail(_, context):
    raise ValueError(f"a handler of {context.bot!r} failed")


async def vanish(*_):
    """Ends by what is neither an error nor the end of a process."""
    raise GeneratorExit


async def give_up(*_):
    """Ends by a cancellation that nobody asked for."""
    raise asyncio.CancelledError


async def starve(*_):
    """Cancels the task from which the application gets its updates."""
    for task in asyncio.all_tasks():
        if task.get_name().endswith(":update_fetcher"):
            task.cancel()


async def stop_polling(*_):
    """Cancels the task that polls."""
    for task in asyncio.all_tasks():
        if task.get_name() == "intake":
            task.cancel()


async def leak(*_):
    """Keeps 32 MB and 32 files for good."""
    leaked.append(bytearray(os.urandom(1)) * 32_000_000)
    leaked.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(32))


async def leave(*_):
    """Ends the process the polite way."""
    sys.exit(3)


async def drop_dead(*_):
    """Ends the process with no clean-up at all."""
    os._exit(3)


async def crash(*_):
    """Ends the process as a fault in a C library does."""
    os.kill(os.getpid(), signal.SIGSEGV)


async def quit_running(_, context):
    context.application.stop_running()


async def stop_application(_, context):
    await context.application.stop()


async def shut_down(_, context):
    await context.bot.shutdown()


FAULTS = {
    "block": block,
    "hang": hang,
    "cling": cling,
    "fail": fail,
    "vanish": vanish,
    "giveup": give_up,
    "starve": starve,
    "unpoll": stop_polling,
    "leak": leak,
    "leave": leave,
    "drop": drop_dead,
    "crash": crash,
    "quit": quit_running,
    "stop": stop_application,
    "shutdown": shut_down,
}


def build(bot):
    """Make the bot; `concurrency: 1` in its type has one update handled at a time."""
    handled = bot.state / "handled"

    def keep(what: str, update: Update) -> None:
        with open(handled, "a", encoding="ascii") as file:
            file.write(f"{what} {update.update_id}\n")

    def guarded(fault):
        async def handler(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
            struck = bot.attempt(update) == 1 or "always" in context.args
            keep("began", update)
            try:
                if struck:
                    await fault(update, context)
                again = "" if struck else "again: "
                await update.effective_message.reply_text(again + update.effective_message.text)
            finally:
                keep("ended", update)

        return handler

    async def echo(update: Update, _: ContextTypes.DEFAULT_TYPE) -> None:
        keep("began", update)
        try:
            await update.effective_message.reply_text(update.effective_message.text)
        finally:
            keep("ended", update)

    async def add_handlers(application: Application) -> None:
        for name, fault in FAULTS.items():
            application.add_handler(CommandHandler(name, guarded(fault)))
        application.add_handler(MessageHandler(filters.TEXT, echo))

    return Application.builder().post_init(add_handlers)
