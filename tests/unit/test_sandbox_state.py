"""The sandbox's pure parts: queue, ledger, faults, answers, messages, parameters."""

import asyncio
from contextlib import suppress

import pytest
import telegram
from hypothesis import given
from hypothesis import strategies as st

from toolkit.sandbox import methods
from toolkit.sandbox.answers import AnswerLog
from toolkit.sandbox.args import Args, form_values, json_values
from toolkit.sandbox.bot import About, Bot
from toolkit.sandbox.chats import MessageStore, named_chat_id
from toolkit.sandbox.delivery import LONGEST_PAUSE, pause
from toolkit.sandbox.faults import Fault, Faults, valid_kind
from toolkit.sandbox.ledger import Ledger, word_runs
from toolkit.sandbox.methods.plain import ABSENT
from toolkit.sandbox.pending import QueueFullError, Update, UpdateQueue
from toolkit.sandbox.replies import ApiError
from toolkit.sandbox.shapes import Answer
from toolkit.sandbox.state import Sandbox


def update(number: int, text: str = "", chat: int = 1, kind: str = "message", query: str = "") -> Update:
    return Update(number, kind, chat, number, query, text, b"{}", 100.0)


class TestQueue:
    def queue(self, count: int) -> UpdateQueue:
        queue = UpdateQueue()
        for number in range(1, count + 1):
            queue.add(update(number))
        return queue

    def ids(self, queue: UpdateQueue, offset: int, limit: int = 100) -> list[int]:
        return [each.id for each in queue.take(offset, limit)]

    def test_no_offset_confirms_nothing(self):
        queue = self.queue(3)
        assert self.ids(queue, 0) == [1, 2, 3]
        assert len(queue) == 3

    def test_an_offset_confirms_what_is_below_it(self):
        queue = self.queue(3)
        assert self.ids(queue, 3) == [3]
        assert self.ids(queue, 0) == [3]

    def test_an_offset_beyond_the_end_confirms_all(self):
        queue = self.queue(3)
        assert self.ids(queue, 99) == []
        assert len(queue) == 0

    def test_a_negative_offset_counts_from_the_end_and_forgets_what_is_before(self):
        queue = self.queue(5)
        assert self.ids(queue, -2) == [4, 5]
        assert self.ids(queue, 0) == [4, 5]

    def test_a_negative_offset_beyond_the_start_keeps_all(self):
        assert self.ids(self.queue(2), -9) == [1, 2]

    def test_the_limit_holds(self):
        assert self.ids(self.queue(5), 0, 2) == [1, 2]

    def test_a_full_queue_refuses(self):
        queue = UpdateQueue(limit=1)
        queue.add(update(1))
        with pytest.raises(QueueFullError):
            queue.add(update(2))
        assert len(queue) == 1

    @given(st.lists(st.one_of(st.none(), st.tuples(st.integers(-8, 40), st.integers(1, 5))), max_size=60))
    def test_it_is_like_a_plain_list(self, steps):
        queue, model, last = UpdateQueue(), [], 0
        for step in steps:
            if step is None:
                last += 1
                queue.add(update(last))
                model.append(last)
                continue
            offset, limit = step
            model = model[offset:] if offset < 0 else [each for each in model if each >= offset]
            assert self.ids(queue, offset, limit) == model[:limit]
            assert len(queue) == len(model)


class TestLedger:
    def ledger(self, *texts: str, **more) -> Ledger:
        ledger = Ledger(**more)
        for number, text in enumerate(texts, start=1):
            self.hand_over(ledger, update(number, text))
        return ledger

    def hand_over(self, ledger: Ledger, given: Update) -> None:
        ledger.accept(given)
        ledger.deliver(given, 101.0)

    def answered(self, ledger: Ledger, text: str, reply_to: int = 0, chat: int = 1) -> int | None:
        found = ledger.answer(chat, text, reply_to, 102.0)
        return found.id if found else None

    def test_a_reply_answers_the_message_that_it_names(self):
        assert self.answered(self.ledger("a", "b"), "anything", reply_to=2) == 2

    def test_an_echo_answers_its_own_message_whatever_came_first(self):
        assert self.answered(self.ledger("a", "b", "c"), "b") == 2

    def test_a_text_within_an_answer_counts_and_the_longest_wins(self):
        assert self.answered(self.ledger("m 1", "m 12", "1"), "echo: m 12") == 2

    def test_a_text_within_a_word_does_not_count(self):
        ledger = self.ledger("other", "m 1")
        assert self.answered(ledger, "m 12") == 1

    def test_without_a_sign_the_oldest_open_message_is_answered(self):
        ledger = self.ledger("a", "b")
        assert [self.answered(ledger, "Hello!") for _ in range(3)] == [1, 2, None]
        assert (ledger.unanswered, ledger.unasked) == (0, 1)

    def test_a_second_echo_is_an_answer_twice(self):
        ledger = self.ledger("m 1", "m 2")
        assert [self.answered(ledger, "you said m 1") for _ in range(3)] == [1, 1, 1]
        assert (ledger.answered_twice, ledger.unanswered) == (1, 1)
        assert [each["update_id"] for each in ledger.records("twice", 10)] == [1]

    def test_equal_texts_are_answered_one_after_another(self):
        ledger = self.ledger("x", "x")
        assert [self.answered(ledger, "x") for _ in range(3)] == [1, 2, 2]
        assert ledger.answered_twice == 1

    def test_a_single_word_in_passing_is_no_second_answer(self):
        ledger = self.ledger("yes")
        assert self.answered(ledger, "fine") == 1
        assert self.answered(ledger, "yes indeed") is None
        assert ledger.answered_twice == 0

    def test_another_chat_is_another_matter(self):
        ledger = self.ledger("a")
        assert self.answered(ledger, "a", chat=2) is None
        assert ledger.unanswered == 1

    def test_what_was_not_delivered_cannot_be_answered(self):
        ledger = Ledger()
        ledger.accept(update(1, "a"))
        assert self.answered(ledger, "a") is None

    def test_queries_are_answered_by_their_id(self):
        ledger = Ledger()
        self.hand_over(ledger, update(1, "data", kind="callback_query", query="77"))
        assert self.answered(ledger, "data") is None
        assert ledger.answer_query("78", 1.0) is None
        assert ledger.answer_query("77", 1.0).id == 1
        ledger.answer_query("77", 1.0)
        assert (ledger.unanswered, ledger.answered_twice) == (0, 1)

    def test_what_wants_no_answer_is_not_unanswered(self):
        ledger = Ledger()
        self.hand_over(ledger, update(1, "a", kind="edited_message"))
        assert ledger.unanswered == 0

    def test_redelivery_is_counted_once_for_each_update(self):
        ledger, again = Ledger(), update(1, "a")
        ledger.accept(again)
        for _ in range(3):
            ledger.deliver(again, 101.0)
        assert (ledger.delivered, ledger.redelivered, again.deliveries) == (1, 1, 3)

    def test_dropped_updates_are_not_unanswered(self):
        ledger, thrown = Ledger(), update(1, "a")
        ledger.accept(thrown)
        ledger.drop([thrown])
        assert (ledger.dropped, ledger.unanswered, ledger.records("all", 9)) == (1, 0, [])

    def test_what_is_forgotten_leaves_nothing_behind(self):
        ledger = Ledger(limit=2)
        for number in range(1, 11):
            self.hand_over(ledger, update(number, f"text {number}", chat=number))
            if number % 2:
                self.answered(ledger, f"text {number}", chat=number)
        assert [each["update_id"] for each in ledger.records("all", 99)] == [9, 10]
        kept = (ledger._updates, ledger._messages, ledger._texts, ledger._chats)
        assert [len(each) for each in kept] == [2, 2, 2, 2]
        assert ledger.unanswered == 5

    @given(st.lists(st.tuples(st.sampled_from("adns"), st.integers(1, 3), st.sampled_from(["x", "y z", ""]))))
    def test_it_stays_small_and_its_counts_add_up(self, steps):
        ledger, made = Ledger(limit=4), []
        for number, (step, chat, text) in enumerate(steps, start=1):
            if step == "a":
                made.append(update(number, text, chat))
                ledger.accept(made[-1])
            elif step == "d" and made:
                ledger.deliver(made[-1], 1.0)
            elif step == "n":
                ledger.drop(made[-1:])
                made = made[:-1]
            else:
                ledger.answer(chat, text, 0, 1.0)
        assert len(ledger.records("all", 99)) <= 4
        assert max(len(ledger._texts), len(ledger._chats), len(ledger._messages)) <= 8
        answered = sum(each.answers > 0 for each in made)
        assert ledger.unanswered <= len(made) - answered + ledger.dropped
        assert ledger.delivered <= ledger.accepted

    @given(st.text(max_size=60))
    def test_the_whole_text_is_the_first_run(self, text):
        runs = [run for run, _ in word_runs(text)]
        assert runs[0] == text
        assert all(run in text for run in runs)


class TestFaults:
    def test_the_last_one_set_strikes_first_and_counts_down(self):
        faults = Faults()
        faults.add(Fault("*", "*", "500"))
        faults.add(Fault("1", "getme", "401", left=2))
        kinds = [faults.take("1", "getme").kind for _ in range(3)]
        assert kinds == ["401", "401", "500"]

    def test_others_are_spared(self):
        faults = Faults()
        faults.add(Fault("1", "getme", "401"))
        assert faults.take("2", "getme") is None
        assert faults.take("1", "sendmessage") is None

    def test_it_ends_when_its_time_is_over(self):
        now = [10.0]
        faults = Faults(lambda: now[0])
        faults.add(Fault("1", "*", "500", until=11.0))
        assert faults.take("1", "getme") is not None
        now[0] = 11.0
        assert faults.take("1", "getme") is None
        assert faults.in_force() == []

    def test_healing_lets_go_what_hangs_also_on_a_spent_fault(self):
        faults, hanging = Faults(), Fault("1", "*", "hang", left=1)
        faults.add(hanging)
        faults.take("1", "getme")
        hanging.holding = 1
        faults.add(Fault("2", "*", "500"))
        assert faults.heal("1") == 0
        assert hanging.ended.is_set()

    def test_one_bot_cannot_end_what_was_set_for_all(self):
        faults = Faults()
        faults.add(Fault("*", "*", "500"))
        assert faults.heal("1") == 0
        assert faults.heal() == 1

    def test_there_is_room_for_so_many_faults(self, monkeypatch):
        monkeypatch.setattr("toolkit.sandbox.faults.MAX_FAULTS", 2)
        faults = Faults()
        faults.add(Fault("1", "*", "500", left=0))
        for _ in range(2):
            faults.add(Fault("1", "*", "500"))
        with pytest.raises(ApiError):
            faults.add(Fault("1", "*", "500"))

    @pytest.mark.parametrize("kind", ["401", "599", "hang", "drop", "lost", "garbage", "delay"])
    def test_kinds(self, kind):
        assert valid_kind(kind)

    @pytest.mark.parametrize("kind", ["", "200", "301", "600", "4", "4040", "explode", "4\uff10\uff11"])
    def test_no_kinds(self, kind):
        assert not valid_kind(kind)


class TestAnswers:
    def answer(self, text: str) -> Answer:
        return Answer(
            id=0, method="m", chat_id=1, message_id=1, text=text, reply_markup=None, update_id=None, time=1.0
        )

    def test_ids_have_no_gaps_and_the_oldest_make_room(self):
        log = AnswerLog(limit=2)
        for text in "abc":
            log.add(self.answer(text))
        assert [(each["id"], each["text"]) for each in log.after(0, 9)] == [(2, "b"), (3, "c")]
        assert [each["id"] for each in log.after(2, 9)] == [3]
        assert log.after(3, 9) == []

    def test_waiting_ends_with_the_next_answer(self):
        async def scene() -> list[Answer]:
            log = AnswerLog()
            waiting = asyncio.create_task(log.wait(0, 10))
            await asyncio.sleep(0)
            log.add(self.answer("a"))
            await asyncio.wait_for(waiting, 5)
            return log.after(0, 9)

        assert len(asyncio.run(scene())) == 1


class TestMessages:
    def test_old_ones_may_have_been_there(self):
        store = MessageStore(limit=1)
        for _ in range(2):
            store.add({"message_id": store.new_id(), "chat": {"id": 1}})
        assert store.get(1, 1) is None
        assert store.too_old(1)
        assert store.delete(1, 1)
        assert not store.too_old(2)
        assert store.get(2, 2) is None
        assert store.delete(1, 2)
        assert not store.delete(1, 2)

    def test_a_named_channel_keeps_its_id(self):
        assert named_chat_id("News") == named_chat_id("news") < -1_000_000_000_000


class TestBot:
    def test_update_ids_go_on_rising_when_the_server_starts_again(self, monkeypatch):
        def first_id(at: float) -> int:
            monkeypatch.setattr("time.time", lambda: at)
            return Bot("123").accept("message", {}, About()).id

        assert first_id(1_700_000_000.0) < first_id(1_700_000_001.0)

    def test_kinds_that_must_be_asked_for(self):
        bot = Bot("123")
        assert bot.accept("chat_member", {}, About()) is None
        bot.allowed = frozenset({"chat_member"})
        assert bot.accept("chat_member", {}, About()) is not None
        assert bot.accept("message", {}, About()) is None

    def test_there_is_room_for_so_many_bots(self, monkeypatch):
        monkeypatch.setattr("toolkit.sandbox.state.MAX_BOTS", 1)
        sandbox = Sandbox()
        assert sandbox.bot("123") is sandbox.bot("123")
        with pytest.raises(ApiError) as refused:
            sandbox.bot("124")
        assert refused.value.code == 429


class TestParameters:
    def test_forms_and_json_say_the_same(self):
        form = Args(form_values(b"a=1&b=true&c=%7B%22x%22%3A2%7D&d=text&empty="))
        body = Args(json_values(b'{"a": 1, "b": true, "c": {"x": 2}, "d": "text", "empty": null}'))
        for args in (form, body):
            assert args.integer("a") == 1
            assert args.flag("b") is True
            assert args.json("c", dict, "c") == {"x": 2}
            assert args.text("d") == "text"
            assert args.text("empty") == args.text("missing") == ""
            assert args.json("empty", dict, "c") is None

    @pytest.mark.parametrize("body", [b"[]", b"{", b"\xff", b'"x"', b"[" * 100_000])
    def test_what_is_no_object_is_refused(self, body):
        with pytest.raises(ApiError):
            json_values(body)

    @given(st.binary(max_size=200))
    def test_no_body_is_a_crash(self, body):
        form_values(body)
        with suppress(ApiError):
            json_values(body)

    @given(
        st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none(), st.lists(st.integers()))
    )
    def test_a_number_is_always_a_number(self, value):
        args = Args({"n": value})
        assert isinstance(args.integer("n", 5), int)
        assert isinstance(args.number("n"), float)
        assert isinstance(args.flag("n"), bool)


def test_every_method_of_python_telegram_bot_is_there_or_refused_by_name():
    own = {name for name in vars(telegram.Bot) if name[0].islower() and "_" not in name and name != "token"}
    wanted = {name for name in own if any(letter.isupper() for letter in name)} - {"getUpdates"}
    assert len(wanted) > 150
    missing = {name for name in wanted if methods.name_of(name) != name}
    assert missing == set()
    assert set(ABSENT.split()) <= wanted


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_pauses_grow_and_are_capped(failures, spread):
    assert 0.1 <= pause(failures, spread) <= LONGEST_PAUSE
    assert pause(failures, spread) <= pause(failures + 1, spread)
