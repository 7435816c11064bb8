"""Counts the messages of each chat."""

from collections import Counter

from telegram import Update
from telegram.ext import Application, ContextTypes, MessageHandler, filters


def build(context):
    """Make the bot; see echo.py for what `context` has."""
    counts: Counter[int] = Counter()

    async def count(update: Update, _: ContextTypes.DEFAULT_TYPE) -> None:
        counts[update.effective_chat.id] += context.config["step"]
        await update.message.reply_text(
            f"{context.config['greeting']}, that was message {counts[update.effective_chat.id]}"
        )

    async def add_handlers(application: Application) -> None:
        application.add_handler(MessageHandler(filters.TEXT, count))

    return Application.builder().post_init(add_handlers)
