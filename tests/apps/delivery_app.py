"""A bot that tells which time it handles an update, and what may happen to it in its handler."""

import asyncio
import os
from typing import Any

from telegram import Update
from telegram.ext import (
    Application,
    ApplicationBuilder,
    CommandHandler,
    ContextTypes,
    ExtBot,
    MessageHandler,
    filters,
)
from telegram.request import HTTPXRequest

from bot_runner.context import Context
from toolkit.spool import Spool

DIE_WITH = 9


class Bot:
    """The handlers of one bot."""

    def __init__(self, context: Context) -> None:
        self.context = context

    async def echo(self, update: Update, _: ContextTypes.DEFAULT_TYPE) -> None:
        attempt = self.context.attempt(update)
        await update.effective_message.reply_text(f"{update.effective_message.text}, time {attempt}")

    async def slow(self, update: Update, _: ContextTypes.DEFAULT_TYPE) -> None:
        """Say so, wait for a file of that name in the bot's state folder, and say so."""
        _, name = update.effective_message.text.split()
        await update.effective_message.reply_text(f"begun {name}, time {self.context.attempt(update)}")
        while not (self.context.state / name).exists():  # noqa: ASYNC110  another process makes it
            await asyncio.sleep(0.02)
        await update.effective_message.reply_text(f"done {name}")

    async def die(self, update: Update, _: ContextTypes.DEFAULT_TYPE) -> None:
        await update.effective_message.reply_text(f"dying, time {self.context.attempt(update)}")
        os._exit(DIE_WITH)


def _application(context: Context, builder: ApplicationBuilder) -> Application:
    bot = Bot(context)
    application = builder.token(context.token).base_url(f"{context.endpoint}/bot").build()
    application.add_handler(CommandHandler("die", bot.die))
    application.add_handler(CommandHandler("slow", bot.slow))
    application.add_handler(CommandHandler("aside", bot.slow, block=False))
    application.add_handler(MessageHandler(filters.TEXT, bot.echo))
    return application


def build(context: Context) -> Application:
    return _application(context, ApplicationBuilder())


def one_by_one(context: Context) -> Application:
    """As python-telegram-bot does by default, with a request and a small queue of the app's own."""
    builder = ApplicationBuilder().get_updates_request(HTTPXRequest(1)).update_queue(asyncio.Queue(2))
    return _application(context, builder)


def tells_syncs_and_polls(context: Context) -> Application:
    """Logs each poll's timeout and offset, and each sync with the newest update that it has made durable."""
    commit, get_updates = Spool.commit, ExtBot.get_updates

    def told_commit(spool: Spool) -> None:
        mark = spool.mark
        commit(spool)
        context.logger.info("durable up to %s", mark)

    async def told_get_updates(bot: ExtBot, **arguments: Any) -> tuple[Update, ...]:
        context.logger.info("asks for %s s from %s", arguments["timeout"], arguments.get("offset"))
        return await get_updates(bot, **arguments)

    Spool.commit, ExtBot.get_updates = told_commit, told_get_updates
    return build(context)
