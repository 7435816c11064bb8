"""Methods that send what is no file: text, places, polls, dice; and that copy and forward."""

import random
import time
from typing import Any

from toolkit.sandbox.args import Args
from toolkit.sandbox.bot import Bot
from toolkit.sandbox.chats import Message
from toolkit.sandbox.methods import compose
from toolkit.sandbox.methods.registry import method
from toolkit.sandbox.replies import bad_request

_HEADS = ("message_id", "date", "chat", "from", "sender_chat", "reply_to_message", "reply_markup")
_DICE = {"🎲": 6, "🎯": 6, "🎳": 6, "🏀": 5, "⚽": 5, "🎰": 64}
_INVOICE = ("title", "description", "payload", "currency")
MAX_AT_ONCE = 100


@method("sendMessage")
def send_message(bot: Bot, args: Args) -> Message:
    """https://core.telegram.org/bots/api#sendmessage."""
    return compose.send(bot, args, "sendMessage", compose.text_fields(args))


@method("sendLocation")
def send_location(bot: Bot, args: Args) -> Message:
    """https://core.telegram.org/bots/api#sendlocation."""
    return compose.send(bot, args, "sendLocation", {"location": location(args)})


@method("sendVenue")
def send_venue(bot: Bot, args: Args) -> Message:
    """https://core.telegram.org/bots/api#sendvenue."""
    venue = {"location": location(args), "title": args.text("title"), "address": args.text("address")}
    return compose.send(bot, args, "sendVenue", {"venue": venue, "location": venue["location"]})


@method("sendContact")
def send_contact(bot: Bot, args: Args) -> Message:
    """https://core.telegram.org/bots/api#sendcontact."""
    contact = {"phone_number": args.text("phone_number"), "first_name": args.text("first_name")}
    if not all(contact.values()):
        raise bad_request("phone number and first name must be non-empty")
    return compose.send(bot, args, "sendContact", {"contact": contact})


@method("sendDice")
def send_dice(bot: Bot, args: Args) -> Message:
    """https://core.telegram.org/bots/api#senddice."""
    emoji = args.text("emoji") or "🎲"
    if emoji not in _DICE:
        raise bad_request("wrong emoji specified")
    dice = {"emoji": emoji, "value": random.randint(1, _DICE[emoji])}  # noqa: S311 no secret
    return compose.send(bot, args, "sendDice", {"dice": dice})


@method("sendPoll")
def send_poll(bot: Bot, args: Args) -> Message:
    """https://core.telegram.org/bots/api#sendpoll."""
    options = args.json("options", list, "options") or []
    texts = [each.get("text", "") if isinstance(each, dict) else str(each) for each in options]
    if not args.text("question"):
        raise bad_request("poll question must be non-empty")
    if not texts:
        raise bad_request("poll must have at least 1 option")
    poll: dict[str, Any] = {
        "id": f"{bot.id}{bot.messages.last_id + 1:010}",
        "question": args.text("question"),
        "options": [{"persistent_id": str(n), "text": t, "voter_count": 0} for n, t in enumerate(texts)],
        "total_voter_count": 0,
        "is_closed": args.flag("is_closed"),
        "is_anonymous": args.text("is_anonymous").lower() != "false",
        "type": args.text("type") or "regular",
        "allows_multiple_answers": args.flag("allows_multiple_answers"),
        "allows_revoting": args.flag("allows_revoting"),
        "members_only": args.flag("members_only"),
    }
    if poll["type"] == "quiz":
        older = [args.integer("correct_option_id")]
        poll["correct_option_ids"] = args.json("correct_option_ids", list, "correct options") or older
    return compose.send(bot, args, "sendPoll", {"poll": poll})


@method("sendGame")
def send_game(bot: Bot, args: Args) -> Message:
    """https://core.telegram.org/bots/api#sendgame."""
    name = args.text("game_short_name")
    if not name:
        raise bad_request('parameter "game_short_name" is required')
    return compose.send(bot, args, "sendGame", {"game": {"title": name, "description": name, "photo": []}})


@method("sendInvoice")
def send_invoice(bot: Bot, args: Args) -> Message:
    """https://core.telegram.org/bots/api#sendinvoice."""
    prices = args.objects("prices", "prices")
    if not prices or not all(args.text(name) for name in _INVOICE):
        raise bad_request("title, description, payload, currency and prices must be non-empty")
    invoice = {
        "title": args.text("title"),
        "description": args.text("description"),
        "start_parameter": args.text("start_parameter"),
        "currency": args.text("currency"),
        "total_amount": sum(Args(price).integer("amount") for price in prices),
    }
    return compose.send(bot, args, "sendInvoice", {"invoice": invoice})


@method("forwardMessage")
def forward_message(bot: Bot, args: Args) -> Message:
    """https://core.telegram.org/bots/api#forwardmessage."""
    return _forward(bot, args, args.integer("message_id"))


@method("copyMessage")
def copy_message(bot: Bot, args: Args) -> Message:
    """https://core.telegram.org/bots/api#copymessage."""
    return _copy(bot, args, args.integer("message_id"))


@method("forwardMessages")
def forward_messages(bot: Bot, args: Args) -> list[Message]:
    """https://core.telegram.org/bots/api#forwardmessages."""
    return [{"message_id": _forward(bot, args, each)["message_id"]} for each in message_ids(args)]


@method("copyMessages")
def copy_messages(bot: Bot, args: Args) -> list[Message]:
    """https://core.telegram.org/bots/api#copymessages."""
    return [_copy(bot, args, each) for each in message_ids(args)]


def message_ids(args: Args) -> list[int]:
    """The ``message_ids`` of a call.

    Raises:
        ApiError: 400, there are none or too many.
    """
    found = args.json("message_ids", list, "message identifiers") or []
    if not found:
        raise bad_request("message identifiers are not specified")
    if len(found) > MAX_AT_ONCE:
        raise bad_request("too many message identifiers specified")
    return [Args({"id": each}).integer("id") for each in found]


def location(args: Args) -> dict[str, Any]:
    """The place that a call names.

    Raises:
        ApiError: 400, it is none.
    """
    if not args.text("latitude") or not args.text("longitude"):
        raise bad_request("latitude and longitude must be non-empty")
    place: dict[str, Any] = {"latitude": args.number("latitude"), "longitude": args.number("longitude")}
    if abs(place["latitude"]) > 90 or abs(place["longitude"]) > 180:  # noqa: PLR2004 degrees
        raise bad_request("wrong latitude or longitude specified")
    if args.integer("live_period"):
        place["live_period"] = args.integer("live_period")
    return place


def _original(bot: Bot, args: Args, message_id: int, verb: str) -> Message:
    chat = bot.chats.resolve(args.text("from_chat_id"))
    found = bot.messages.get(chat["id"], message_id)
    if found is None:
        raise bad_request(f"message to {verb} not found")
    return found


def _body(message: Message) -> Message:
    return {key: value for key, value in message.items() if key not in _HEADS}


def _forward(bot: Bot, args: Args, message_id: int) -> Message:
    original = _original(bot, args, message_id, "forward")
    origin: dict[str, Any] = {"type": "user", "date": original["date"], "sender_user": original.get("from")}
    if "from" not in original:
        origin = {
            "type": "channel",
            "date": original["date"],
            "chat": original["chat"],
            "message_id": original["message_id"],
        }
    return compose.send(bot, args, "forwardMessage", {**_body(original), "forward_origin": origin})


def _copy(bot: Bot, args: Args, message_id: int) -> Message:
    body = _body(_original(bot, args, message_id, "copy"))
    body.pop("forward_origin", None)
    if "caption" in args.values:
        body.pop("caption", None)
        body.pop("caption_entities", None)
        body |= compose.caption_fields(args)
    return {"message_id": compose.send(bot, args, "copyMessage", body)["message_id"]}


@method("stopPoll")
def stop_poll(bot: Bot, args: Args) -> Message:
    """https://core.telegram.org/bots/api#stoppoll."""
    chat = bot.chats.resolve(args.text("chat_id"))
    found = bot.messages.get(chat["id"], args.integer("message_id"))
    if found is None or "poll" not in found:
        raise bad_request("message with poll to stop not found")
    if found["poll"]["is_closed"]:
        raise bad_request("poll has already been closed")
    found["poll"] = {**found["poll"], "is_closed": True}
    found["edit_date"] = int(time.time())
    poll: Message = found["poll"]
    return poll
