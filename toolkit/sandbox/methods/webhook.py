"""Methods about webhooks."""

import ipaddress
import re
from typing import Any
from urllib.parse import urlsplit

from toolkit.sandbox.args import Args
from toolkit.sandbox.bot import Bot, Webhook
from toolkit.sandbox.methods.registry import method
from toolkit.sandbox.replies import bad_request

_SECRET = re.compile(r"[A-Za-z0-9_-]{0,256}")
DEFAULT_CONNECTIONS = 40


@method("setWebhook")
def set_webhook(bot: Bot, args: Args) -> bool:
    """https://core.telegram.org/bots/api#setwebhook.

    Unlike Telegram, http is fine and the address must be one of this machine's own: the sandbox is for
    trials and sends nothing elsewhere.
    """
    url = args.text("url").strip()
    if not url:
        bot.set_webhook(None, drop_pending=args.flag("drop_pending_updates"))
        return True
    if not _loopback(url):
        raise bad_request("bad webhook: the sandbox delivers to http(s) URLs of loopback addresses only")
    if not _SECRET.fullmatch(args.text("secret_token")):
        raise bad_request("secret token contains unallowed characters")
    update_allowed(bot, args)
    webhook = Webhook(
        url,
        args.text("secret_token"),
        min(100, max(1, args.integer("max_connections", DEFAULT_CONNECTIONS))),
        certificate="certificate" in args.files,
    )
    bot.set_webhook(webhook, drop_pending=args.flag("drop_pending_updates"))
    return True


@method("deleteWebhook")
def delete_webhook(bot: Bot, args: Args) -> bool:
    """https://core.telegram.org/bots/api#deletewebhook."""
    bot.set_webhook(None, drop_pending=args.flag("drop_pending_updates"))
    return True


@method("getWebhookInfo")
def get_webhook_info(bot: Bot, _: Args) -> dict[str, Any]:
    """https://core.telegram.org/bots/api#getwebhookinfo."""
    info: dict[str, Any] = {
        "url": bot.webhook.url if bot.webhook else "",
        "has_custom_certificate": bool(bot.webhook and bot.webhook.certificate),
        "pending_update_count": len(bot.queue),
    }
    if bot.webhook:
        info["max_connections"] = bot.webhook.max_connections
        info["ip_address"] = _address(bot.webhook.url)
    at, message = bot.webhook_error
    if at:
        info |= {"last_error_date": int(at), "last_error_message": message}
    if bot.allowed is not None:
        info["allowed_updates"] = sorted(bot.allowed)
    return info


def update_allowed(bot: Bot, args: Args) -> None:
    """Take the ``allowed_updates`` of a call; without them the last ones stay.

    It holds for updates that are made from now on: https://core.telegram.org/bots/api#getupdates.
    """
    wanted = args.json("allowed_updates", list, "allowed updates")
    if wanted is None:
        return
    kinds = frozenset(each for each in wanted if isinstance(each, str))
    bot.allowed = kinds or None


def _loopback(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https"):
        return False
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _address(url: str) -> str:
    host = urlsplit(url).hostname or ""
    return "127.0.0.1" if host == "localhost" else host
