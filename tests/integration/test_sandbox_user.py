"""The control API: playing the user, reading answers, updates and counters."""

import asyncio
import json
import threading
from contextlib import asynccontextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from telegram import InlineKeyboardButton, InlineKeyboardMarkup, Update
from telegram.ext import (
    Application,
    CallbackQueryHandler,
    CommandHandler,
    InlineQueryHandler,
    MessageHandler,
    filters,
)

from toolkit.errors import ToolkitError
from toolkit.sandbox.client import SandboxClient

pytest_plugins = ("tests.fixtures_sandbox",)

JSON = {"Content-Type": "application/json"}


async def start(update: Update, _) -> None:
    keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("Press me", callback_data="pressed")]])
    await update.message.reply_text(f"Hello {update.effective_user.first_name}", reply_markup=keyboard)


async def pressed(update: Update, _) -> None:
    await update.callback_query.answer("well done")
    await update.callback_query.edit_message_text(f"chosen: {update.callback_query.data}")


async def echo(update: Update, _) -> None:
    await update.effective_message.reply_text(update.effective_message.text)


async def inline(update: Update, _) -> None:
    await update.inline_query.answer([])


@asynccontextmanager
async def running(sandbox, token):
    app = Application.builder().token(token).base_url(sandbox.base_url).build()
    app.add_handler(CommandHandler("start", start))
    app.add_handler(CallbackQueryHandler(pressed))
    app.add_handler(InlineQueryHandler(inline))
    app.add_handler(MessageHandler(filters.TEXT, echo))
    async with app:
        await app.start()
        await app.updater.start_polling()
        try:
            yield
        finally:
            await app.updater.stop()
            await app.stop()


def beside(sandbox, token, scene):
    """Run a scene, which blocks, while the bot runs."""

    async def main():
        async with running(sandbox, token):
            return await asyncio.to_thread(scene)

    return asyncio.run(main())


class TestConversation:
    def test_a_bot_is_spoken_to_and_its_button_pressed(self, sandbox, api):
        def scene():
            (greeting,) = sandbox.ask(api.id, "/start", user={"id": 77, "first_name": "Ada"})
            assert (greeting["text"], greeting["chat_id"], greeting["method"]) == (
                "Hello Ada",
                77,
                "sendMessage",
            )
            assert greeting["reply_markup"]["inline_keyboard"][0][0]["text"] == "Press me"
            first, second = sandbox.ask_by_button(api.id, "Press me", chat_id=77)
            assert (first["method"], first["text"]) == ("answerCallbackQuery", "well done")
            assert (second["method"], second["text"]) == ("editMessageText", "chosen: pressed")
            assert second["message_id"] == greeting["message_id"]
            assert sandbox.inject(api.id, {"inline_query": {"query": "x"}})
            sandbox.wait_until(api.id, lambda counters: not counters["unanswered"])

        beside(sandbox, api.token, scene)
        counters = sandbox.counters(api.id)
        assert (counters["answered_twice"], counters["unasked"], counters["pending"]) == (0, 0, 0)
        assert counters["calls"]["getMe"] == 1

    def test_each_chat_hears_its_own_answer(self, sandbox, api):
        def scene():
            answers = {}
            threads = [
                threading.Thread(
                    target=lambda n=n: answers.update({n: sandbox.ask(api.id, f"I am {n}", chat_id=n)})
                )
                for n in range(101, 106)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return answers

        answers = beside(sandbox, api.token, scene)
        assert {n: [each["text"] for each in found] for n, found in answers.items()} == {
            n: [f"I am {n}"] for n in range(101, 106)
        }

    def test_a_flood_is_answered_once_each(self, sandbox, api):
        def scene():
            flood = sandbox.flood(api.id, 300, text="m {n}", chats=3)
            assert flood["last_update_id"] - flood["first_update_id"] == 299
            sandbox.wait_until(api.id, lambda counters: counters["unanswered"] == 0, timeout=60)

        beside(sandbox, api.token, scene)
        counters = sandbox.counters(api.id)
        assert (counters["accepted"], counters["delivered"], counters["sent"]) == (300, 300, 300)
        assert (counters["answered_twice"], counters["unasked"]) == (0, 0)
        records = sandbox.updates(api.id, "answered")
        assert len(records) == 300
        assert all(each["delivered_at"] <= each["answered_at"] for each in records)

    def test_a_flood_at_a_rate_comes_behind_the_callers_back(self, sandbox, api):
        assert sandbox.flood(api.id, 20, rate=200)["accepted"] == 0
        sandbox.wait_until(api.id, lambda counters: counters["pending"] == 20)

    def test_a_flood_faster_than_can_be_lets_others_come_to_their_turn(self, sandbox, api):
        sandbox.flood(api.id, 100_000, rate=1e9)
        assert sandbox.counters(api.id)["pending"] < 100_000


class TestSaying:
    def test_commands_are_marked_as_telegram_marks_them(self, sandbox, api):
        sandbox.say(api.id, "/start@any_bot now")
        assert api.updates()[0]["message"]["entities"] == [{"type": "bot_command", "offset": 0, "length": 14}]

    def test_groups_and_users(self, sandbox, api):
        sandbox.say(api.id, "hi", chat_id=-100123, user=55)
        message = api.updates()[0]["message"]
        assert (message["chat"]["type"], message["from"]["id"]) == ("group", 55)

    def test_a_raw_update_is_completed(self, sandbox, api):
        photo = [{"file_id": "x", "file_unique_id": "y", "width": 1, "height": 1}]
        sandbox.inject(api.id, {"message": {"photo": photo, "caption": "c"}})
        message = api.updates()[0]["message"]
        assert message["photo"] == photo
        assert message["message_id"]
        assert message["date"]
        assert message["chat"]["id"] == message["from"]["id"]

    @pytest.mark.parametrize(
        "order",
        [
            {},
            {"text": ""},
            {"text": "x" * 4097},
            {"text": "x", "callback": "y"},
            {"callback": "no such button"},
            {"update": {}},
            {"update": {"message": 1}},
            {"update": {"message": {}, "poll": {}}},
            {"text": "x", "user": -5},
            {"text": "x", "chat_id": "five"},
            {"text": "x", "unknown": 1},
        ],
    )
    def test_what_cannot_be_said(self, sandbox, api, order):
        with pytest.raises(ToolkitError, match="the sandbox refused it"):
            sandbox._call("POST", "say", {"bot_id": api.id, **order})

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        kind=st.sampled_from(["message", "edited_message", "callback_query", "inline_query", "poll", "x"]),
        content=st.dictionaries(
            st.sampled_from(["message_id", "chat", "from", "date", "text", "id", "data", "query"]),
            st.recursive(
                st.none() | st.integers() | st.text(max_size=5),
                lambda inner: (
                    st.lists(inner, max_size=2)
                    | st.dictionaries(st.sampled_from(["id", "type", "first_name"]), inner, max_size=3)
                ),
                max_leaves=4,
            ),
        ),
    )
    def test_no_update_breaks_it(self, api, kind, content):
        order = {"bot_id": api.id, "update": {kind: content}}
        status, _ = api.request("POST", "/sandbox/say", json.dumps(order).encode(), JSON)
        assert status in (200, 400)
        assert api("getUpdates", offset=-1)["ok"]

    @pytest.mark.parametrize(
        "body",
        [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"bot_id": "123", "update": ' + b'{"a":' * 90_000],
    )
    def test_no_order_breaks_it(self, api, body):
        status, answer = api.request("POST", "/sandbox/say", body, JSON)
        assert status == 400
        assert json.loads(answer)["error"]

    @pytest.mark.parametrize("bot_id", ["", "alice", "1", "-5", "1" * 21, "٣٣٣"])
    def test_whom_nobody_knows(self, sandbox, bot_id):
        with pytest.raises(ToolkitError, match="digits before the token's colon"):
            sandbox.say(bot_id, "hi")

    def test_a_button_that_tells_the_bot_nothing(self, sandbox, api):
        keyboard = {"inline_keyboard": [[{"text": "link", "url": "https://example.org"}]]}
        api("sendMessage", chat_id=9, text="?", reply_markup=keyboard)
        with pytest.raises(ToolkitError, match="tells the bot nothing"):
            sandbox.press(api.id, "link", chat_id=9)


class TestReading:
    def test_answers_come_in_order_and_after_what_is_known(self, sandbox, api):
        for text in "abc":
            api("sendMessage", chat_id=9, text=text)
        found = sandbox.answers(api.id)
        assert [(each["id"], each["text"]) for each in found] == [(1, "a"), (2, "b"), (3, "c")]
        assert [each["text"] for each in sandbox.answers(api.id, after=2)] == ["c"]
        assert len(sandbox.wait_for_answers(api.id, 3)) == 3

    def test_waiting_for_an_answer(self, sandbox, api):
        later = threading.Timer(0.1, lambda: api("sendMessage", chat_id=9, text="at last"))
        later.start()
        assert [each["text"] for each in sandbox.answers(api.id, timeout=20)] == ["at last"]
        later.join()

    def test_no_answer_in_time(self, sandbox, api):
        assert sandbox.ask(api.id, "anyone?", timeout=0.1) == []
        assert sandbox.counters(api.id)["unanswered"] == 1

    def test_an_answer_names_its_update(self, sandbox, api):
        first, second = sandbox.say(api.id, "one", chat_id=9), sandbox.say(api.id, "two", chat_id=9)
        messages = [each["message"]["message_id"] for each in api.updates()]
        api("sendMessage", chat_id=9, text="to the second", reply_parameters={"message_id": messages[1]})
        api("sendMessage", chat_id=9, text="one")
        api("sendMessage", chat_id=9, text="out of the blue")
        assert [each["update_id"] for each in sandbox.answers(api.id)] == [second, first, None]
        api("sendMessage", chat_id=9, text="one")
        counters = sandbox.counters(api.id)
        assert (counters["unanswered"], counters["answered_twice"], counters["unasked"]) == (0, 1, 1)
        assert [each["text"] for each in sandbox.updates(api.id, "twice")] == ["one"]

    def test_dropped_updates_are_counted_as_such(self, sandbox, api):
        sandbox.say(api.id, "one")
        api("deleteWebhook", drop_pending_updates=True)
        counters = sandbox.counters(api.id)
        assert (counters["pending"], counters["dropped"], counters["unanswered"]) == (0, 1, 0)

    def test_a_forgotten_bot_begins_anew(self, sandbox, api):
        sandbox.say(api.id, "one")
        waiting = api.begin("getUpdates", offset=2**40, timeout=20)
        sandbox.forget(api.id)
        with pytest.raises((ConnectionError, OSError)):
            waiting.answer()
        counters = sandbox.counters(api.id)
        assert (counters["accepted"], counters["polls"]) == (0, 0)

    def test_a_condition_that_never_comes(self, sandbox, api):
        with pytest.raises(ToolkitError, match="did not get there"):
            sandbox.wait_until(api.id, lambda _: False, timeout=0.05)


class TestProtection:
    def test_a_web_page_cannot_speak(self, api):
        body = f'{{"bot_id": "{api.id}", "text": "x"}}'.encode()
        for kind in ("text/plain", "application/x-www-form-urlencoded"):
            status, _ = api.request("POST", "/sandbox/say", body, {"Content-Type": kind})
            assert status == 415

    def test_nobody_there(self):
        with pytest.raises(ToolkitError, match="no sandbox answers") as error:
            SandboxClient("http://127.0.0.1:1").health()
        assert "toolkit sandbox" in error.value.hint

    def test_somebody_else_there(self):
        with pytest.raises(ToolkitError, match="is no sandbox"):
            SandboxClient("ftp://127.0.0.1:8081")


def test_a_bot_that_is_full_is_told_so(own_sandbox, new_token):
    bot_id, client = new_token().partition(":")[0], own_sandbox.client
    client.flood(bot_id, 100_000)
    for more in (lambda: client.say(bot_id, "x"), lambda: client.flood(bot_id, 1)):
        with pytest.raises(ToolkitError, match="100000 pending updates"):
            more()
    assert client.counters(bot_id)["pending"] == 100_000
