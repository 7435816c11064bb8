"""Methods about chats and their members."""

from typing import Any

from toolkit.sandbox.args import Args
from toolkit.sandbox.bot import Bot
from toolkit.sandbox.chats import user_object
from toolkit.sandbox.methods.profile import RIGHTS
from toolkit.sandbox.methods.registry import method
from toolkit.sandbox.replies import bad_request

_GIFTS = ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels")
_WORDS = """
typing upload_photo record_video upload_video record_voice upload_voice upload_document choose_sticker
find_location record_video_note upload_video_note record_audio upload_audio
"""
_ACTIONS = frozenset(_WORDS.split())


@method("sendChatAction")
def send_chat_action(bot: Bot, args: Args) -> bool:
    """https://core.telegram.org/bots/api#sendchataction."""
    bot.chats.resolve(args.text("chat_id"))
    if args.text("action").lower() not in _ACTIONS:
        raise bad_request("wrong parameter action in request")
    return True


@method("getChat")
def get_chat(bot: Bot, args: Args) -> dict[str, Any]:
    """https://core.telegram.org/bots/api#getchat."""
    chat = bot.chats.resolve(args.text("chat_id"))
    full = {"accent_color_id": chat["id"] % 7, "max_reaction_count": 11}
    return {**chat, **full, "accepted_gift_types": dict.fromkeys(_GIFTS, False)}


@method("getChatMember")
def get_chat_member(bot: Bot, args: Args) -> dict[str, Any]:
    """https://core.telegram.org/bots/api#getchatmember."""
    chat, user_id = bot.chats.resolve(args.text("chat_id")), args.integer("user_id")
    if user_id <= 0:
        raise bad_request("invalid user_id specified")
    if user_id != int(bot.id):
        return {"status": "member", "user": user_object(user_id)}
    return {"status": "member", "user": bot.user} if chat["type"] == "private" else _administrator(bot)


@method("getChatAdministrators")
def get_chat_administrators(bot: Bot, args: Args) -> list[dict[str, Any]]:
    """https://core.telegram.org/bots/api#getchatadministrators."""
    if bot.chats.resolve(args.text("chat_id"))["type"] == "private":
        raise bad_request("there are no administrators in the private chat")
    return [_administrator(bot)]


@method("getChatMemberCount")
def get_chat_member_count(bot: Bot, args: Args) -> int:
    """https://core.telegram.org/bots/api#getchatmembercount."""
    bot.chats.resolve(args.text("chat_id"))
    return 2


def _administrator(bot: Bot) -> dict[str, Any]:
    rights = {**dict.fromkeys(RIGHTS, True), "is_anonymous": False}
    return {"status": "administrator", "user": bot.user, "can_be_edited": False, **rights}


@method("exportChatInviteLink")
def export_chat_invite_link(bot: Bot, args: Args) -> str:
    """https://core.telegram.org/bots/api#exportchatinvitelink."""
    link: str = _invite_link(bot, args)["invite_link"]
    return link


@method(
    "createChatInviteLink",
    "editChatInviteLink",
    "createChatSubscriptionInviteLink",
    "editChatSubscriptionInviteLink",
)
def create_chat_invite_link(bot: Bot, args: Args) -> dict[str, Any]:
    """https://core.telegram.org/bots/api#createchatinvitelink."""
    return _invite_link(bot, args)


@method("revokeChatInviteLink")
def revoke_chat_invite_link(bot: Bot, args: Args) -> dict[str, Any]:
    """https://core.telegram.org/bots/api#revokechatinvitelink."""
    return {**_invite_link(bot, args), "is_revoked": True}


def _invite_link(bot: Bot, args: Args) -> dict[str, Any]:
    bot.chats.resolve(args.text("chat_id"))
    link: dict[str, Any] = {
        "invite_link": args.text("invite_link") or f"https://t.me/+sandbox{bot.messages.new_id()}",
        "creator": bot.user,
        "creates_join_request": args.flag("creates_join_request"),
        "is_primary": False,
        "is_revoked": False,
    }
    return {**link, "name": args.text("name")} if args.text("name") else link


@method("createForumTopic")
def create_forum_topic(bot: Bot, args: Args) -> dict[str, Any]:
    """https://core.telegram.org/bots/api#createforumtopic."""
    bot.chats.resolve(args.text("chat_id"))
    if not args.text("name"):
        raise bad_request("TOPIC_TITLE_EMPTY")
    return {
        "message_thread_id": bot.messages.new_id(),
        "name": args.text("name"),
        "icon_color": args.integer("icon_color", 7322096),
    }
