"""Methods that answer queries."""

from typing import Any

from toolkit.sandbox.args import Args
from toolkit.sandbox.bot import Bot
from toolkit.sandbox.methods.registry import METHODS, method
from toolkit.sandbox.replies import bad_request

_TOO_OLD = "query is too old and response timeout expired or query ID is invalid"
MAX_RESULTS = 50


def _answer(bot: Bot, args: Args, name: str, parameter: str, text: str) -> bool:
    query_id = args.text(parameter)
    if not query_id.isascii() or not query_id.isdecimal():
        raise bad_request(_TOO_OLD)
    bot.show_query(name, query_id, text)
    return True


@method("answerCallbackQuery")
def answer_callback_query(bot: Bot, args: Args) -> bool:
    """https://core.telegram.org/bots/api#answercallbackquery."""
    if len(args.text("text")) > 200:  # noqa: PLR2004 Telegram's limit
        raise bad_request("MESSAGE_TOO_LONG")
    return _answer(bot, args, "answerCallbackQuery", "callback_query_id", args.text("text"))


@method("answerInlineQuery")
def answer_inline_query(bot: Bot, args: Args) -> bool:
    """https://core.telegram.org/bots/api#answerinlinequery."""
    results = args.objects("results", "inline query results")
    if len(results) > MAX_RESULTS:
        raise bad_request("RESULTS_TOO_MUCH")
    if not all(each.get("type") and each.get("id") for each in results):
        raise bad_request("can't parse inline query result: type and id must be non-empty")
    titles = "\n".join(str(each.get("title", each["id"])) for each in results)
    return _answer(bot, args, "answerInlineQuery", "inline_query_id", titles)


def _payment(name: str, parameter: str) -> None:
    def answer(bot: Bot, args: Args) -> bool:
        return _answer(bot, args, name, parameter, args.text("error_message"))

    METHODS[name.lower()] = (name, answer)


_payment("answerShippingQuery", "shipping_query_id")
_payment("answerPreCheckoutQuery", "pre_checkout_query_id")


@method("answerWebAppQuery", "answerGuestQuery")
def answer_web_app_query(bot: Bot, args: Args) -> dict[str, Any]:
    """https://core.telegram.org/bots/api#answerwebappquery."""
    args.json("result", dict, "inline query result")
    return {"inline_message_id": f"inline{bot.messages.new_id()}"}


@method("savePreparedInlineMessage", "savePreparedKeyboardButton")
def save_prepared(bot: Bot, _: Args) -> dict[str, Any]:
    """https://core.telegram.org/bots/api#savepreparedinlinemessage."""
    return {"id": f"prepared{bot.messages.new_id()}", "expiration_date": 2**31 - 1}
