"""Faults on demand, seen by python-telegram-bot and by raw calls."""

import asyncio
import json
import threading
import time

import pytest
import telegram
from telegram.error import BadRequest, Conflict, Forbidden, InvalidToken, NetworkError, RetryAfter, TimedOut
from telegram.request import HTTPXRequest

from toolkit.errors import ToolkitError

pytest_plugins = ("tests.fixtures_sandbox",)

KINDS = {
    "400": BadRequest,
    "401": InvalidToken,
    "403": Forbidden,
    "404": InvalidToken,
    "409": Conflict,
    "429": RetryAfter,
    "500": NetworkError,
    "502": NetworkError,
    "503": NetworkError,
    "drop": NetworkError,
    "lost": NetworkError,
    "tls": NetworkError,
    "hang": TimedOut,
    "garbage": telegram.error.TelegramError,
}
METHODS = {
    "getMe": lambda bot: bot.get_me(),
    "deleteWebhook": lambda bot: bot.delete_webhook(),
    "getUpdates": lambda bot: bot.get_updates(read_timeout=1),
    "sendMessage": lambda bot: bot.send_message(9, "hi"),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KINDS)
def test_each_fault_on_each_method_and_the_return(sandbox, api, monkeypatch, kind, method):
    monkeypatch.setenv("PTB_TIMEDELTA", "1")

    async def main():
        requests = [HTTPXRequest(read_timeout=0.5), HTTPXRequest(read_timeout=0.5)]
        bot = telegram.Bot(
            api.token, base_url=sandbox.base_url, request=requests[0], get_updates_request=requests[1]
        )
        async with bot:
            sandbox.fault(api.id, method, kind, count=1, retry_after=3)
            with pytest.raises(KINDS[kind]):
                await METHODS[method](bot)
            await METHODS[method](bot)

    asyncio.run(main())
    counters = sandbox.counters(api.id)
    assert counters["faults"] == 1
    assert counters["errors"] == (1 if kind.isdecimal() else 0)


def test_only_a_lost_call_was_done(sandbox, api):
    for kind in ("drop", "lost"):
        sandbox.fault(api.id, "sendMessage", kind, count=1)
        with pytest.raises((ConnectionError, OSError)):
            api.begin("sendMessage", chat_id=9, text=kind).answer()
    assert [each["text"] for each in sandbox.answers(api.id)] == ["lost"]


def test_a_lost_poll_confirms_and_delivers_nothing_twice_for_good(sandbox, api):
    sandbox.say(api.id, "one")
    sandbox.fault(api.id, "getUpdates", "lost", count=1)
    with pytest.raises((ConnectionError, OSError)):
        api.begin("getUpdates").answer()
    assert len(api.updates()) == 1
    assert sandbox.counters(api.id)["redelivered"] == 1


def test_retry_after_stands_where_telegram_puts_it(sandbox, api):
    sandbox.fault(api.id, "sendMessage", "429", retry_after=7)
    status, body = api.request("GET", f"/bot{api.token}/sendMessage?chat_id=9&text=x")
    answer = json.loads(body)
    assert (status, answer["parameters"]) == (429, {"retry_after": 7})
    assert answer["description"] == "Too Many Requests: retry after 7"
    sandbox.heal(api.id)
    sandbox.fault(api.id, "sendMessage", "502", description="the gateway says so")
    assert api("sendMessage")["description"] == "the gateway says so"


def test_garbage_is_no_json(sandbox, api):
    sandbox.fault(api.id, "getMe", "garbage")
    status, body = api.request("GET", f"/bot{api.token}/getMe")
    assert status == 200
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(body)


def test_it_strikes_until_healed_and_only_where_it_was_set(sandbox, api, new_token):
    sandbox.fault(api.id, "getMe", "500")
    assert [api("getMe")["error_code"] for _ in range(3)] == [500] * 3
    assert api("getWebhookInfo")["ok"]
    assert type(api)(sandbox, new_token())("getMe")["ok"]
    assert sandbox.heal(api.id, "getMe") == 1
    assert api("getMe")["ok"]
    assert sandbox.heal(api.id) == 0


def test_it_strikes_for_so_long(sandbox, api, eventually):
    sandbox.fault(api.id, "*", "500", seconds=0.5)
    assert [each["left"] for each in sandbox.faults() if each["bot_id"] == api.id] == [None]
    assert api("getMe")["error_code"] == 500
    eventually(lambda: api("getMe")["ok"])


def test_delay_is_the_right_answer_late(sandbox, api):
    sandbox.fault(api.id, "getMe", "delay", delay_ms=300)
    begun = time.monotonic()
    assert api("getMe")["ok"]
    assert time.monotonic() - begun >= 0.3


def test_healing_ends_a_delay_and_lets_hanging_calls_go(sandbox, api):
    sandbox.fault(api.id, "getMe", "delay", delay_ms=60_000)
    sandbox.fault(api.id, "sendMessage", "hang", count=1)
    late, hanging = api.begin("getMe"), api.begin("sendMessage", chat_id=9, text="x")
    sandbox.heal(api.id)
    assert late.answer()["ok"]
    with pytest.raises((ConnectionError, OSError)):
        hanging.answer()
    assert sandbox.counters(api.id)["sent"] == 0


def test_a_hang_ends_with_its_time(sandbox, api):
    sandbox.fault(api.id, "getMe", "hang", seconds=0.3)
    with pytest.raises((ConnectionError, OSError)):
        api.begin("getMe").answer()
    assert api("getMe")["ok"]


@pytest.mark.parametrize(("kind", "code"), [("401", 401), ("404", 404), ("409", 409)])
def test_a_poll_that_waits_meets_the_fault_at_once(sandbox, api, kind, code):
    waiting = api.begin("getUpdates", timeout=30)
    sandbox.fault(api.id, "getUpdates", kind, count=1)
    assert waiting.answer()["error_code"] == code
    assert api.updates() == []


def test_a_poll_that_waits_is_dropped_or_hangs_at_once(sandbox, api):
    waiting = api.begin("getUpdates", timeout=30)
    sandbox.fault(api.id, "*", "drop", count=1)
    with pytest.raises((ConnectionError, OSError)):
        waiting.answer()
    hanging = api.begin("getUpdates", timeout=1)
    sandbox.fault(api.id, "getUpdates", "hang", count=1)
    sandbox.wait_until(api.id, lambda counters: counters["faults"] == 2)
    assert api.updates() == []
    hanging.leave()


def test_a_poll_that_waits_outlives_a_fault_of_something_else(sandbox, api):
    waiting = api.begin("getUpdates", timeout=30)
    sandbox.fault(api.id, "sendMessage", "500")
    sandbox.say(api.id, "hello")
    assert len(waiting.answer()["result"]) == 1


def test_a_revoked_token_ends_the_poll_that_waits(sandbox, api):
    waiting = api.begin("getUpdates", timeout=30)
    sandbox.refuse(api.id)
    assert waiting.answer() == {"ok": False, "error_code": 401, "description": "Unauthorized"}
    assert api("getMe")["error_code"] == 401
    assert api.request("GET", f"/file/bot{api.token}/photos/x")[0] == 401


@pytest.mark.parametrize("kind", ["explode", "200", "600", ""])
def test_there_is_no_such_fault(sandbox, api, kind):
    with pytest.raises(ToolkitError, match="a fault is hang, drop"):
        sandbox.fault(api.id, "getMe", kind)


def test_a_client_that_leaves_a_hanging_call_is_forgotten(sandbox, api):
    sandbox.fault(api.id, "getMe", "hang")
    leaving = [api.begin("getMe") for _ in range(3)]
    for each in leaving:
        each.leave()
    sandbox.heal(api.id)
    assert api("getMe")["ok"]


def test_faults_under_load_leave_the_counts_right(sandbox, api):
    sandbox.fault(api.id, "sendMessage", "500", count=25)
    results: list[bool] = []

    def send(number: int) -> None:
        results.extend(api("sendMessage", chat_id=9, text=f"{number} {n}")["ok"] for n in range(20))

    threads = [threading.Thread(target=send, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (results.count(True), results.count(False)) == (75, 25)
    counters = sandbox.counters(api.id)
    assert (counters["sent"], counters["errors"], counters["calls"]["sendMessage"]) == (75, 25, 100)


def test_a_fault_of_no_method_is_refused(sandbox, api):
    with pytest.raises(ToolkitError, match=r"no method getUpdate; did you mean getUpdates\?"):
        sandbox.fault(api.id, "getUpdate", "hang")
    assert "getupdate" not in [fault["method"] for fault in sandbox.faults()]
