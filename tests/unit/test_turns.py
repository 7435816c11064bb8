"""Turns: in order for each key, so many keys at once."""

import asyncio

from telegram import CallbackQuery, Chat, InlineQuery, Message, Poll, Update, User

from bot_runner.processing import order_key
from bot_runner.turns import Turns


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


class Course:
    """Work that waits for its turn and then until it is told to end."""

    def __init__(self, limit):
        self.turns, self.running, self.began, self.tasks = Turns(limit), {}, [], {}

    def start(self, key, name):
        self.tasks[name] = asyncio.ensure_future(self._run(key, name))

    async def _run(self, key, name):
        await self.turns.take(key)
        try:
            self.began.append(name)
            self.running[name] = asyncio.Event()
            await self.running[name].wait()
        finally:
            self.running.pop(name)
            self.turns.give(key)

    async def end(self, name):
        self.running[name].set()
        await settle()


def test_one_key_is_in_order_and_holds_up_no_other():
    async def check():
        course = Course(2)
        for number in range(5):
            course.start("slow", f"slow {number}")
        course.start("quick", "quick 0")
        await settle()
        assert set(course.running) == {"slow 0", "quick 0"}
        course.start("third", "third 0")
        await settle()
        assert "third 0" not in course.running
        await course.end("slow 0")
        assert set(course.running) == {"quick 0", "third 0"}  # it waited longer than slow 1
        for name in ("quick 0", "slow 1", "slow 2", "slow 3", "slow 4"):
            await course.end(name)
        assert [name for name in course.began if "slow" in name] == [f"slow {n}" for n in range(5)]
        await course.end("third 0")
        assert not course.turns._behind
        assert not course.turns._running

    asyncio.run(check())


def test_what_is_cancelled_gives_its_turn_on():
    async def check():
        course = Course(1)
        for name in ("a", "b", "c"):
            course.start("key", name)
        course.start("other", "d")
        await settle()
        course.tasks["b"].cancel()
        course.tasks["d"].cancel()
        await settle()
        await course.end("a")
        assert set(course.running) == {"c"}
        await course.end("c")
        course.start("other", "e")
        await settle()
        assert set(course.running) == {"e"}
        await course.end("e")
        assert not course.turns._behind

    asyncio.run(check())


def test_a_turn_that_is_given_and_cancelled_at_once_is_not_lost():
    async def check():
        course = Course(1)
        course.start("x", "a")
        course.start("y", "b")
        course.start("z", "c")
        await settle()
        course.running["a"].set()
        await asyncio.sleep(0)  # a gives its turn to b, which has not run since
        course.tasks["b"].cancel()
        await settle()
        assert set(course.running) == {"c"}
        await course.end("c")

    asyncio.run(check())


def test_a_wider_limit_holds_from_the_next_turn_on():
    async def check():
        course = Course(1)
        for name in "abc":
            course.start(name, name)
        await settle()
        assert set(course.running) == {"a"}
        course.turns.limit = 2
        await course.end("a")
        assert set(course.running) == {"b", "c"}
        await course.end("b")
        await course.end("c")

    asyncio.run(check())


USER = User(5, "u", is_bot=False)


def test_keys_are_chats_then_users_then_polls():
    message = Message(1, None, Chat(-7, "group"), from_user=USER)
    assert order_key(Update(1, message=message)) == -7
    pressed = CallbackQuery("1", USER, "c", message=message)
    assert order_key(Update(2, callback_query=pressed)) == -7
    assert order_key(Update(3, inline_query=InlineQuery("1", USER, "q", ""))) == 5
    fields = dict.fromkeys(("is_closed", "is_anonymous", "allows_multiple_answers"), False)
    poll = {"id": "p", "question": "?", "options": [], "total_voter_count": 0, "type": "regular", **fields}
    assert (
        order_key(
            Update(4, poll=Poll.de_json({**poll, "allows_revoting": False, "members_only": False}, None))
        )
        == "p"
    )
    assert order_key(Update(5)) is None
    assert order_key("the app's own") is None
