"""The control API under ``/sandbox/``: play the user, read what bots did, set faults.

Bodies and answers are JSON; ``shapes.py`` tells their fields. A call that is refused is answered with
``{"error": …}``. There is no secret: the server listens on this machine only, and a web page cannot call it
since every POST must say that it is JSON.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from toolkit.sandbox import methods, user
from toolkit.sandbox.bot import Bot
from toolkit.sandbox.faults import ANY, WORDS, Fault, valid_kind
from toolkit.sandbox.pending import MAX_PENDING, QueueFullError, Update
from toolkit.sandbox.replies import ApiError, bad_request, encode
from toolkit.sandbox.shapes import Flood
from toolkit.sandbox.state import Sandbox

MAX_WAIT = 60.0
MAX_LIST = 1000
MAX_FLOODS = 100
_CHUNK = 500


class BotQuestion(msgspec.Struct, forbid_unknown_fields=True):
    """A bot, or ``*`` for all."""

    bot_id: str = ANY


class Say(msgspec.Struct, forbid_unknown_fields=True):
    """Exactly one of text, callback and update."""

    bot_id: str
    text: str | None = None
    callback: str | None = None
    update: dict[str, Any] | None = None
    chat_id: int | None = None
    message_id: int | None = None
    user: int | dict[str, Any] | None = None


class FloodOrder(msgspec.Struct, forbid_unknown_fields=True):
    """Many messages; ``rate`` is how many a second, 0 for all at once."""

    bot_id: str
    count: int
    text: str = "message {n}"
    chats: int = 1
    rate: float = 0.0


class FaultOrder(msgspec.Struct, forbid_unknown_fields=True):
    """A fault for the next ``count`` calls, for ``seconds``, or until it is healed."""

    kind: str | int
    bot_id: str = ANY
    method: str = ANY
    count: int | None = None
    seconds: float | None = None
    retry_after: int = 0
    delay_ms: float = 0.0
    description: str = ""


class Heal(msgspec.Struct, forbid_unknown_fields=True):
    """The faults of a bot and method, or of all."""

    bot_id: str = ANY
    method: str = ANY


def _answer(value: Any, status: int = 200) -> Response:
    return Response(encode(value), status, media_type="application/json")


Handler = Callable[[Request], Awaitable[Any]]


class Control:
    """The handlers of the control API.

    Parameters:
        sandbox: what they act on.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._floods: set[asyncio.Task[None]] = set()

    def routes(self) -> list[Route]:
        """Where each handler is reached."""
        table: dict[tuple[str, str], Handler] = {
            ("GET", "health"): self.health,
            ("GET", "bots"): self.bots,
            ("GET", "answers"): self.answers,
            ("GET", "updates"): self.updates,
            ("GET", "faults"): self.faults,
            ("POST", "say"): self.say,
            ("POST", "flood"): self.flood,
            ("POST", "fault"): self.fault,
            ("POST", "heal"): self.heal,
            ("POST", "refuse"): self.refuse,
            ("POST", "allow"): self.allow,
            ("POST", "forget"): self.forget,
        }
        return [
            Route(f"/sandbox/{name}", _guarded(handler), methods=[verb])
            for (verb, name), handler in table.items()
        ]

    async def health(self, _: Request) -> Any:
        """That this is a sandbox, and which."""
        return {"sandbox": True, "version": version("bot-toolkit"), "pid": os.getpid(), "time": time.time()}

    async def bots(self, request: Request) -> Any:
        """The counters of ``bot_id``, or of all bots."""
        wanted = request.query_params.get("bot_id")
        bots = [self._bot(wanted)] if wanted else list(self._sandbox.bots.values())
        return [bot.counters() for bot in bots]

    async def answers(self, request: Request) -> Any:
        """What ``bot_id`` showed after the answer ``after``; waits up to ``timeout`` seconds for it."""
        bot = self._bot(request.query_params.get("bot_id", ""))
        after = int(request.query_params.get("after", "0"))
        timeout = min(MAX_WAIT, max(0.0, float(request.query_params.get("timeout", "0"))))
        await bot.answers.wait(after, timeout)
        return bot.answers.after(after, MAX_LIST)

    async def updates(self, request: Request) -> Any:
        """What became of the newest ``limit`` updates of ``bot_id`` that are in ``state``."""
        bot = self._bot(request.query_params.get("bot_id", ""))
        limit = int(request.query_params.get("limit", str(MAX_LIST)))
        return bot.ledger.records(request.query_params.get("state", "all"), limit)

    async def faults(self, _: Request) -> Any:
        """The faults in force."""
        now = time.monotonic()
        return [fault.record(now) for fault in self._sandbox.faults.in_force()]

    async def say(self, request: Request) -> Any:
        """Speak as a user, press a button, or give the bot a raw update."""
        order = await _read(request, Say)
        bot = self._bot(order.bot_id)
        after = bot.answers.last_id
        given = [each is not None for each in (order.text, order.callback, order.update)]
        if sum(given) != 1:
            raise bad_request("exactly one of text, callback and update is to be given")
        update: Update | None
        if order.text is not None:
            update = user.say(bot, order.text, order.chat_id, order.user)
        elif order.callback is not None:
            update = user.press(bot, order.callback, order.chat_id, order.message_id, order.user)
        else:
            update = user.inject(bot, order.update or {})
        update_id, chat_id = (update.id, update.chat_id) if update else (None, 0)
        return {"update_id": update_id, "chat_id": chat_id, "after": after}

    async def flood(self, request: Request) -> Any:
        """Send a bot many messages; they are all accepted before the answer unless they have a rate."""
        order = await _read(request, FloodOrder)
        bot = self._bot(order.bot_id)
        if order.count < 1 or order.chats < 1 or order.rate < 0:
            raise bad_request("count and chats are at least 1, rate is not negative")
        if order.rate:
            if len(self._floods) >= MAX_FLOODS:
                raise ApiError(429, f"{MAX_FLOODS} floods run already")
            task = asyncio.get_running_loop().create_task(_trickle(bot, order))
            self._floods.add(task)
            task.add_done_callback(self._floods.discard)
            return Flood(accepted=0, first_update_id=0, last_update_id=0)
        if order.count > bot.queue.room:
            raise QueueFullError
        first, last, accepted = 0, 0, 0
        for number, update in enumerate(user.flood(bot, order.count, order.text, order.chats)):
            if update is not None:
                first, last, accepted = first or update.id, update.id, accepted + 1
            if number % _CHUNK == _CHUNK - 1:
                await asyncio.sleep(0)
        return Flood(accepted=accepted, first_update_id=first, last_update_id=last)

    async def fault(self, request: Request) -> Any:
        """Put a fault in force."""
        order = await _read(request, FaultOrder)
        kind = str(order.kind).lower()
        if not valid_kind(kind):
            raise bad_request(f"a fault is {WORDS}")
        _need_method(order.method)
        if order.bot_id != ANY:
            self._bot(order.bot_id)
        fault = Fault(
            order.bot_id,
            order.method.lower(),
            kind,
            max(1, order.retry_after) if kind == "429" else 0,
            order.description,
            max(0.0, order.delay_ms) / 1000,
            order.count,
            None if order.seconds is None else time.monotonic() + order.seconds,
        )
        return {"fault_id": self._sandbox.add_fault(fault)}

    async def heal(self, request: Request) -> Any:
        """End faults."""
        order = await _read(request, Heal)
        _need_method(order.method)
        return {"healed": self._sandbox.faults.heal(order.bot_id, order.method.lower())}

    async def refuse(self, request: Request) -> Any:
        """Answer every call of a bot with 401."""
        self._sandbox.refuse(self._bot((await _read(request, BotQuestion)).bot_id).id, refused=True)
        return {}

    async def allow(self, request: Request) -> Any:
        """Take the bot's token again."""
        self._sandbox.refuse(self._bot((await _read(request, BotQuestion)).bot_id).id, refused=False)
        return {}

    async def forget(self, request: Request) -> Any:
        """Start a bot anew."""
        return {"forgotten": self._sandbox.forget((await _read(request, BotQuestion)).bot_id)}

    async def close(self) -> None:
        """End the floods that still run."""
        for task in self._floods:
            task.cancel()
        await asyncio.gather(*self._floods, return_exceptions=True)

    def _bot(self, bot_id: str) -> Bot:
        if not (bot_id.isascii() and bot_id.isdecimal() and 3 <= len(bot_id) <= 20):  # noqa: PLR2004 as in tokens
            raise bad_request("bot_id is the digits before the token's colon")
        return self._sandbox.bot(bot_id)


def _need_method(name: str) -> None:
    """Refuse a method that there is not."""
    if name != ANY and methods.name_of(name) is None:
        near = methods.near(name)
        raise bad_request(f"no method {name[:64]}" + (f"; did you mean {near}?" if near else ""))


async def _trickle(bot: Bot, order: FloodOrder) -> None:
    """Send messages at a rate, until all are sent or the bot is full."""
    start = time.monotonic()
    with contextlib.suppress(QueueFullError):
        for number, _ in enumerate(user.flood(bot, order.count, order.text, order.chats), start=1):
            ahead = start + number / order.rate - time.monotonic()
            await asyncio.sleep(max(0.0, ahead))


async def _read(request: Request, kind: type[Any]) -> Any:
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise ApiError(415, "the body must be application/json")
    return msgspec.json.decode(await request.body(), type=kind)


def _guarded(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def guarded(request: Request) -> Response:
        try:
            return _answer(await handler(request))
        except ApiError as error:
            return _answer({"error": error.description}, error.code)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            return _answer({"error": str(error)}, 400)
        except QueueFullError:
            return _answer({"error": f"the bot has {MAX_PENDING} pending updates, or would have more"}, 429)

    return guarded
