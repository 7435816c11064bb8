"""getUpdates and the HTTP around it, as Telegram does them."""

import asyncio
import http.client
import json
import os
import signal
import socket
import ssl
import time

import pytest
import telegram
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest_plugins = ("tests.fixtures_sandbox",)

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}


class TestGetUpdates:
    def test_updates_wait_until_they_are_confirmed(self, sandbox, api):
        first, second = sandbox.say(api.id, "one"), sandbox.say(api.id, "two")
        assert [each["message"]["text"] for each in api.updates()] == ["one", "two"]
        assert [each["update_id"] for each in api.updates(offset=first + 1)] == [second]
        assert [each["update_id"] for each in api.updates()] == [second]
        assert api.updates(offset=second + 1) == []
        assert sandbox.counters(api.id)["pending"] == 0

    def test_limit_and_negative_offset(self, sandbox, api):
        sandbox.flood(api.id, 5)
        assert [each["message"]["text"] for each in api.updates(limit=2)] == ["message 1", "message 2"]
        assert [each["message"]["text"] for each in api.updates(offset=-1)] == ["message 5"]
        assert sandbox.counters(api.id)["pending"] == 1

    @pytest.mark.parametrize("limit", [0, -3, 101, 10**12, "many"])
    def test_a_limit_out_of_range_is_clamped(self, sandbox, api, limit):
        sandbox.flood(api.id, 102)
        assert 1 <= len(api.updates(limit=limit)) <= 100

    def test_a_waiting_poll_gets_an_update_at_once(self, sandbox, api):
        waiting = api.begin("getUpdates", timeout=30)
        sandbox.say(api.id, "hello")
        begun = time.monotonic()
        assert waiting.answer()["result"][0]["message"]["text"] == "hello"
        assert time.monotonic() - begun < 15

    def test_a_poll_ends_empty_when_its_time_is_over(self, sandbox, api):
        begun = time.monotonic()
        assert api.updates(timeout=1) == []
        assert time.monotonic() - begun >= 1
        assert sandbox.counters(api.id)["polling"] is False

    def test_the_earlier_of_two_polls_is_ended(self, sandbox, api):
        earlier = api.begin("getUpdates", timeout=30)
        later = api.begin("getUpdates", timeout=30)
        ended = earlier.answer()
        why = "terminated by other getUpdates request; make sure that only one bot instance is running"
        assert (ended["error_code"], ended["description"]) == (409, f"Conflict: {why}")
        sandbox.say(api.id, "hello")
        assert len(later.answer()["result"]) == 1
        counters = sandbox.counters(api.id)
        assert (counters["polls"], counters["overlapping_polls"]) == (2, 1)

    def test_python_telegram_bot_sees_the_conflict(self, sandbox, api):
        async def polling():
            async with telegram.Bot(api.token, base_url=sandbox.base_url) as bot:
                return await bot.get_updates(timeout=20)

        async def main():
            first = asyncio.create_task(polling())
            await asyncio.to_thread(sandbox.wait_until, api.id, lambda counters: counters["polling"])
            await asyncio.to_thread(api.updates)
            with pytest.raises(telegram.error.Conflict, match="terminated by other getUpdates"):
                await first

        asyncio.run(main())

    def test_one_bots_polls_are_nothing_to_another(self, sandbox, api, new_token):
        waiting = api.begin("getUpdates", timeout=30)
        other = type(api)(sandbox, new_token())
        assert other.updates() == []
        sandbox.say(api.id, "hello")
        assert waiting.answer()["ok"]
        assert sandbox.counters(api.id)["overlapping_polls"] == 0

    def test_a_client_that_leaves_frees_the_poll_at_once(self, sandbox, api):
        api.begin("getUpdates", timeout=30).leave()
        sandbox.wait_until(api.id, lambda counters: not counters["polling"])
        assert api.updates(timeout=0) == []
        assert sandbox.counters(api.id)["overlapping_polls"] == 0

    def test_a_poll_after_one_whose_client_has_left_is_no_overlap_however_busy_the_server_is(
        self, own_sandbox, new_token
    ):
        from tests.fixtures_sandbox import Api

        api = Api(own_sandbox.client, new_token())
        earlier = api.begin("getUpdates", timeout=30)
        later = http.client.HTTPConnection(*api.address, timeout=30)
        later.request("GET", f"/bot{api.token}/getMe")
        later.getresponse().read()
        os.kill(own_sandbox.pid, signal.SIGSTOP)
        try:
            earlier.leave()
            later.request("GET", f"/bot{api.token}/getUpdates")
        finally:
            os.kill(own_sandbox.pid, signal.SIGCONT)
        assert json.loads(later.getresponse().read()) == {"ok": True, "result": []}
        later.close()
        counters = own_sandbox.client.counters(api.id)
        assert (counters["polls"], counters["overlapping_polls"]) == (2, 0)

    def test_setting_a_webhook_ends_the_poll_and_the_next_ones(self, api):
        waiting = api.begin("getUpdates", timeout=30)
        assert api("setWebhook", url="http://127.0.0.1:9/nobody")["result"] is True
        assert waiting.answer()["description"] == "Conflict: terminated by setWebhook request"
        refused = api("getUpdates")
        assert refused["error_code"] == 409
        assert "while webhook is active" in refused["description"]
        assert api("deleteWebhook")["result"] is True
        assert api.updates() == []

    def test_only_the_kinds_that_were_asked_for(self, sandbox, api):
        reaction = {"message_reaction": {"chat": {"id": 1, "type": "private"}, "message_id": 1}}
        assert sandbox.inject(api.id, reaction) is None
        assert api.updates(allowed_updates=["message_reaction"]) == []
        assert sandbox.say(api.id, "not wanted") is None
        assert sandbox.inject(api.id, reaction) is not None
        assert "message_reaction" in api.updates()[0]
        api.updates(allowed_updates=[])
        assert sandbox.say(api.id, "wanted again") is not None

    def test_an_update_is_delivered_again_until_confirmed_and_that_is_counted(self, sandbox, api):
        sandbox.say(api.id, "one")
        api.updates()
        api.updates()
        (record,) = sandbox.updates(api.id)
        assert record["deliveries"] == 2
        assert record["accepted_at"] <= record["delivered_at"]
        counters = sandbox.counters(api.id)
        assert (counters["delivered"], counters["redelivered"]) == (1, 1)


class TestHttp:
    @pytest.mark.parametrize("method", ["sendMessage", "sendmessage", "SENDMESSAGE"])
    def test_every_way_to_pass_parameters(self, api, method):
        path = f"/bot{api.token}/{method}"
        multipart = (
            b'--b\r\nContent-Disposition: form-data; name="chat_id"\r\n\r\n5\r\n'
            b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\nhi\r\n--b--\r\n'
        )
        ways = [
            ("GET", f"{path}?chat_id=5&text=hi", b"", {}),
            ("POST", f"{path}?chat_id=5&text=hi", b"", {}),
            ("POST", path, b"chat_id=5&text=hi", FORM),
            ("POST", path, b'{"chat_id": 5, "text": "hi"}', JSON),
            (
                "POST",
                path,
                b'{"chat_id": "5", "text": "hi"}',
                {"Content-Type": "application/json; charset=utf-8"},
            ),
            ("POST", path, multipart, {"Content-Type": "multipart/form-data; boundary=b"}),
        ]
        for way in ways:
            status, answer = api.request(*way)
            assert (status, json.loads(answer)["result"]["text"]) == (200, "hi"), way

    @pytest.mark.parametrize(
        ("path", "code", "description"),
        [
            ("/bot{}/makeCoffee", 404, "Not Found: method not found"),
            ("/bot{}/", 404, "Not Found"),
            ("/bot{}", 404, "Not Found"),
            ("/botnonsense/getMe", 404, "Not Found"),
            ("/bot123/getMe", 404, "Not Found"),
            ("/bot/getMe", 404, "Not Found"),
            ("/", 404, "Not Found"),
            ("/elsewhere", 404, "Not Found"),
            ("/file/bot{}/photos/none", 404, "Not Found"),
            ("/sandbox/none", 404, "Not Found"),
        ],
    )
    def test_what_is_not_there(self, api, path, code, description):
        status, answer = api.request("GET", path.format(api.token))
        assert status == code
        assert json.loads(answer) == {"ok": False, "error_code": code, "description": description}

    @pytest.mark.parametrize(
        ("body", "headers"),
        [
            (b"{", JSON),
            (b"[1]", JSON),
            (b"\xff\xfe", JSON),
            (b"--x", {"Content-Type": "multipart/form-data; boundary=b"}),
            (b"--x", {"Content-Type": "multipart/form-data"}),
        ],
    )
    def test_a_body_that_cannot_be_read(self, api, body, headers):
        status, answer = api.request("POST", f"/bot{api.token}/sendMessage", body, headers)
        assert (status, json.loads(answer)["ok"]) == (400, False)

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        method=st.sampled_from(
            ["sendMessage", "getUpdates", "setWebhook", "sendPhoto", "setMyCommands", "getMe"]
        ),
        body=st.dictionaries(
            st.sampled_from(
                ["chat_id", "text", "offset", "reply_markup", "url", "photo", "commands", "entities"]
            ),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.text(max_size=9),
                lambda inner: (
                    st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
                ),
                max_leaves=5,
            ),
        ),
    )
    def test_no_parameters_break_it(self, api, method, body):
        status, answer = api.request("POST", f"/bot{api.token}/{method}", json.dumps(body).encode(), JSON)
        assert status in (200, 400, 409)
        assert json.loads(answer)["ok"] is (status == 200)
        api("deleteWebhook")

    def test_what_is_no_http_hurts_nobody(self, sandbox, api):
        for garbage in (b"\x16\x03\x01\x00", b"GET / HTTP/9\r\n\r\n", b"\r\n" * 50, os.urandom(2000)):
            with socket.create_connection(api.address, timeout=10) as peer:
                peer.sendall(garbage)
                peer.shutdown(socket.SHUT_WR)
                peer.recv(1000)
        assert sandbox.health()["sandbox"] is True

    def test_a_client_that_expects_tls_is_told_so_by_its_own_library(self, api):
        context = ssl.create_default_context()
        with socket.create_connection(api.address, timeout=10) as peer, pytest.raises(ssl.SSLError):
            context.wrap_socket(peer, server_hostname="localhost")

    def test_half_a_request_waits_and_hurts_nobody(self, api):
        with socket.create_connection(api.address, timeout=10) as peer:
            peer.sendall(
                f"POST /bot{api.token}/sendMessage HTTP/1.1\r\nContent-Length: 50\r\n\r\n{{".encode()
            )
            assert api("getMe")["ok"]

    def test_a_body_beyond_all_measure_is_refused(self, api):
        with socket.create_connection(api.address, timeout=20) as peer:
            head = f"POST /bot{api.token}/sendMessage HTTP/1.1\r\nHost: x\r\nContent-Length: 60000000\r\n\r\n"
            peer.sendall(head.encode())
            try:
                for _ in range(60):
                    peer.sendall(bytes(1_000_000))
            except (BrokenPipeError, ConnectionResetError):
                pass
            else:
                assert b" 413 " in peer.recv(1000)
        assert api("getMe")["ok"]

    def test_many_calls_on_one_connection_and_pipelined_ones(self, api):
        call = f"GET /bot{api.token}/getMe HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        with socket.create_connection(api.address, timeout=10) as peer:
            peer.sendall(call * 5)
            received = b""
            while received.count(b'"ok":true') < 5:
                data = peer.recv(65536)
                assert data, received
                received += data
        assert received.count(b"HTTP/1.1 200") == 5


def test_it_ends_while_calls_wait_and_drops_them(own_sandbox, new_token):
    from tests.fixtures_sandbox import Api

    api = Api(own_sandbox.client, new_token())
    own_sandbox.client.fault(api.id, "getMe", "hang")
    waiting = [api.begin("getUpdates", timeout=50), api.begin("getMe")]
    assert own_sandbox.stop(signal.SIGTERM) == 0
    for each in waiting:
        with pytest.raises(ConnectionError):
            each.answer()
    # Had they been waited for until the grace was over, it would say so.
    assert own_sandbox.log() == ""


def test_after_a_restart_new_updates_are_newer_than_old_ones(own_sandbox, new_token):
    bot_id = new_token().partition(":")[0]
    before = own_sandbox.client.say(bot_id, "one")
    own_sandbox.kill()
    own_sandbox.start()
    assert own_sandbox.client.say(bot_id, "two") > before


def test_many_bots_poll_at_once(own_sandbox, new_token):
    from tests.fixtures_sandbox import Api

    bots = [Api(own_sandbox.client, new_token()) for _ in range(30)]
    waiting = [bot.begin("getUpdates", timeout=30) for bot in bots]
    for bot in bots:
        own_sandbox.client.say(bot.id, f"hello {bot.id}")
    assert [each.answer()["result"][0]["message"]["text"] for each in waiting] == [
        f"hello {bot.id}" for bot in bots
    ]
    assert len(own_sandbox.client.bots()) == 30
