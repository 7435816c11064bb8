"""The example bots of python-telegram-bot's documentation, each as a factory.

https://docs.python-telegram-bot.org/en/stable/examples.html: what is `main()` there makes the application
here, and the runner does what `run_polling()` would.
"""

import html
import traceback

from telegram import (
    ForceReply,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    ReplyKeyboardMarkup,
    ReplyKeyboardRemove,
    Update,
)
from telegram.constants import ParseMode
from telegram.ext import (
    Application,
    CallbackQueryHandler,
    CommandHandler,
    ContextTypes,
    ConversationHandler,
    MessageHandler,
    PicklePersistence,
    filters,
)

TEXT = filters.TEXT & ~filters.COMMAND
Default = ContextTypes.DEFAULT_TYPE


def builder(bot):
    return Application.builder().token(bot.token).base_url(f"{bot.endpoint}/bot")


# echobot


async def start(update: Update, _: Default) -> None:
    user = update.effective_user
    await update.message.reply_html(f"Hi {user.mention_html()}!", reply_markup=ForceReply(selective=True))


async def help_command(update: Update, _: Default) -> None:
    await update.message.reply_text("Help!")


async def echo(update: Update, _: Default) -> None:
    await update.message.reply_text(update.message.text)


def echobot(bot):
    application = builder(bot).build()
    application.add_handler(CommandHandler("start", start))
    application.add_handler(CommandHandler("help", help_command))
    application.add_handler(MessageHandler(TEXT, echo))
    return application


# timerbot


async def alarm(context: Default) -> None:
    await context.bot.send_message(context.job.chat_id, text=f"Beep! {context.job.data:g} seconds are over!")


def remove_job_if_exists(name: str, context: Default) -> bool:
    jobs = context.job_queue.get_jobs_by_name(name)
    for job in jobs:
        job.schedule_removal()
    return bool(jobs)


async def set_timer(update: Update, context: Default) -> None:
    chat_id = update.effective_message.chat_id
    try:
        due = float(context.args[0])
    except (IndexError, ValueError):
        await update.effective_message.reply_text("Usage: /set <seconds>")
        return
    removed = remove_job_if_exists(str(chat_id), context)
    context.job_queue.run_once(alarm, due, chat_id=chat_id, name=str(chat_id), data=due)
    await update.effective_message.reply_text(
        "Timer successfully set!" + (" Old one was removed." if removed else "")
    )


async def unset(update: Update, context: Default) -> None:
    removed = remove_job_if_exists(str(update.message.chat_id), context)
    text = "Timer successfully cancelled!" if removed else "You have no active timer."
    await update.message.reply_text(text)


def timerbot(bot):
    application = builder(bot).build()
    application.add_handler(CommandHandler("set", set_timer))
    application.add_handler(CommandHandler("unset", unset))
    return application


# conversationbot

GENDER, PHOTO, BIO = range(3)


async def ask_gender(update: Update, _: Default) -> int:
    keyboard = ReplyKeyboardMarkup([["Boy", "Girl", "Other"]], one_time_keyboard=True)
    await update.message.reply_text("Are you a boy or a girl?", reply_markup=keyboard)
    return GENDER


async def gender(update: Update, _: Default) -> int:
    await update.message.reply_text(
        "I see! Please send me a photo, or /skip.", reply_markup=ReplyKeyboardRemove()
    )
    return PHOTO


async def photo(update: Update, context: Default) -> int:
    context.user_data["photo"] = update.message.photo[-1].file_id
    await update.message.reply_text("Gorgeous! Now tell me something about yourself.")
    return BIO


async def skip_photo(update: Update, _: Default) -> int:
    await update.message.reply_text("I bet you look great! Now tell me something about yourself.")
    return BIO


async def bio(update: Update, _: Default) -> int:
    await update.message.reply_text("Thank you! I hope we can talk again some day.")
    return ConversationHandler.END


async def cancel(update: Update, _: Default) -> int:
    await update.message.reply_text("Bye! I hope we can talk again some day.")
    return ConversationHandler.END


def conversationbot(bot):
    application = builder(bot).build()
    application.add_handler(
        ConversationHandler(
            entry_points=[CommandHandler("start", ask_gender)],
            states={
                GENDER: [MessageHandler(filters.Regex("^(Boy|Girl|Other)$"), gender)],
                PHOTO: [MessageHandler(filters.PHOTO, photo), CommandHandler("skip", skip_photo)],
                BIO: [MessageHandler(TEXT, bio)],
            },
            fallbacks=[CommandHandler("cancel", cancel)],
        )
    )
    return application


# inlinekeyboard


async def choices(update: Update, _: Default) -> None:
    first = [InlineKeyboardButton(f"Option {number}", callback_data=str(number)) for number in (1, 2)]
    keyboard = InlineKeyboardMarkup([first, [InlineKeyboardButton("Option 3", callback_data="3")]])
    await update.message.reply_text("Please choose:", reply_markup=keyboard)


async def button(update: Update, _: Default) -> None:
    await update.callback_query.answer()
    await update.callback_query.edit_message_text(text=f"Selected option: {update.callback_query.data}")


def inlinekeyboard(bot):
    application = builder(bot).build()
    application.add_handler(CommandHandler("start", choices))
    application.add_handler(CallbackQueryHandler(button))
    return application


# persistentconversationbot

CHOOSING, REPLYING = range(2)


async def ask_category(update: Update, context: Default) -> int:
    known = f"You already told me your {', '.join(context.user_data)}." if context.user_data else ""
    await update.message.reply_text(f"Hi! {known} Tell me something.")
    return CHOOSING


async def category(update: Update, context: Default) -> int:
    context.user_data["choice"] = update.message.text.lower()
    await update.message.reply_text(f"Your {context.user_data['choice']}? Yes, I would love to hear!")
    return REPLYING


async def received(update: Update, context: Default) -> int:
    context.user_data[context.user_data.pop("choice")] = update.message.text
    await update.message.reply_text("Neat!")
    return CHOOSING


async def show_data(update: Update, context: Default) -> None:
    facts = ", ".join(f"{key} - {value}" for key, value in context.user_data.items())
    await update.message.reply_text(f"This is what you already told me: {facts}")


def persistentconversationbot(bot):
    application = builder(bot).persistence(PicklePersistence(bot.state / "conversation")).build()
    application.add_handler(
        ConversationHandler(
            entry_points=[CommandHandler("start", ask_category)],
            states={CHOOSING: [MessageHandler(TEXT, category)], REPLYING: [MessageHandler(TEXT, received)]},
            fallbacks=[CommandHandler("cancel", cancel)],
            name="my_conversation",
            persistent=True,
        )
    )
    application.add_handler(CommandHandler("show_data", show_data))
    return application


# errorhandlerbot


async def error_handler(update: object, context: Default) -> None:
    lines = traceback.format_exception(None, context.error, context.error.__traceback__)
    message = f"An exception was raised\n<pre>{html.escape(''.join(lines)[-500:])}</pre>"
    await context.bot.send_message(update.effective_chat.id, text=message, parse_mode=ParseMode.HTML)


async def bad_command(_: Update, context: Default) -> None:
    await context.bot.wrong_method_name()


def errorhandlerbot(bot):
    application = builder(bot).build()
    application.add_handler(CommandHandler("bad_command", bad_command))
    application.add_error_handler(error_handler)
    return application


# jobs that repeat, from the wiki's page on the job queue


async def tick(context: Default) -> None:
    context.job.data["ticks"] += 1
    await context.bot.send_message(context.job.chat_id, text=f"tick {context.job.data['ticks']}")


async def begin(update: Update, context: Default) -> None:
    chat_id = update.effective_chat.id
    context.job_queue.run_repeating(tick, interval=0.2, first=0, chat_id=chat_id, data={"ticks": 0})
    await update.message.reply_text("ticking")


def jobqueue(bot):
    application = builder(bot).build()
    application.add_handler(CommandHandler("begin", begin))
    return application
