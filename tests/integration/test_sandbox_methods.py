"""python-telegram-bot calls the sandbox and takes every answer for Telegram's."""

import asyncio

import pytest
import telegram
from telegram import (
    BotCommand,
    BotCommandScopeChat,
    ForceReply,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InlineQueryResultArticle,
    InputMediaDocument,
    InputMediaPhoto,
    InputTextMessageContent,
    LabeledPrice,
    MenuButtonDefault,
    ReplyParameters,
    TelegramObject,
)
from telegram.constants import ParseMode
from telegram.error import BadRequest, InvalidToken
from telegram.ext import AIORateLimiter, ExtBot

pytest_plugins = ("tests.fixtures_sandbox",)

CHAT, GROUP = 4711, -1001234567890


@pytest.fixture
def token(new_token) -> str:
    return new_token()


@pytest.fixture
def bot_id(token) -> str:
    return token.partition(":")[0]


@pytest.fixture
def with_bot(sandbox, token):
    """Run a scene with an initialized bot: ``with_bot(scene)`` gives the result of ``await scene(bot)``."""

    def run(scene, kind=telegram.Bot):
        async def main():
            async with kind(token, base_url=sandbox.base_url, base_file_url=sandbox.base_file_url) as bot:
                return await scene(bot)

        return asyncio.run(main())

    return run


def unknown_fields(value: object) -> list[str]:
    """Fields that python-telegram-bot did not know, anywhere in an answer."""
    if isinstance(value, list | tuple):
        return [field for each in value for field in unknown_fields(each)]
    if not isinstance(value, TelegramObject):
        return []
    inner = [unknown_fields(each) for each in value.to_dict(recursive=False).values()]
    own = [f"{type(value).__name__}.{name}" for name in value.api_kwargs]
    return own + [field for fields in inner for field in fields]


def test_who_it_is(with_bot, bot_id):
    async def scene(bot):
        return await bot.get_me()

    me = with_bot(scene)
    assert (me.id, me.username, me.is_bot) == (int(bot_id), f"sandbox{bot_id}bot", True)
    assert unknown_fields(me) == []


PHOTO, BUTTONS = b"\x89PNG picture", InlineKeyboardMarkup([[InlineKeyboardButton("Yes", callback_data="y")]])

# What is called, with what, and what the answer must show.
CALLS = {
    "send_message": ({"chat_id": CHAT, "text": "hi", "reply_markup": BUTTONS}, lambda m: m.text == "hi"),
    "send_photo": (
        {"chat_id": CHAT, "photo": PHOTO, "caption": "c"},
        lambda m: m.photo[-1].file_size == len(PHOTO),
    ),
    "send_document": (
        {"chat_id": CHAT, "document": b"d", "filename": "a.txt"},
        lambda m: m.document.file_name == "a.txt",
    ),
    "send_audio": (
        {"chat_id": CHAT, "audio": b"a", "title": "t", "duration": 3},
        lambda m: m.audio.title == "t",
    ),
    "send_voice": ({"chat_id": CHAT, "voice": b"a"}, lambda m: m.voice.file_size == 1),
    "send_video": ({"chat_id": CHAT, "video": b"a", "width": 7}, lambda m: m.video.width == 7),
    "send_animation": ({"chat_id": CHAT, "animation": b"a"}, lambda m: m.animation and m.document),
    "send_video_note": ({"chat_id": CHAT, "video_note": b"a"}, lambda m: m.video_note.length),
    "send_sticker": ({"chat_id": CHAT, "sticker": b"a"}, lambda m: m.sticker.emoji),
    "send_media_group": (
        {"chat_id": CHAT, "media": [InputMediaPhoto(b"1", caption="c"), InputMediaPhoto(b"2")]},
        lambda ms: len({m.media_group_id for m in ms}) == 1 and ms[0].caption == "c",
    ),
    "send_location": (
        {"chat_id": CHAT, "latitude": 1.5, "longitude": 2.5},
        lambda m: m.location.latitude == 1.5,
    ),
    "send_venue": (
        {"chat_id": CHAT, "latitude": 1, "longitude": 2, "title": "t", "address": "a"},
        lambda m: m.venue.title == "t",
    ),
    "send_contact": (
        {"chat_id": CHAT, "phone_number": "1", "first_name": "F"},
        lambda m: m.contact.first_name == "F",
    ),
    "send_dice": ({"chat_id": CHAT}, lambda m: 1 <= m.dice.value <= 6),
    "send_poll": (
        {"chat_id": CHAT, "question": "q", "options": ["a", "b"]},
        lambda m: [o.text for o in m.poll.options] == ["a", "b"],
    ),
    "send_game": ({"chat_id": CHAT, "game_short_name": "g"}, lambda m: m.game.title == "g"),
    "send_invoice": (
        {
            "chat_id": CHAT,
            "title": "t",
            "description": "d",
            "payload": "p",
            "currency": "EUR",
            "prices": [LabeledPrice("l", 5)],
        },
        lambda m: m.invoice.total_amount == 5,
    ),
    "send_chat_action": ({"chat_id": CHAT, "action": "typing"}, lambda r: r is True),
    "get_chat": ({"chat_id": GROUP}, lambda c: c.type == "supergroup" and c.id == GROUP),
    "get_chat_member": ({"chat_id": GROUP, "user_id": 5}, lambda m: m.status == "member" and m.user.id == 5),
    "get_chat_administrators": ({"chat_id": GROUP}, lambda ms: ms[0].can_delete_messages),
    "get_chat_member_count": ({"chat_id": GROUP}, lambda n: n == 2),
    "create_chat_invite_link": ({"chat_id": GROUP, "name": "n"}, lambda link: link.name == "n"),
    "revoke_chat_invite_link": (
        {"chat_id": GROUP, "invite_link": "https://t.me/+x"},
        lambda link: link.is_revoked,
    ),
    "export_chat_invite_link": ({"chat_id": GROUP}, lambda link: link.startswith("https://t.me/")),
    "create_forum_topic": ({"chat_id": GROUP, "name": "n"}, lambda topic: topic.name == "n"),
    "ban_chat_member": ({"chat_id": GROUP, "user_id": 5}, lambda r: r is True),
    "set_chat_title": ({"chat_id": GROUP, "title": "t"}, lambda r: r is True),
    "answer_callback_query": ({"callback_query_id": "12"}, lambda r: r is True),
    "answer_inline_query": (
        {
            "inline_query_id": "12",
            "results": [InlineQueryResultArticle("1", "t", InputTextMessageContent("x"))],
        },
        lambda r: r is True,
    ),
    "answer_pre_checkout_query": ({"pre_checkout_query_id": "12", "ok": True}, lambda r: r is True),
    "set_my_description": ({"description": "d"}, lambda r: r is True),
    "get_my_default_administrator_rights": ({}, lambda rights: rights.can_manage_chat is False),
    "set_chat_menu_button": ({"menu_button": MenuButtonDefault()}, lambda r: r is True),
    "get_chat_menu_button": ({}, lambda button: button.type in ("commands", "default")),
    "get_user_profile_photos": ({"user_id": 5}, lambda photos: photos.total_count == 0),
    "get_webhook_info": ({}, lambda info: info.url == ""),
    "get_my_star_balance": ({}, lambda balance: balance.amount == 0),
    "get_game_high_scores": ({"user_id": 5, "chat_id": CHAT, "message_id": 1}, lambda scores: scores == ()),
    "upload_sticker_file": (
        {"user_id": 5, "sticker": b"s", "sticker_format": "static"},
        lambda f: f.file_size == 1,
    ),
    "set_my_default_administrator_rights": ({}, lambda r: r is True),
    "answer_shipping_query": (
        {"shipping_query_id": "12", "ok": False, "error_message": "e"},
        lambda r: r is True,
    ),
    "answer_web_app_query": (
        {
            "web_app_query_id": "q",
            "result": InlineQueryResultArticle("1", "t", InputTextMessageContent("x")),
        },
        lambda sent: sent.inline_message_id,
    ),
    "log_out": ({}, lambda r: r is True),
    "close": ({}, lambda r: r is True),
}


@pytest.mark.parametrize("name", CALLS)
def test_answers_are_parsed_with_nothing_unknown(with_bot, name):
    parameters, holds = CALLS[name]

    async def scene(bot):
        return await getattr(bot, name)(**parameters)

    answer = with_bot(scene)
    assert holds(answer), answer
    assert unknown_fields(answer) == []


def test_extbot_with_its_rate_limiter_does_not_notice(sandbox, token):
    async def main():
        bot = ExtBot(token, base_url=sandbox.base_url, base_file_url=sandbox.base_file_url)
        async with bot:
            return await asyncio.gather(*(bot.send_message(CHAT, f"m {n}") for n in range(20)))

    assert AIORateLimiter
    assert [message.text for message in asyncio.run(main())] == [f"m {n}" for n in range(20)]


def test_a_message_is_edited_forwarded_copied_pinned_and_deleted(with_bot):
    async def scene(bot):
        sent = await bot.send_message(CHAT, "one", reply_markup=BUTTONS)
        assert sent.reply_markup.inline_keyboard[0][0].callback_data == "y"
        edited = await sent.edit_text("<b>two</b>", parse_mode=ParseMode.HTML)
        assert (edited.message_id, edited.text, edited.text_html) == (sent.message_id, "two", "<b>two</b>")
        assert edited.edit_date is not None
        assert edited.reply_markup is None
        assert (await edited.edit_reply_markup(BUTTONS)).reply_markup == BUTTONS
        forwarded = await edited.forward(GROUP)
        assert (forwarded.chat.id, forwarded.text, forwarded.forward_origin.type) == (GROUP, "two", "user")
        assert unknown_fields(forwarded) == []
        copy = await edited.copy(CHAT)
        assert copy.message_id > forwarded.message_id
        assert await edited.pin()
        assert await edited.set_reaction("👍")
        assert await bot.delete_messages(CHAT, [copy.message_id, 999_999])
        assert await edited.delete()
        for gone in (edited.edit_text("three"), edited.delete(), edited.forward(CHAT), edited.pin()):
            with pytest.raises(BadRequest, match=r"(?i)not found"):
                await gone

    with_bot(scene)


def test_only_the_bots_own_messages_are_edited_and_only_when_changed(with_bot, sandbox, bot_id):
    async def scene(bot):
        sent = await bot.send_message(CHAT, "one")
        with pytest.raises(BadRequest, match=r"(?i)message is not modified"):
            await sent.edit_text("one")
        sandbox.say(bot_id, "mine", CHAT)
        (update,) = await bot.get_updates()
        with pytest.raises(BadRequest, match=r"(?i)message can't be edited"):
            await update.message.edit_text("yours")

    with_bot(scene)


def test_media_and_captions_are_edited(with_bot):
    async def scene(bot):
        sent = await bot.send_photo(CHAT, PHOTO, caption="one")
        assert (await sent.edit_caption("two")).caption == "two"
        changed = await sent.edit_media(InputMediaDocument(b"doc", filename="a.txt", caption="three"))
        assert (changed.document.file_name, changed.caption, changed.photo) == ("a.txt", "three", ())

    with_bot(scene)


def test_a_live_location_moves_and_stops(with_bot):
    async def scene(bot):
        sent = await bot.send_location(CHAT, 1, 2, live_period=60)
        moved = await sent.edit_live_location(3, 4, live_period=60)
        assert (moved.location.latitude, moved.location.longitude) == (3, 4)
        stopped = await moved.stop_live_location()
        assert stopped.location.live_period is None
        assert await bot.edit_message_text("x", inline_message_id="inline1") is True
        assert await bot.stop_message_live_location(inline_message_id="inline1") is True

    with_bot(scene)


def test_many_messages_go_at_once(with_bot):
    async def scene(bot):
        ids = [(await bot.send_message(CHAT, text)).message_id for text in "ab"]
        forwarded = await bot.forward_messages(GROUP, CHAT, ids)
        copied = await bot.copy_messages(GROUP, CHAT, ids)
        assert len({each.message_id for each in (*forwarded, *copied)}) == 4
        for wrong in ([], [1] * 101):
            with pytest.raises(BadRequest, match=r"(?i)message identifiers"):
                await bot.forward_messages(GROUP, CHAT, wrong)

    with_bot(scene)


def test_a_channel_has_a_name_and_no_sender(with_bot):
    async def scene(bot):
        sent = await bot.send_message("@some_news", "hi")
        assert (sent.chat.type, sent.chat.username, sent.from_user) == ("channel", "some_news", None)
        again = await bot.send_message("@Some_News", "hi")
        assert again.chat.id == sent.chat.id
        forwarded = await sent.forward(CHAT)
        assert forwarded.forward_origin.type == "channel"
        recaptioned = await bot.copy_message(CHAT, sent.chat.id, sent.message_id, caption="c")
        assert recaptioned.message_id

    with_bot(scene)


def test_replies_hold_what_they_reply_to(with_bot):
    async def scene(bot):
        first = await bot.send_message(GROUP, "one")
        answer = await bot.send_message(GROUP, "two", reply_parameters=ReplyParameters(first.message_id))
        assert answer.reply_to_message.text == "one"
        with pytest.raises(BadRequest, match=r"(?i)message to be replied not found"):
            await bot.send_message(GROUP, "two", reply_parameters=ReplyParameters(999_999))
        lenient = ReplyParameters(999_999, allow_sending_without_reply=True)
        assert (await bot.send_message(GROUP, "two", reply_parameters=lenient)).reply_to_message is None

    with_bot(scene)


def test_files_come_back_as_they_went(with_bot):
    async def scene(bot):
        sent = await bot.send_document(CHAT, b"\x00\xff content", filename="x.bin")
        file = await bot.get_file(sent.document.file_id)
        assert bytes(await file.download_as_bytearray()) == b"\x00\xff content"
        again = await bot.send_document(CHAT, sent.document.file_id)
        assert again.document.file_size == sent.document.file_size
        by_url = await bot.send_photo(CHAT, "https://example.org/p.jpg")
        assert by_url.photo
        for wrong in ("no-such-file", "x" * 300):
            with pytest.raises(BadRequest, match=r"(?i)wrong file identifier"):
                await bot.send_document(CHAT, wrong)
        with pytest.raises(BadRequest, match=r"(?i)wrong file_id"):
            await bot.get_file("no-such-file")

    with_bot(scene)


def test_polls_are_stopped_once(with_bot):
    async def scene(bot):
        sent = await bot.send_poll(CHAT, "q", ["a", "b"], type="quiz", correct_option_ids=[1])
        assert (await bot.stop_poll(CHAT, sent.message_id)).is_closed
        with pytest.raises(BadRequest, match=r"(?i)already been closed"):
            await bot.stop_poll(CHAT, sent.message_id)

    with_bot(scene)


def test_name_and_commands_are_kept_by_language_and_scope(with_bot, bot_id):
    async def scene(bot):
        assert (await bot.get_my_name()).name == f"Sandbox bot {bot_id}"
        assert await bot.set_my_name("Ada")
        assert await bot.set_my_name("Ada auf Deutsch", language_code="de")
        assert (await bot.get_my_name("de")).name == "Ada auf Deutsch"
        assert (await bot.get_my_name("fr")).name == "Ada"
        assert (await bot.get_me()).first_name == "Ada"
        scope = BotCommandScopeChat(CHAT)
        assert await bot.set_my_commands([BotCommand("start", "Start"), ("help", "Help")])
        assert await bot.set_my_commands([BotCommand("own", "Own")], scope=scope)
        assert [each.command for each in await bot.get_my_commands()] == ["start", "help"]
        assert [each.command for each in await bot.get_my_commands(scope=scope)] == ["own"]
        assert await bot.delete_my_commands()
        assert await bot.get_my_commands() == ()

    with_bot(scene)


@pytest.mark.parametrize(
    ("name", "parameters", "why"),
    [
        ("send_message", {"chat_id": CHAT, "text": ""}, "message text is empty"),
        ("send_message", {"chat_id": CHAT, "text": "x" * 4097}, "message is too long"),
        ("send_message", {"chat_id": "", "text": "x"}, "chat_id is empty"),
        ("send_message", {"chat_id": "nobody", "text": "x"}, "chat not found"),
        ("send_message", {"chat_id": 0, "text": "x"}, "chat not found"),
        ("send_message", {"chat_id": CHAT, "text": "a.b", "parse_mode": "MarkdownV2"}, "is reserved"),
        ("send_photo", {"chat_id": CHAT, "photo": PHOTO, "caption": "x" * 1025}, "caption is too long"),
        ("send_chat_action", {"chat_id": CHAT, "action": "dance"}, "wrong parameter action"),
        ("send_poll", {"chat_id": CHAT, "question": "", "options": ["a"]}, "question must be non-empty"),
        ("send_location", {"chat_id": CHAT, "latitude": 91, "longitude": 0}, "wrong latitude"),
        ("send_dice", {"chat_id": CHAT, "emoji": "x"}, "wrong emoji"),
        ("answer_callback_query", {"callback_query_id": "x"}, "query is too old"),
        ("set_my_commands", {"commands": [("UPPER", "d")]}, "BOT_COMMAND_INVALID"),
        ("set_my_name", {"name": "x" * 65}, "too long"),
        ("get_chat_administrators", {"chat_id": CHAT}, "no administrators in the private chat"),
        ("get_sticker_set", {"name": "x"}, "the sandbox has no getStickerSet"),
    ],
)
def test_what_telegram_refuses_is_refused(with_bot, name, parameters, why):
    async def scene(bot):
        with pytest.raises(BadRequest, match=f"(?i){why}"):
            await getattr(bot, name)(**parameters)

    with_bot(scene)


def test_only_inline_keyboards_are_part_of_a_message(with_bot, sandbox, bot_id):
    async def scene(bot):
        return await bot.send_message(CHAT, "?", reply_markup=ForceReply())

    assert with_bot(scene).reply_markup is None
    assert sandbox.answers(bot_id)[-1]["reply_markup"] == {"force_reply": True}


def test_an_unknown_method_is_no_method(with_bot):
    async def scene(bot):
        with pytest.raises(telegram.error.EndPointNotFound):
            await bot.do_api_request("makeCoffee")

    with_bot(scene)


def test_a_refused_token_and_its_return(with_bot, sandbox, bot_id):
    async def scene(bot):
        sandbox.refuse(bot_id)
        with pytest.raises(InvalidToken, match=r"(?i)Unauthorized"):
            await bot.get_me()
        sandbox.allow(bot_id)
        await bot.get_me()

    with_bot(scene)


@pytest.mark.parametrize("entity", [{"type": "bold"}, {"type": "bold", "offset": "1", "length": 1}])
def test_an_entity_without_a_place_is_refused(api, entity):
    answer = api("sendMessage", chat_id=CHAT, text=" x", entities=[entity])
    assert answer["description"].startswith("Bad Request: can't parse MessageEntity")
