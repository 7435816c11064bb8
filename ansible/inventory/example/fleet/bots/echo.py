"""Answers every message with its own text, after the greeting that fleet.yaml gives it."""

from telegram import Update
from telegram.ext import Application, ContextTypes, MessageHandler, filters


def build(context):
    """Make the bot. `context` has name, type, config, token, logger, state, on_stop and health."""

    async def echo(update: Update, _: ContextTypes.DEFAULT_TYPE) -> None:
        context.logger.info("a message of %d letters", len(update.message.text))
        await update.message.reply_text(f"{context.config['greeting']}, you said: {update.message.text}")

    async def add_handlers(application: Application) -> None:
        application.add_handler(MessageHandler(filters.TEXT, echo))

    # Without a token: the runner adds it, and a small, shared connection pool.
    return Application.builder().post_init(add_handlers)
