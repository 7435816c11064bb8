"""Make and send the messages of a bot: text, keyboard, reply, chat."""

import time
from typing import Any

from toolkit.sandbox.args import Args
from toolkit.sandbox.bot import Bot
from toolkit.sandbox.chats import Chat, Message
from toolkit.sandbox.entities import Entity, find_entities, trim, utf16_length
from toolkit.sandbox.html import parse_html
from toolkit.sandbox.markdown import parse_markdown
from toolkit.sandbox.replies import bad_request

MAX_TEXT = 4096
MAX_CAPTION = 1024
MAX_CALLBACK_DATA = 64
_MARKUPS = ("inline_keyboard", "keyboard", "remove_keyboard", "force_reply")


def formatted(args: Args, name: str, entities_name: str) -> tuple[str, list[Entity]]:
    """A text parameter without its markup, and its entities.

    Raises:
        ApiError: 400, the markup is wrong.
    """
    text, mode = args.text(name), args.text("parse_mode").lower()
    if not mode:
        return trim(text, _entities(args, entities_name) or find_entities(text))
    if mode == "html":
        plain, entities = parse_html(text)
    elif mode in ("markdown", "markdownv2"):
        plain, entities = parse_markdown(text, second=mode == "markdownv2")
    else:
        raise bad_request("unsupported parse_mode")
    return trim(plain, entities or find_entities(plain))


def _entities(args: Args, name: str) -> list[Entity]:
    given = args.objects(name, "message entities")
    for each in given:
        if not all(isinstance(each.get(field), int) for field in ("offset", "length")):
            raise bad_request("can't parse MessageEntity: offset and length must be numbers")
    return given


def text_fields(args: Args) -> Message:
    """The ``text`` and ``entities`` of a message.

    Raises:
        ApiError: 400, there is no text, or too much.
    """
    text, entities = formatted(args, "text", "entities")
    if not text:
        raise bad_request("message text is empty")
    if utf16_length(text) > MAX_TEXT:
        raise bad_request("message is too long")
    return {"text": text, "entities": entities} if entities else {"text": text}


def caption_fields(args: Args) -> Message:
    """The ``caption`` and ``caption_entities`` of a message, if it has one.

    Raises:
        ApiError: 400, it is too long.
    """
    caption, entities = formatted(args, "caption", "caption_entities")
    if utf16_length(caption) > MAX_CAPTION:
        raise bad_request("message caption is too long")
    fields: Message = {"caption": caption} if caption else {}
    return {**fields, "caption_entities": entities} if entities else fields


def markup(args: Args) -> dict[str, Any] | None:
    """The ``reply_markup`` of a call.

    Raises:
        ApiError: 400, it is none of the four kinds, or a button is wrong.
    """
    found = args.json("reply_markup", dict, "reply markup")
    if not found:
        return None
    if not any(kind in found for kind in _MARKUPS):
        raise bad_request("can't parse reply keyboard markup JSON object")
    for kind in ("inline_keyboard", "keyboard"):
        rows = found.get(kind, [])
        if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
            raise bad_request(f'field "{kind}" must be of type Array')
        for button in (button for row in rows for button in row):
            _check_button(button, inline=kind == "inline_keyboard")
    return found


def _check_button(button: Any, *, inline: bool) -> None:
    if isinstance(button, str) and not inline:
        return
    if not isinstance(button, dict) or not button.get("text"):
        raise bad_request('can\'t parse keyboard button: Field "text" must be a non-empty String')
    if not inline:
        return
    if len(button) == 1:
        raise bad_request(
            "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard"
        )
    data = button.get("callback_data")
    if data is not None and not (isinstance(data, str) and 0 < len(data.encode()) <= MAX_CALLBACK_DATA):
        raise bad_request("BUTTON_DATA_INVALID")


def new_message(bot: Bot, chat: Chat, **fields: Any) -> Message:
    """A message of the bot, not sent yet."""
    head = {"message_id": bot.messages.new_id(), "date": int(time.time()), "chat": chat}
    sender = {"sender_chat": chat} if chat["type"] == "channel" else {"from": bot.user}
    return {**head, **sender, **fields}


def send(bot: Bot, args: Args, method: str, fields: Message) -> Message:
    """Send a message with these fields to where the call says.

    Raises:
        ApiError: 400, chat, keyboard or the message replied to is wrong.
    """
    chat = bot.chats.resolve(args.text("chat_id"))
    keyboard = markup(args)
    reply_to, replied = _replied(bot, args, chat)
    message = new_message(bot, chat, **replied, **fields)
    if thread := args.integer("message_thread_id"):
        message["message_thread_id"] = thread
    if args.flag("protect_content"):
        message["has_protected_content"] = True
    put_markup(message, keyboard)
    bot.messages.add(message)
    bot.show(method, message, keyboard, reply_to)
    return message


def put_markup(message: Message, keyboard: dict[str, Any] | None) -> None:
    """Only an inline keyboard is part of the message: https://core.telegram.org/bots/api#message."""
    message.pop("reply_markup", None)
    if keyboard and keyboard.get("inline_keyboard"):
        message["reply_markup"] = {"inline_keyboard": keyboard["inline_keyboard"]}


def _replied(bot: Bot, args: Args, chat: Chat) -> tuple[int, Message]:
    given = args.json("reply_parameters", dict, "reply parameters") or {}
    wanted = Args(given).integer("message_id") or args.integer("reply_to_message_id")
    if not wanted:
        return 0, {}
    where = bot.chats.resolve(Args(given).text("chat_id") or str(chat["id"]))
    found = bot.messages.get(where["id"], wanted)
    lenient = given.get("allow_sending_without_reply") or args.flag("allow_sending_without_reply")
    if found is None and not lenient and not bot.messages.too_old(wanted):
        raise bad_request("message to be replied not found")
    if found is None:
        return wanted, {}
    return wanted, {"reply_to_message": {k: v for k, v in found.items() if k != "reply_to_message"}}
