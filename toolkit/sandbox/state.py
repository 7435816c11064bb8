"""All that one sandbox keeps, in memory."""

from collections.abc import Callable

from toolkit.sandbox.bot import Bot, Wake
from toolkit.sandbox.faults import ANY, Fault, Faults
from toolkit.sandbox.pending import Update
from toolkit.sandbox.replies import ApiError

MAX_BOTS = 10_000


class Sandbox:
    """The bots and faults of one server."""

    def __init__(self) -> None:
        self.bots: dict[str, Bot] = {}
        self.faults = Faults()
        self.closing = False
        self.on_webhook: Callable[[Bot], None] = lambda _: None
        self.on_update: Callable[[Bot, Update], None] = lambda _, __: None

    def bot(self, bot_id: str) -> Bot:
        """The bot of that id, which exists from the first time that it is named.

        Raises:
            ApiError: 429, there are as many as are kept.
        """
        found = self.bots.get(bot_id)
        if found is None:
            if len(self.bots) >= MAX_BOTS:
                raise ApiError(429, f"Too Many Requests: the sandbox keeps {MAX_BOTS} bots", 3600)
            found = self.bots[bot_id] = Bot(bot_id, self.on_webhook, self.on_update)
        return found

    def forget(self, bot_id: str) -> bool:
        """Start a bot anew, with no updates, answers or counts; whether it was known."""
        found = self.bots.pop(bot_id, None)
        if found is None:
            return False
        found.set_webhook(None, drop_pending=True)
        found.wake(Wake.CLOSING)
        return True

    def refuse(self, bot_id: str, *, refused: bool) -> None:
        """Answer all calls of a bot with 401, as if its token was revoked, or no more."""
        bot = self.bot(bot_id)
        bot.refused = refused
        if refused:
            bot.wake(Wake.FAULT)

    def add_fault(self, fault: Fault) -> int:
        """Put a fault in force; getUpdates calls that wait meet it at once. Its id."""
        number = self.faults.add(fault)
        if fault.method in ("getupdates", ANY):
            named = [self.bot(fault.bot_id)] if fault.bot_id != ANY else list(self.bots.values())
            for bot in named:
                bot.wake(Wake.FAULT)
        return number

    def close(self) -> None:
        """Let every call that waits end, so that the server can."""
        self.closing = True
        self.faults.heal()
        for bot in self.bots.values():
            bot.wake(Wake.CLOSING)
            bot.answers.wake()
