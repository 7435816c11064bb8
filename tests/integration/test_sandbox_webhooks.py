"""Delivery to a webhook: a real HTTP server receives what the sandbox posts."""

import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

pytest_plugins = ("tests.fixtures_sandbox",)

SECRET = "X-Telegram-Bot-Api-Secret-Token"


class Receiver:
    """An HTTP server that keeps what it gets. ``statuses`` are used up first, then it answers 200."""

    def __init__(self) -> None:
        self.updates: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.statuses: list[int] = []
        self.reply: bytes = b""
        self.reply_type = "application/json"
        self.changed = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with receiver.changed:
                    status = receiver.statuses.pop(0) if receiver.statuses else 200
                    receiver.updates.append(body)
                    receiver.headers.append(dict(self.headers))
                    receiver.changed.notify_all()
                if status == 0:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Type", receiver.reply_type)
                self.send_header("Content-Length", str(len(receiver.reply)))
                self.end_headers()
                self.wfile.write(receiver.reply)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"

    def wait(self, count: int) -> list[dict[str, Any]]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.updates) >= count, 20), self.updates
            return list(self.updates)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture
def hooked(api) -> Iterator[Any]:
    yield api
    api("deleteWebhook")


def test_updates_arrive_with_the_secret(sandbox, hooked, receiver):
    sandbox.say(hooked.id, "before")
    assert hooked("setWebhook", url=receiver.url, secret_token="s3cret")["result"] is True
    receiver.wait(1)
    sandbox.say(hooked.id, "after")
    assert [each["message"]["text"] for each in receiver.wait(2)] == ["before", "after"]
    assert {headers[SECRET] for headers in receiver.headers} == {"s3cret"}
    assert receiver.headers[0]["Content-Type"] == "application/json"
    counters = sandbox.wait_until(hooked.id, lambda counters: counters["pending"] == 0)
    assert (counters["delivered"], counters["redelivered"], counters["webhook"]) == (2, 0, receiver.url)


def test_what_is_refused_is_tried_again_and_told(sandbox, hooked, receiver):
    receiver.statuses = [500, 0, 599, 404]
    hooked("setWebhook", url=receiver.url)
    sandbox.say(hooked.id, "again")
    assert len({each["update_id"] for each in receiver.wait(5)}) == 1
    sandbox.wait_until(hooked.id, lambda counters: counters["pending"] == 0)
    info = hooked("getWebhookInfo")["result"]
    assert info["last_error_message"] == "Wrong response from the webhook: 404 Not Found"
    assert info["last_error_date"] > 0
    assert info["pending_update_count"] == 0
    assert sandbox.updates(hooked.id)[0]["deliveries"] == 5


def test_nobody_listens(sandbox, hooked, receiver, eventually):
    hooked("setWebhook", url="http://127.0.0.1:9/nobody")
    sandbox.say(hooked.id, "hello")
    sandbox.wait_until(hooked.id, lambda counters: counters["delivered"] == 1)
    eventually(lambda: "last_error_message" in hooked("getWebhookInfo")["result"])
    info = hooked("getWebhookInfo")["result"]
    assert (info["last_error_message"], info["pending_update_count"]) == ("Connection refused", 1)
    hooked("setWebhook", url=receiver.url)
    assert receiver.wait(1)[0]["message"]["text"] == "hello"
    assert "last_error_message" not in hooked("getWebhookInfo")["result"]


def test_the_order_within_a_chat_holds_also_over_failures(sandbox, hooked, receiver):
    receiver.statuses = [503, 200, 200, 503]
    hooked("setWebhook", url=receiver.url, max_connections=4)
    sandbox.flood(hooked.id, 40, text="{n}", chats=4)
    sandbox.wait_until(hooked.id, lambda counters: counters["pending"] == 0, timeout=30)
    by_chat = defaultdict(list)
    for each in receiver.updates:
        by_chat[each["message"]["chat"]["id"]].append(int(each["message"]["text"]))
    for heard in by_chat.values():
        assert heard == sorted(heard)
        assert len(set(heard)) == 10


def test_the_answer_may_hold_a_call(sandbox, hooked, receiver):
    receiver.reply = json.dumps({"method": "sendMessage", "chat_id": 9, "text": "from the hook"}).encode()
    hooked("setWebhook", url=receiver.url)
    sandbox.say(hooked.id, "hello", chat_id=9)
    (answer,) = sandbox.wait_for_answers(hooked.id, 1)
    assert (answer["text"], answer["update_id"] is not None) == ("from the hook", True)
    receiver.reply, receiver.reply_type = (
        b"method=sendMessage&chat_id=9&text=a+form",
        "application/x-www-form-urlencoded",
    )
    sandbox.say(hooked.id, "again", chat_id=9)
    assert sandbox.wait_for_answers(hooked.id, 1, after=1)[0]["text"] == "a form"


@pytest.mark.parametrize(
    "reply",
    [b"{", b"[]", b'{"method": 5}', b'{"method": "setWebhook"}', b'{"method": "sendMessage"}', b"\xff"],
)
def test_an_answer_that_is_no_call_hurts_nobody(sandbox, hooked, receiver, reply):
    receiver.reply = reply
    hooked("setWebhook", url=receiver.url)
    sandbox.say(hooked.id, "one")
    sandbox.say(hooked.id, "two")
    sandbox.wait_until(hooked.id, lambda counters: counters["pending"] == 0)
    assert hooked("getWebhookInfo")["result"]["url"] == receiver.url


def test_dropping_what_waits(sandbox, hooked, receiver):
    sandbox.flood(hooked.id, 3)
    hooked("setWebhook", url=receiver.url, drop_pending_updates=True)
    sandbox.say(hooked.id, "the only one")
    assert receiver.wait(1)[0]["message"]["text"] == "the only one"


def test_after_deletion_updates_wait_for_polls(sandbox, hooked, receiver):
    hooked("setWebhook", url=receiver.url)
    hooked("deleteWebhook")
    sandbox.say(hooked.id, "polled")
    assert hooked.updates()[0]["message"]["text"] == "polled"
    assert receiver.updates == []


def test_kinds_and_certificate_are_told(hooked, receiver):
    hooked("setWebhook", url=receiver.url, allowed_updates=["message"], max_connections=7)
    info = hooked("getWebhookInfo")["result"]
    assert (info["allowed_updates"], info["max_connections"]) == (["message"], 7)
    assert (info["has_custom_certificate"], info["ip_address"]) == (False, "127.0.0.1")


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ({"url": "http://example.org/"}, "loopback addresses only"),
        ({"url": "https://10.0.0.1/"}, "loopback addresses only"),
        ({"url": "ftp://127.0.0.1/"}, "loopback addresses only"),
        ({"url": "http://127.0.0.1:99999/"}, "loopback addresses only"),
        ({"url": "http://[::1"}, "loopback addresses only"),
        ({"url": "nonsense"}, "loopback addresses only"),
        ({"url": "http://127.0.0.1:9/", "secret_token": "with blank"}, "unallowed characters"),
    ],
)
def test_webhooks_that_are_refused(api, parameters, why):
    answer = api("setWebhook", **parameters)
    assert answer["error_code"] == 400
    assert why in answer["description"]


def test_it_ends_while_deliveries_hang(own_sandbox, new_token, receiver):
    from tests.fixtures_sandbox import Api

    api = Api(own_sandbox.client, new_token())
    receiver.statuses = [500] * 1000
    api("setWebhook", url=receiver.url)
    own_sandbox.client.flood(api.id, 50, chats=50)
    receiver.wait(10)
    assert own_sandbox.stop() == 0
