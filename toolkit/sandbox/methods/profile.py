"""Methods about the bot itself."""

import re
from typing import Any

from toolkit.sandbox.args import Args
from toolkit.sandbox.bot import Bot
from toolkit.sandbox.methods.registry import METHODS, method
from toolkit.sandbox.replies import bad_request, encode

_LANGUAGE = re.compile(r"(?:[a-z]{2})?")
_COMMAND = re.compile(r"[a-z0-9_]{1,32}")
MAX_COMMANDS = 100
MAX_SCOPES = 1000


@method("getMe")
def get_me(bot: Bot, _: Args) -> dict[str, Any]:
    """https://core.telegram.org/bots/api#getme."""
    abilities = {
        "can_join_groups": True,
        "can_read_all_group_messages": False,
        "supports_inline_queries": True,
        "can_connect_to_business": False,
        "has_main_web_app": False,
        "has_topics_enabled": False,
        "allows_users_to_create_topics": False,
    }
    return {**bot.user, **abilities}


def language(args: Args) -> str:
    """The ``language_code`` of a call, empty for all.

    Raises:
        ApiError: 400, it is none.
    """
    code = args.text("language_code").strip().lower()
    if not _LANGUAGE.fullmatch(code):
        raise bad_request("invalid language code specified")
    return code


def _text(name: str, kept: str, limit: int) -> None:
    """The pair ``setMy…`` and ``getMy…`` of a text that the bot says of itself."""
    parameter = re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()

    def set_text(bot: Bot, args: Args) -> bool:
        text, texts = args.text(parameter).strip(), getattr(bot.profile, kept)
        if len(text) > limit:
            raise bad_request(f"the {parameter.replace('_', ' ')} is too long")
        if text:
            texts[language(args)] = text
        else:
            texts.pop(language(args), None)
        return True

    def get_text(bot: Bot, args: Args) -> dict[str, str]:
        texts = getattr(bot.profile, kept)
        default = bot.user["first_name"] if name == "Name" else ""
        return {parameter: texts.get(language(args)) or texts.get("") or default}

    METHODS[f"setmy{name.lower()}"] = (f"setMy{name}", set_text)
    METHODS[f"getmy{name.lower()}"] = (f"getMy{name}", get_text)


_text("Name", "names", 64)
_text("Description", "descriptions", 512)
_text("ShortDescription", "short_descriptions", 120)


def _scope(args: Args) -> tuple[str, str]:
    scope = args.json("scope", dict, "bot command scope") or {"type": "default"}
    fields = {key: scope[key] for key in ("type", "chat_id", "user_id") if key in scope}
    return encode(fields).decode(), language(args)


@method("setMyCommands")
def set_my_commands(bot: Bot, args: Args) -> bool:
    """https://core.telegram.org/bots/api#setmycommands."""
    commands = args.objects("commands", "commands")
    if len(commands) > MAX_COMMANDS or len(bot.profile.commands) >= MAX_SCOPES:
        raise bad_request("BOT_COMMANDS_TOO_MUCH")
    made = []
    for each in commands:
        name = str(each.get("command", "")).removeprefix("/")
        if not _COMMAND.fullmatch(name):
            raise bad_request("BOT_COMMAND_INVALID")
        if not each.get("description"):
            raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
        made.append({"command": name, "description": str(each["description"])})
    bot.profile.commands[_scope(args)] = made
    return True


@method("getMyCommands")
def get_my_commands(bot: Bot, args: Args) -> list[dict[str, Any]]:
    """https://core.telegram.org/bots/api#getmycommands."""
    return bot.profile.commands.get(_scope(args), [])


@method("deleteMyCommands")
def delete_my_commands(bot: Bot, args: Args) -> bool:
    """https://core.telegram.org/bots/api#deletemycommands."""
    bot.profile.commands.pop(_scope(args), None)
    return True


@method("setChatMenuButton")
def set_chat_menu_button(bot: Bot, args: Args) -> bool:
    """https://core.telegram.org/bots/api#setchatmenubutton."""
    button = args.json("menu_button", dict, "menu button") or {"type": "default"}
    if len(bot.profile.menu_buttons) < MAX_SCOPES:
        bot.profile.menu_buttons[args.text("chat_id")] = button
    return True


@method("getChatMenuButton")
def get_chat_menu_button(bot: Bot, args: Args) -> dict[str, Any]:
    """https://core.telegram.org/bots/api#getchatmenubutton."""
    buttons = bot.profile.menu_buttons
    return buttons.get(args.text("chat_id")) or buttons.get("") or {"type": "commands"}


@method("setMyDefaultAdministratorRights")
def set_default_rights(bot: Bot, args: Args) -> bool:
    """https://core.telegram.org/bots/api#setmydefaultadministratorrights."""
    bot.profile.rights[str(args.flag("for_channels"))] = (
        args.json("rights", dict, "administrator rights") or {}
    )
    return True


@method("getMyDefaultAdministratorRights")
def get_default_rights(bot: Bot, args: Args) -> dict[str, Any]:
    """https://core.telegram.org/bots/api#getmydefaultadministratorrights."""
    return {**dict.fromkeys(RIGHTS, False), **bot.profile.rights.get(str(args.flag("for_channels")), {})}


RIGHTS = (
    "is_anonymous",
    "can_manage_chat",
    "can_delete_messages",
    "can_manage_video_chats",
    "can_restrict_members",
    "can_promote_members",
    "can_change_info",
    "can_invite_users",
    "can_post_stories",
    "can_edit_stories",
    "can_delete_stories",
)
"""https://core.telegram.org/bots/api#chatadministratorrights."""
