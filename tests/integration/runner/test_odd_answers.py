"""A Bot API that answers polls as none should: the bot neither ends by it, nor asks it without end."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from toolkit.lifecycle import FailureClass

ME = {"id": 1, "is_bot": True, "first_name": "Odd", "username": "oddbot"}
MESSAGE = {"message_id": 1, "date": 1, "chat": {"id": 7, "type": "private"}, "text": "hi"}
SEEN_S = 3.0


class OddApi:
    """A server with an answer to every poll that is given at once, and right ones to the other methods.

    Attributes:
        page: status and body that all methods are answered with, as by a proxy; none where the body is empty.
    """

    def __init__(self):
        self.updates, self.polls = [], 0
        self.page = (200, b"")
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                status, body = api.page
                if not body:
                    result = api.answer(self.path.rpartition("/")[2])
                    body = json.dumps({"ok": True, "result": result}).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, method):
        if method == "getUpdates":
            self.polls += 1
            return self.updates
        return {"getMe": ME, "sendMessage": MESSAGE}.get(method, True)


@pytest.fixture
def odd_api():
    api = OddApi()
    yield api
    api.server.shutdown()
    api.server.server_close()


@pytest.mark.parametrize("message", [MESSAGE, 5], ids=["readable", "unreadable"])
def test_what_is_no_updates_id_makes_no_sense_and_ends_nothing(new_bot, odd_api, message):
    bot = new_bot(odd_api.url)
    bot.up()
    for number in ("5", 5.5, True, -5, 2**63, 2**64):
        odd_api.updates = [{"update_id": number, "message": message}]
        bot.until("DEGRADED", "makes no sense")
        odd_api.updates = []
        bot.until("RUNNING")
    assert bot.stop() == 0


@pytest.mark.parametrize("updates", [[], [{"update_id": 5, "message": MESSAGE}]], ids=["none", "old"])
def test_a_server_that_does_not_wait_is_not_asked_without_end(new_bot, odd_api, eventually, updates):
    bot = new_bot(odd_api.url)
    bot.up()
    odd_api.updates = updates
    eventually(lambda: "answers at once and has nothing new" in bot.log(), "it is told")
    polls, began = odd_api.polls, time.monotonic()
    eventually(lambda: time.monotonic() - began > SEEN_S, "some time has passed")
    assert odd_api.polls - polls < 20 * SEEN_S
    assert bot.until("RUNNING")["ready"]
    assert bot.stop() == 0


@pytest.mark.parametrize("body", [b"<html>Log in</html>", b"[]", b"1"], ids=["page", "list", "number"])
def test_a_401_of_a_proxy_is_no_refused_token(new_bot, odd_api, body):
    bot = new_bot(odd_api.url)
    odd_api.page = 401, body
    bot.start()
    bot.until("INITIALIZING", "by a proxy")
    odd_api.page = 200, b""
    bot.until("RUNNING")
    odd_api.page = 401, body
    bot.until("DEGRADED", "by a proxy")
    odd_api.page = 401, b'{"ok": false, "error_code": 401, "description": "Unauthorized"}'
    assert bot.ended() == FailureClass.TOKEN_REFUSED.code


def test_a_page_of_a_proxy_is_in_the_log_once(new_bot, odd_api):
    bot = new_bot(odd_api.url)
    odd_api.page = 502, b"<html>Bad Gateway</html>"
    bot.start()
    bot.until("INITIALIZING", "Bad Gateway")
    odd_api.page = 200, b""
    bot.until("RUNNING")
    odd_api.page = 502, b"<html>Bad Gateway</html>"
    bot.until("DEGRADED", "Bad Gateway")
    assert bot.stop() == 0
    assert len(bot.messages("telegram.request.BaseRequest")) == 1
