"""Bots that show in which order, and how many at once, their updates are handled."""

import asyncio

from telegram import Update
from telegram.ext import (
    Application,
    ApplicationBuilder,
    CommandHandler,
    ContextTypes,
    ConversationHandler,
    MessageHandler,
    filters,
)

from bot_runner.context import Context

seen = {"at_once": 0, "most": 0}


async def say(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
    """Later messages of a chat would overtake the first, if they could."""
    seen["at_once"] += 1
    seen["most"] = max(seen.values())
    text = update.effective_message.text
    await asyncio.sleep(0.2 if text == "message 1" else 0.05)
    seen["at_once"] -= 1
    await context.bot.send_message(update.effective_chat.id, f"{text} of at most {seen['most']}")


async def stays(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
    await asyncio.sleep(float(context.args[0]))
    await update.effective_message.reply_text("stayed")


async def vanishes(*_: object) -> None:
    raise GeneratorExit


async def gives_up(*_: object) -> None:
    raise asyncio.CancelledError


def _with(builder, *handlers) -> Application:
    application = builder.build()
    for handler in handlers:
        application.add_handler(handler)
    return application


def _builder(context: Context) -> ApplicationBuilder:
    return ApplicationBuilder().token(context.token).base_url(f"{context.endpoint}/bot")


def build(context: Context) -> Application:
    aside = {"stay": stays, "vanish": vanishes, "giveup": gives_up}
    background = (CommandHandler(name, handler, block=False) for name, handler in aside.items())
    return _with(_builder(context), *background, MessageHandler(filters.TEXT, say))


def own(context: Context) -> Application:
    return _with(_builder(context).concurrent_updates(3), MessageHandler(filters.TEXT, say))


def conversation(context: Context) -> Application:
    """A handler that is added when the app runs already."""

    async def post_init(application: Application) -> None:
        talk = ConversationHandler([CommandHandler("talk", stays)], {}, [])
        application.add_handler(talk, group=1)

    return _with(_builder(context).post_init(post_init), MessageHandler(filters.TEXT, say))
