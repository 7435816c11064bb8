"""Methods that send files, and that give them back."""

from collections.abc import Callable
from functools import partial
from typing import Any

from toolkit.sandbox.args import Args
from toolkit.sandbox.bot import Bot
from toolkit.sandbox.chats import Message
from toolkit.sandbox.files import StoredFile
from toolkit.sandbox.methods import compose
from toolkit.sandbox.methods.registry import METHODS, method
from toolkit.sandbox.replies import bad_request

# Pictures are not opened: every one is said to be of this size.
_SIZE = {"width": 320, "height": 240}


def _photo(file: StoredFile, _: Args) -> Any:
    return [{**file.object, "width": 90, "height": 67}, {**file.object, **_SIZE}]


def _document(file: StoredFile, _: Args) -> Any:
    return {**file.object, "file_name": file.name, "mime_type": file.content_type}


def _sound(file: StoredFile, args: Args) -> Any:
    return {**file.object, "duration": args.integer("duration"), "mime_type": file.content_type}


def _audio(file: StoredFile, args: Args) -> Any:
    told = {name: args.text(name) for name in ("title", "performer") if args.text(name)}
    return {**_sound(file, args), "file_name": file.name, **told}


def _film(file: StoredFile, args: Args) -> Any:
    size = {name: args.integer(name, _SIZE[name]) for name in _SIZE}
    return {**_sound(file, args), "file_name": file.name, **size}


def _video_note(file: StoredFile, args: Args) -> Any:
    return {**file.object, "duration": args.integer("duration"), "length": args.integer("length", 240)}


def _sticker(file: StoredFile, args: Args) -> Any:
    look = {"type": "regular", "is_animated": False, "is_video": False, "width": 512, "height": 512}
    return {**file.object, **look, "emoji": args.text("emoji") or "🙂"}


_KINDS: dict[str, Callable[[StoredFile, Args], Any]] = {
    "photo": _photo,
    "document": _document,
    "audio": _audio,
    "voice": _sound,
    "video": _film,
    "animation": _film,
    "video_note": _video_note,
    "sticker": _sticker,
}
"""By parameter and field of the message: how the field is made."""


def media_fields(bot: Bot, args: Args, kind: str, part: str, value: str) -> Message:
    """The fields of a message with one file.

    Parameters:
        bot: whose files are meant.
        args: where size, duration and caption stand.
        kind: ``photo``, ``document`` and so on.
        part: the upload's name where the value names none.
        value: a file id, a URL or ``attach://…``.

    Raises:
        ApiError: 400, there is no such file.
    """
    file = bot.files.resolve(args, part, value, f"{kind}s")
    fields = {kind: _KINDS[kind](file, args), **compose.caption_fields(args)}
    if kind == "animation":
        # For backward compatibility: https://core.telegram.org/bots/api#message
        fields["document"] = _document(file, args)
    return fields


def _send_file(name: str, kind: str, bot: Bot, args: Args) -> Message:
    return compose.send(bot, args, name, media_fields(bot, args, kind, kind, args.text(kind)))


for _kind in _KINDS:
    _name = "send" + _kind.title().replace("_", "")
    METHODS[_name.lower()] = (_name, partial(_send_file, _name, _kind))


def input_media(bot: Bot, args: Args, media: dict[str, Any]) -> Message:
    """The fields of a message for an ``InputMedia``.

    Raises:
        ApiError: 400, it is wrong.
    """
    kind = media.get("type")
    if kind not in _KINDS or not media.get("media"):
        raise bad_request("can't parse InputMedia: wrong type or media is empty")
    return media_fields(bot, Args(media, args.files), kind, "media", str(media["media"]))


@method("sendMediaGroup")
def send_media_group(bot: Bot, args: Args) -> list[Message]:
    """https://core.telegram.org/bots/api#sendmediagroup."""
    media = args.objects("media", "media")
    if not 1 <= len(media) <= 10:  # noqa: PLR2004 Telegram's limit
        raise bad_request("media group must include 2-10 items")
    fields = [input_media(bot, args, each) for each in media]
    group = f"{bot.id}{bot.messages.last_id + 1:010}"
    return [compose.send(bot, args, "sendMediaGroup", {**each, "media_group_id": group}) for each in fields]


@method("getFile")
def get_file(bot: Bot, args: Args) -> dict[str, Any]:
    """https://core.telegram.org/bots/api#getfile."""
    found = bot.files.get(args.text("file_id"))
    if found is None:
        raise bad_request("wrong file_id or the file is temporarily unavailable")
    return {**found.object, "file_path": found.path}


@method("uploadStickerFile")
def upload_sticker_file(bot: Bot, args: Args) -> dict[str, Any]:
    """https://core.telegram.org/bots/api#uploadstickerfile."""
    file = bot.files.from_call(args, "sticker", "stickers")
    return {**file.object, "file_path": file.path}
