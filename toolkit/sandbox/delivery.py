"""Deliver updates to a webhook: https://core.telegram.org/bots/api#setwebhook.

Updates of one chat go one after another, those of different chats side by side, up to the webhook's
``max_connections``. What is not answered with 2xx is tried again, after a growing, jittered pause.
"""

import asyncio
import functools
import random
import ssl
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import httpx

from toolkit.sandbox.args import Args, form_values, json_values
from toolkit.sandbox.bot import Bot, Webhook
from toolkit.sandbox.pending import Update
from toolkit.sandbox.replies import ApiError, phrase

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 20.0
_TIMEOUT = httpx.Timeout(60.0).as_dict()
_SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 the header's name
_NOT_IN_AN_ANSWER = frozenset({"deletewebhook", "setwebhook", "close", "logout"})
Execute = Callable[[Bot, str, Args], Any]


@functools.cache
def _any_certificate() -> ssl.SSLContext:
    """Certificates of this machine's own addresses are made for trials: every one will do."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def pause(failures: int, spread: float) -> float:
    """Seconds until the next try.

    Parameters:
        failures: how many tries failed so far, from 1.
        spread: 0 to 1, at random.
    """
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 1, 30)) * (0.5 + spread / 2)


class Delivery:
    """Delivers the updates of one bot to one webhook until it is stopped.

    Parameters:
        bot: whose updates.
        webhook: where to.
        execute: does the method that a webhook's answer names.
    """

    def __init__(self, bot: Bot, webhook: Webhook, execute: Execute) -> None:
        self._bot, self._webhook, self._execute = bot, webhook, execute
        self._lanes: dict[int, deque[Update]] = {}
        self._ready: deque[int] = deque()
        self._failures: dict[int, int] = {}
        self._workers: set[asyncio.Task[None]] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        # One transport for each delivery under way: httpx looks through a pool's connections and waiting
        # requests at every request, which at 40 takes four times as long as all the rest.
        self._idle: list[httpx.AsyncHTTPTransport] = []
        for update in bot.queue.all():
            self.add(update)

    def add(self, update: Update) -> None:
        """Deliver this update too."""
        lane = self._lanes.setdefault(update.chat_id, deque())
        lane.append(update)
        if len(lane) == 1:
            self._make_ready(update.chat_id)

    async def stop(self) -> None:
        """Deliver no more; what is under way is broken off."""
        for timer in self._timers:
            timer.cancel()
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        for transport in self._idle:
            await transport.aclose()

    def _make_ready(self, chat_id: int) -> None:
        self._ready.append(chat_id)
        if len(self._workers) < self._webhook.max_connections:
            worker = asyncio.get_running_loop().create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    async def _work(self) -> None:
        while self._ready:
            chat_id = self._ready.popleft()
            lane = self._lanes[chat_id]
            error = await self._post(lane[0])
            if not error:
                self._failures.pop(chat_id, None)
                self._bot.queue.confirm(lane.popleft().id)
                if lane:
                    self._ready.append(chat_id)
                else:
                    del self._lanes[chat_id]
                continue
            self._bot.webhook_error = (time.time(), error)
            self._failures[chat_id] = self._failures.get(chat_id, 0) + 1
            self._later(chat_id, pause(self._failures[chat_id], random.random()))  # noqa: S311 no secret

    def _later(self, chat_id: int, seconds: float) -> None:
        def wake() -> None:
            self._timers.discard(timer)
            self._make_ready(chat_id)

        timer = asyncio.get_running_loop().call_later(seconds, wake)
        self._timers.add(timer)

    async def _post(self, update: Update) -> str:
        headers = {"Content-Type": "application/json"}
        if self._webhook.secret:
            headers[_SECRET_HEADER] = self._webhook.secret
        self._bot.ledger.deliver(update, time.time())
        try:
            response = await self._exchange(update.body, headers)
        except httpx.TimeoutException:
            return "Read timeout expired"
        except httpx.ConnectError:
            return "Connection refused"
        except httpx.HTTPError:
            return "Webhook connection closed"
        if not response.is_success:
            words = response.reason_phrase or phrase(response.status_code)
            return f"Wrong response from the webhook: {response.status_code} {words}"
        self._obey(response)
        return ""

    async def _exchange(self, body: bytes, headers: dict[str, str]) -> httpx.Response:
        transport = self._idle.pop() if self._idle else httpx.AsyncHTTPTransport(verify=_any_certificate())
        request = httpx.Request(
            "POST", self._webhook.url, content=body, headers=headers, extensions={"timeout": _TIMEOUT}
        )
        try:
            response = await transport.handle_async_request(request)
            try:
                await response.aread()
            finally:
                await response.aclose()
            return response
        finally:
            self._idle.append(transport)

    def _obey(self, response: httpx.Response) -> None:
        """Do the method in a webhook's answer; whether it went well is told to nobody, as with Telegram."""
        try:
            is_json = response.headers.get("content-type", "").startswith("application/json")
            values = (json_values if is_json else form_values)(response.content)
            name = str(values.get("method", "")).lower()
            if name and name not in _NOT_IN_AN_ANSWER and not name.startswith("get"):
                self._bot.calls[name] += 1
                self._execute(self._bot, name, Args(values))
        except ApiError:
            self._bot.errors += 1


class Deliveries:
    """The deliveries of all bots.

    Parameters:
        execute: does the method that a webhook's answer names.
    """

    def __init__(self, execute: Execute) -> None:
        self._execute = execute
        self._running: dict[Bot, Delivery] = {}
        self._stopping: set[asyncio.Task[None]] = set()

    def changed(self, bot: Bot) -> None:
        """The bot's webhook was set or deleted."""
        old = self._running.pop(bot, None)
        if old is not None:
            task = asyncio.get_running_loop().create_task(old.stop())
            self._stopping.add(task)
            task.add_done_callback(self._stopping.discard)
        if bot.webhook is not None:
            self._running[bot] = Delivery(bot, bot.webhook, self._execute)

    def update(self, bot: Bot, update: Update) -> None:
        """The bot got an update."""
        delivery = self._running.get(bot)
        if delivery is not None:
            delivery.add(update)

    async def close(self) -> None:
        """Stop all."""
        running, self._running = self._running, {}
        await asyncio.gather(*(each.stop() for each in running.values()), *self._stopping)
