"""Methods that change, mark or remove messages."""

import time
from typing import Any

from toolkit.sandbox.args import Args
from toolkit.sandbox.bot import Bot
from toolkit.sandbox.chats import Message
from toolkit.sandbox.methods import compose
from toolkit.sandbox.methods.media import input_media
from toolkit.sandbox.methods.message import location, message_ids
from toolkit.sandbox.methods.registry import method
from toolkit.sandbox.replies import bad_request

_MEDIA = ("photo", "document", "audio", "voice", "video", "animation", "caption", "caption_entities")
_NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same as a "
    "current content and reply markup of the message"
)


@method("editMessageText")
def edit_message_text(bot: Bot, args: Args) -> Message | bool:
    """https://core.telegram.org/bots/api#editmessagetext."""
    return _edit(bot, args, "editMessageText", ("text", "entities"), compose.text_fields(args))


@method("editMessageCaption")
def edit_message_caption(bot: Bot, args: Args) -> Message | bool:
    """https://core.telegram.org/bots/api#editmessagecaption."""
    fields = compose.caption_fields(args)
    return _edit(bot, args, "editMessageCaption", ("caption", "caption_entities"), fields)


@method("editMessageMedia")
def edit_message_media(bot: Bot, args: Args) -> Message | bool:
    """https://core.telegram.org/bots/api#editmessagemedia."""
    media = args.json("media", dict, "media") or {}
    return _edit(bot, args, "editMessageMedia", _MEDIA, input_media(bot, args, media))


@method("editMessageReplyMarkup")
def edit_message_reply_markup(bot: Bot, args: Args) -> Message | bool:
    """https://core.telegram.org/bots/api#editmessagereplymarkup."""
    return _edit(bot, args, "editMessageReplyMarkup", (), {})


@method("editMessageLiveLocation")
def edit_message_live_location(bot: Bot, args: Args) -> Message | bool:
    """https://core.telegram.org/bots/api#editmessagelivelocation."""
    return _edit(bot, args, "editMessageLiveLocation", ("location",), {"location": location(args)})


@method("stopMessageLiveLocation")
def stop_message_live_location(bot: Bot, args: Args) -> Message | bool:
    """https://core.telegram.org/bots/api#stopmessagelivelocation."""
    found = _wanted(bot, args)
    if found is None:
        return True
    place = {key: value for key, value in found.get("location", {}).items() if key != "live_period"}
    return _edit(bot, args, "stopMessageLiveLocation", ("location",), {"location": place})


@method("setGameScore")
def set_game_score(bot: Bot, args: Args) -> Message | bool:
    """https://core.telegram.org/bots/api#setgamescore."""
    found = _wanted(bot, args)
    return True if found is None else found


@method("deleteMessage")
def delete_message(bot: Bot, args: Args) -> bool:
    """https://core.telegram.org/bots/api#deletemessage."""
    chat = bot.chats.resolve(args.text("chat_id"))
    if not bot.messages.delete(chat["id"], args.integer("message_id")):
        raise bad_request("message to delete not found")
    return True


@method("deleteMessages")
def delete_messages(bot: Bot, args: Args) -> bool:
    """https://core.telegram.org/bots/api#deletemessages: what is not found is skipped."""
    chat = bot.chats.resolve(args.text("chat_id"))
    for each in message_ids(args):
        bot.messages.delete(chat["id"], each)
    return True


@method("pinChatMessage", "setMessageReaction")
def mark_message(bot: Bot, args: Args) -> bool:
    """https://core.telegram.org/bots/api#pinchatmessage and #setmessagereaction."""
    chat, message_id = bot.chats.resolve(args.text("chat_id")), args.integer("message_id")
    if bot.messages.get(chat["id"], message_id) is None and not bot.messages.too_old(message_id):
        raise bad_request("message not found")
    return True


def _wanted(bot: Bot, args: Args) -> Message | None:
    if args.text("inline_message_id"):
        return None
    chat = bot.chats.resolve(args.text("chat_id"))
    found = bot.messages.get(chat["id"], args.integer("message_id"))
    if found is None:
        raise bad_request("message to edit not found")
    if found.get("from", {}).get("id", int(bot.id)) != int(bot.id):
        raise bad_request("message can't be edited")
    return found


def _edit(bot: Bot, args: Args, name: str, fields: tuple[str, ...], new: dict[str, Any]) -> Message | bool:
    found = _wanted(bot, args)
    if found is None:
        return True
    keyboard = compose.markup(args)
    edited = {key: value for key, value in found.items() if key not in fields} | new
    compose.put_markup(edited, keyboard)
    if {**edited, "edit_date": 0} == {**found, "edit_date": 0}:
        raise bad_request(_NOT_MODIFIED)
    edited["edit_date"] = int(time.time())
    found.clear()
    found.update(edited)
    bot.show(name, found, keyboard)
    return found
