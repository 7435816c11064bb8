"""The HTTP layer that a bot gets: one TLS context, small pools, and an end to every call."""

import asyncio
import logging
import ssl
import urllib.request
from contextlib import suppress
from typing import Any

import httpx
import msgspec
from telegram import Bot
from telegram.error import NetworkError, TimedOut
from telegram.ext import ApplicationBuilder
from telegram.request import HTTPXRequest

from bot_runner.faults import Misrouted
from bot_runner.lanes import KEPT_S, Lanes, Proxied, spare_lookups

SEND_POOL = 16
POLL_POOL = 2
_MARGIN_S = 5.0
# Up- and downloads come in pieces, each within the usual timeouts.
_TRANSFER_S = 600.0
_UNAUTHORIZED, _NOT_FOUND = 401, 404
# Of an HTTP layer that is not built on httpx; what python-telegram-bot takes by default.
_USUAL = httpx.Timeout(5.0)
_log = logging.getLogger(__name__)


class Bounded:
    """A request with a deadline for the whole call, and with what a refused token is not told apart from it.

    httpx limits each read and write, not the call: a server that answers a byte at a time holds it for ever.
    python-telegram-bot takes each 401 and 404 for a refused token, also those of a proxy.
    """

    __slots__ = ()

    async def do_request(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        """Make the call, as BaseRequest.do_request says."""
        data = kwargs.get("request_data")
        method = kwargs.get("method", "")
        transfers = method == "GET" or (data is not None and data.contains_files)
        deadline = _TRANSFER_S if transfers else self._longest(kwargs)
        try:
            async with asyncio.timeout(deadline):
                code, payload = await super().do_request(*args, **kwargs)  # type: ignore[misc]  # a mixin
        except TimeoutError:
            raise TimedOut(f"Timed out: no whole answer within {deadline:g} s") from None
        if code == _NOT_FOUND:
            raise Misrouted("Not Found (404)")
        if code == _UNAUTHORIZED and not _is_bot_apis(payload):
            raise NetworkError("Unauthorized (401), by a proxy: it is no answer of the Bot API's")
        return code, payload

    def _longest(self, kwargs: dict[str, Any]) -> float:
        default = getattr(getattr(self, "_client", None), "timeout", _USUAL)
        total = _MARGIN_S
        for name in ("connect", "read", "write", "pool"):
            given = kwargs.get(f"{name}_timeout")
            seconds = given if isinstance(given, int | float) else getattr(default, name)
            if seconds is None:
                return _TRANSFER_S
            total += seconds
        return total


def _is_bot_apis(payload: bytes) -> bool:
    """Whether this is an answer as the Bot API gives it: https://core.telegram.org/bots/api#making-requests."""
    try:
        return "ok" in msgspec.json.decode(payload, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return False


class RunnerRequest(Bounded, HTTPXRequest):
    """python-telegram-bot's own request, bounded."""


def bound(bot: Bot) -> None:
    """Bound the calls of a bot whose app brought an HTTP layer of its own.

    Its class is exchanged for a subclass of it: there is no other place that all calls pass.
    """
    for request in bot._request:  # noqa: SLF001  there is no public way to the request for polls
        own: Any = type(request)
        if not issubclass(own, Bounded):

            class Limited(Bounded, own):  # type: ignore[misc]  # the app may bring a class of its own
                __slots__ = ()

            Limited.__name__ = Limited.__qualname__ = own.__name__
            try:
                request.__class__ = Limited
            except TypeError as error:
                _log.warning("calls by %s have no deadline as a whole: %s", own.__name__, error)


def tls_context(endpoint: str) -> ssl.SSLContext:
    """The one context for all of a bot's connections.

    Loading the certificates takes 25 ms and 1.5 MB each time. An endpoint without TLS gets a context
    that knows no certificate, and so trusts no server, should the bot call one with TLS.
    """
    if endpoint.startswith("https:"):
        return httpx.create_ssl_context()
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def equip(builder: ApplicationBuilder[Any, Any, Any, Any, Any, Any], token: str, endpoint: str) -> None:
    """Give a builder its token, server and requests; what it has of its own is left alone."""
    with suppress(RuntimeError):  # it was given a bot, which has all of this
        builder.token(token)
        if not isinstance(builder._base_url, str):  # noqa: SLF001  there is no public way to ask
            builder.base_url(f"{endpoint}/bot").base_file_url(f"{endpoint}/file/bot")
    spare_lookups()
    tls = tls_context(endpoint)
    # RuntimeError: it has settings of its own for its requests.
    with suppress(RuntimeError):
        if not _has(builder, "_request"):
            builder.request(_request(SEND_POOL, tls))
    with suppress(RuntimeError):
        if not _has(builder, "_get_updates_request"):
            builder.get_updates_request(_request(POLL_POOL, tls))
    with suppress(RuntimeError):
        builder.updater(None)


def _request(connections: int, tls: ssl.SSLContext) -> RunnerRequest:
    """A request of so many connections; through a proxy, where the environment names one.

    Raises:
        RuntimeError: the proxy takes a package that is not installed.
    """
    limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEPT_S)
    by_proxy = any(name in urllib.request.getproxies_environment() for name in ("http", "https", "all"))

    def make() -> httpx.AsyncBaseTransport:
        return Proxied(tls, limits) if by_proxy else httpx.AsyncHTTPTransport(verify=tls, limits=limits)

    try:
        lanes = Lanes(connections, make)
    except ImportError as error:
        raise RuntimeError(str(error)) from None
    return RunnerRequest(connections, httpx_kwargs={"transport": lanes})


def _has(builder: ApplicationBuilder[Any, Any, Any, Any, Any, Any], name: str) -> bool:
    """Whether the app has set this already; python-telegram-bot marks what is not set by a DefaultValue."""
    return type(getattr(builder, name)).__name__ != "DefaultValue"
