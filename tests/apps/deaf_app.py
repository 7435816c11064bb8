"""Bots that become deaf, each in its own way."""

import asyncio
import os
import re
import time

import httpx
from telegram import Update
from telegram.ext import (
    Application,
    ApplicationBuilder,
    CommandHandler,
    ContextTypes,
    MessageHandler,
    filters,
)
from telegram.request import HTTPXRequest

from bot_runner import intake, transport
from bot_runner.context import Context
from toolkit import health

leaked = []


async def echo(update: Update, _: ContextTypes.DEFAULT_TYPE) -> None:
    await update.effective_message.reply_text(update.effective_message.text)


async def block(_: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
    time.sleep(float(context.args[0]))  # noqa: ASYNC251  this is the fault


async def backtrack(*_: object) -> None:
    """Take the interpreter's lock for ages."""
    re.match(r"(a+)+$", "a" * 60 + "b")


async def never(_: Update, __: ContextTypes.DEFAULT_TYPE) -> None:
    await asyncio.Event().wait()


async def exhaust(_: Update, __: ContextTypes.DEFAULT_TYPE) -> None:
    """Use up all file descriptors, and never return."""
    leaked.extend(iter(_open_or_none, None))
    await asyncio.Event().wait()


async def hoard(update: Update, _: ContextTypes.DEFAULT_TYPE) -> None:
    """Use up all file descriptors, and go on."""
    leaked.extend(iter(_open_or_none, None))
    await update.effective_message.reply_text("that was all")


def _open_or_none() -> int | None:
    try:
        return os.open(os.devnull, os.O_RDONLY)
    except OSError:
        return None


async def cancel(_: Update, __: ContextTypes.DEFAULT_TYPE) -> None:
    """End the runner's own poller, as an app that cancels all tasks does."""
    for task in asyncio.all_tasks():
        if task.get_name() == "intake":
            task.cancel()


async def hold(_: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
    """Take the only connection for polls at its next chance, and never give it back."""
    client = context.bot._request[0]._client
    url = f"{context.bot.base_url}/getMe"
    request = client.build_request("POST", url, timeout=httpx.Timeout(5.0, pool=None))
    leaked.append(await client.send(request, stream=True))


async def blind(_: Update, __: ContextTypes.DEFAULT_TYPE) -> None:
    """Break what judges the bot."""
    health.judge = None


def _with_handlers(builder: ApplicationBuilder, context: Context) -> Application:
    application = builder.token(context.token).base_url(f"{context.endpoint}/bot").build()
    faults = {
        "backtrack": backtrack,
        "block": block,
        "never": never,
        "cancel": cancel,
        "exhaust": exhaust,
        "hoard": hoard,
        "blind": blind,
        "hold": hold,
    }
    for name, handler in faults.items():
        application.add_handler(CommandHandler(name, handler))
    application.add_handler(MessageHandler(filters.TEXT, echo))
    return application


def build(context: Context) -> Application:
    return _with_handlers(ApplicationBuilder(), context)


class Wedged(HTTPXRequest):
    """Answers the first poll, which is the probe; no later one ever ends, not even when it is cancelled."""

    polls = 0

    async def do_request(self, *args, **kwargs):
        if kwargs["url"].endswith("/getUpdates"):
            self.polls += 1
        while self.polls > 1:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                continue
        return await super().do_request(*args, **kwargs)


class Trickles(HTTPXRequest):
    """An HTTP layer of the app's own: a call to sendMessage never ends, whatever timeouts it was given."""

    async def do_request(self, *args, **kwargs):
        if kwargs["url"].endswith("/sendMessage"):
            await asyncio.Event().wait()
        return await super().do_request(*args, **kwargs)


def trickles(context: Context) -> Application:
    transport._MARGIN_S = -14.0  # 2 s are left of 21
    return _with_handlers(ApplicationBuilder().request(Trickles()), context)


def _wedged() -> ApplicationBuilder:
    intake.POLL_DEADLINE_S = 1.0  # what a test can wait for
    return ApplicationBuilder().get_updates_request(Wedged())


def wedged(context: Context) -> Application:
    return _with_handlers(_wedged(), context)


async def _talk(application: Application) -> None:
    async def on_and_on() -> None:
        while True:
            await application.bot.get_me()
            await application.bot.send_message(1, "all is well")
            await asyncio.sleep(0.05)

    leaked.append(asyncio.create_task(on_and_on()))


def wedged_and_talking(context: Context) -> Application:
    """Its other calls are answered all the time."""
    return _with_handlers(_wedged().post_init(_talk), context)


def occupied(context: Context) -> Application:
    polls = HTTPXRequest(connection_pool_size=1, pool_timeout=0.05)
    return _with_handlers(ApplicationBuilder().get_updates_request(polls), context)


class Swallows(asyncio.Queue):
    """Takes updates and gives none."""

    async def get(self) -> None:
        await asyncio.Event().wait()


def swallows(context: Context) -> Application:
    return _with_handlers(ApplicationBuilder().update_queue(Swallows()), context)


async def _never_started(_: Application) -> None:
    await asyncio.Event().wait()


def unstarted(context: Context) -> Application:
    return _with_handlers(ApplicationBuilder().post_init(_never_started), context)


def unbuilt(_: Context) -> Application:
    time.sleep(3600)
    raise AssertionError
