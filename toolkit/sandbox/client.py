"""Speak to a running sandbox as a user, read what bots answered, set faults. Standard library only."""

import http.client
import json
import re
import time
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlencode, urlsplit

from toolkit.errors import ToolkitError, UsageError
from toolkit.sandbox.shapes import Answer, Counters, FaultRecord, Flood, UpdateRecord

ANY = "*"
_LONGEST_POLL = 20.0
_QUIET = 0.1
_STEP = 0.02
# Messages a second that a busy machine takes at the least.
_FLOOD_RATE = 2000
_PORTS = {"http": 80, "https": 443}
_URL = re.compile(r"https?://[^\s/?#@]+/?")


class SandboxClient:
    """The control API of one sandbox. Each call is a connection of its own: threads may share a client.

    Parameters:
        url: such as ``http://127.0.0.1:8081``; with https, ``SSL_CERT_FILE`` names whom to trust.
        timeout: seconds that a call may take beyond what it is told to wait.

    Raises:
        UsageError: it is no URL of a server.
    """

    def __init__(self, url: str, timeout: float = 10.0) -> None:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host = None
        if not host or not _URL.fullmatch(url):
            raise UsageError(f"{url} is no sandbox", "name one, such as http://127.0.0.1:8081")
        self.url = url.rstrip("/")
        self._host, self._port, self._timeout = host, port or _PORTS[parts.scheme], timeout
        self._tls = parts.scheme == "https"

    @property
    def base_url(self) -> str:
        """What python-telegram-bot calls ``base_url``."""
        return f"{self.url}/bot"

    @property
    def base_file_url(self) -> str:
        """What python-telegram-bot calls ``base_file_url``."""
        return f"{self.url}/file/bot"

    def health(self) -> dict[str, Any]:
        """Version, process id and time of the server."""
        return cast("dict[str, Any]", self._call("GET", "health"))

    def say(self, bot_id: str, text: str, chat_id: int | None = None, user: Any = None) -> int | None:
        """Send text to a bot as a user.

        Parameters:
            bot_id: the digits before the token's colon.
            text: commands in it are marked as Telegram marks them.
            chat_id: by default the user's private chat; a negative one is a group.
            user: an id, or an object with ``id`` and names.

        Returns:
            The update's id; None where the bot did not ask for such updates.
        """
        return cast("int | None", self._say(bot_id, text=text, chat_id=chat_id, user=user)["update_id"])

    def press(
        self, bot_id: str, button: str, chat_id: int | None = None, message_id: int | None = None
    ) -> int | None:
        """Press the inline button of that data or text, under the newest message that has it.

        Returns:
            As ``say``.
        """
        order = self._say(bot_id, callback=button, chat_id=chat_id, message_id=message_id)
        return cast("int | None", order["update_id"])

    def inject(self, bot_id: str, update: dict[str, Any]) -> int | None:
        """Give a bot any update, such as ``{"inline_query": {"query": "x"}}``.

        Returns:
            As ``say``.
        """
        return cast("int | None", self._say(bot_id, update=update)["update_id"])

    def ask(
        self, bot_id: str, text: str, timeout: float = 10.0, chat_id: int | None = None, user: Any = None
    ) -> list[Answer]:
        """Send text to a bot and give what it answers in that chat.

        Parameters:
            bot_id, text, chat_id, user: as for ``say``.
            timeout: seconds to wait for the first answer; more that come right behind it are given too.

        Returns:
            The answers; empty where none came in time.
        """
        return self._answers_to(bot_id, timeout, text=text, chat_id=chat_id, user=user)

    def ask_by_button(
        self, bot_id: str, button: str, timeout: float = 10.0, chat_id: int | None = None
    ) -> list[Answer]:
        """Press an inline button, as ``press``, and give what the bot answers, as ``ask``."""
        return self._answers_to(bot_id, timeout, callback=button, chat_id=chat_id)

    def flood(
        self, bot_id: str, count: int, text: str = "message {n}", chats: int = 1, rate: float = 0.0
    ) -> Flood:
        """Send a bot many messages.

        Parameters:
            bot_id: of the bot.
            count: how many.
            text: ``{n}`` becomes the number, from 1.
            chats: over how many private chats they are spread.
            rate: how many a second, sent behind the caller's back; 0 for all at once.
        """
        order = {"bot_id": bot_id, "count": count, "text": text, "chats": chats, "rate": rate}
        return cast("Flood", self._call("POST", "flood", order, wait=count / _FLOOD_RATE))

    def answers(self, bot_id: str, after: int = 0, timeout: float = 0.0) -> list[Answer]:
        """What a bot showed after the answer ``after``, at most 1,000.

        Parameters:
            bot_id: of the bot.
            after: the last answer's id that is known; 0 for all that are kept.
            timeout: seconds to wait until there is one.
        """
        deadline = time.monotonic() + timeout
        while True:
            left = max(0.0, deadline - time.monotonic())
            wait = min(left, _LONGEST_POLL)
            query = {"bot_id": bot_id, "after": after, "timeout": wait}
            found = cast("list[Answer]", self._call("GET", "answers", query=query, wait=wait))
            if found or left <= _LONGEST_POLL:
                return found

    def wait_for_answers(
        self, bot_id: str, count: int, after: int = 0, timeout: float = 10.0
    ) -> list[Answer]:
        """At least so many answers after the answer ``after``, or what there is when the time is over."""
        deadline, found = time.monotonic() + timeout, list[Answer]()
        while len(found) < count and (left := deadline - time.monotonic()) > 0:
            found += self.answers(bot_id, found[-1]["id"] if found else after, left)
        return found

    def bots(self) -> list[Counters]:
        """The counters of all bots."""
        return cast("list[Counters]", self._call("GET", "bots"))

    def counters(self, bot_id: str) -> Counters:
        """The counters of one bot; a bot that was never seen has zeros."""
        return cast("list[Counters]", self._call("GET", "bots", query={"bot_id": bot_id}))[0]

    def wait_until(
        self, bot_id: str, condition: Callable[[Counters], bool], timeout: float = 10.0
    ) -> Counters:
        """Wait until the counters of a bot fulfil a condition.

        Returns:
            The counters that do.

        Raises:
            ToolkitError: they did not in time; the message holds the last ones.
        """
        deadline = time.monotonic() + timeout
        while not condition(counters := self.counters(bot_id)):
            if time.monotonic() > deadline:
                raise ToolkitError(f"bot {bot_id} did not get there in {timeout} s: {counters}")
            time.sleep(_STEP)
        return counters

    def updates(self, bot_id: str, state: str = "all", limit: int = 1000) -> list[UpdateRecord]:
        """What became of a bot's newest updates.

        Parameters:
            bot_id: of the bot.
            state: ``unanswered``, ``answered``, ``twice`` or ``all``.
            limit: how many at most.
        """
        query = {"bot_id": bot_id, "state": state, "limit": limit}
        return cast("list[UpdateRecord]", self._call("GET", "updates", query=query))

    def fault(
        self,
        bot_id: str,
        method: str,
        kind: str,
        *,
        count: int | None = None,
        seconds: float | None = None,
        retry_after: int = 0,
        delay_ms: float = 0.0,
        description: str = "",
    ) -> int:
        """Put a fault in force, until it is healed where neither ``count`` nor ``seconds`` is given.

        Parameters:
            bot_id: of the bot, or ``*``.
            method: such as ``getUpdates``, or ``*``.
            kind: one of ``faults.KINDS``, or an HTTP status from 400 to 599.
            count: how many calls it strikes.
            seconds: how long it strikes.
            retry_after: seconds that a 429 asks for.
            delay_ms: how late it strikes.
            description: what an HTTP status says instead of Telegram's words.

        Returns:
            The fault's id.
        """
        order = {
            "bot_id": bot_id,
            "method": method,
            "kind": kind,
            "count": count,
            "seconds": seconds,
            "retry_after": retry_after,
            "delay_ms": delay_ms,
            "description": description,
        }
        return int(self._call("POST", "fault", order)["fault_id"])

    def faults(self) -> list[FaultRecord]:
        """The faults in force."""
        return cast("list[FaultRecord]", self._call("GET", "faults"))

    def heal(self, bot_id: str = ANY, method: str = ANY) -> int:
        """End the faults of a bot and method; how many there were."""
        return int(self._call("POST", "heal", {"bot_id": bot_id, "method": method})["healed"])

    def refuse(self, bot_id: str) -> None:
        """Answer every call of a bot with 401, as if its token was revoked."""
        self._call("POST", "refuse", {"bot_id": bot_id})

    def allow(self, bot_id: str) -> None:
        """Take the bot's token again."""
        self._call("POST", "allow", {"bot_id": bot_id})

    def forget(self, bot_id: str) -> None:
        """Start a bot anew: no updates, no answers, all counters zero."""
        self._call("POST", "forget", {"bot_id": bot_id})

    def _answers_to(self, bot_id: str, timeout: float, **order: Any) -> list[Answer]:
        said = self._say(bot_id, **order)
        deadline, after, found = time.monotonic() + timeout, said["after"], list[Answer]()
        while True:
            left = max(0.0, deadline - time.monotonic())
            batch = self.answers(bot_id, after, min(left, _QUIET) if found else left)
            found += [each for each in batch if each["chat_id"] == said["chat_id"]]
            if not batch or time.monotonic() >= deadline:
                return found
            after = batch[-1]["id"]

    def _say(self, bot_id: str, **order: Any) -> dict[str, Any]:
        given = {key: value for key, value in order.items() if value is not None}
        return cast("dict[str, Any]", self._call("POST", "say", {"bot_id": bot_id, **given}))

    def _call(
        self, verb: str, name: str, order: Any = None, query: dict[str, Any] | None = None, wait: float = 0.0
    ) -> Any:
        path = f"/sandbox/{name}" + (f"?{urlencode(query)}" if query else "")
        kind = http.client.HTTPSConnection if self._tls else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=self._timeout + wait)
        try:
            body = None if order is None else json.dumps(order)
            connection.request(verb, path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ToolkitError(
                f"no sandbox answers at {self.url}: {error}", "start one with `toolkit sandbox`"
            ) from None
        finally:
            connection.close()
        if response.status != http.client.OK:
            refusal = UsageError if response.status == http.client.BAD_REQUEST else ToolkitError
            raise refusal(f"the sandbox refused it: {answer.get('error') or answer.get('description')}")
        return answer
