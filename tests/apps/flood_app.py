"""A bot that keeps a line for each update that its handler began (`+ID`) and ended (`-ID`)."""

import asyncio
import os

from telegram import Update
from telegram.ext import Application, ContextTypes, MessageHandler, filters


def build(bot):
    """With `answers` in its config it answers; else it holds each message until a file `gate` is there."""
    kept = os.open(bot.state / "kept", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    gate = bot.state / "gate"

    async def take(update: Update, _: ContextTypes.DEFAULT_TYPE) -> None:
        os.write(kept, b"+%d\n" % update.update_id)
        if bot.config.get("answers"):
            await update.effective_message.reply_text(update.effective_message.text)
        else:
            while not gate.exists():  # noqa: ASYNC110  another process makes it
                await asyncio.sleep(0.1)
        os.write(kept, b"-%d\n" % update.update_id)

    async def add_handlers(application: Application) -> None:
        application.add_handler(MessageHandler(filters.TEXT, take))

    return Application.builder().post_init(add_handlers)
