"""No token in what a bot writes."""

from toolkit.secrets import redact


class Redactor:
    """Replaces this bot's own secret, wherever it stands, and whatever else looks like a token."""

    def __init__(self) -> None:
        self._secret = ""

    def learn(self, token: str) -> None:
        """This is the bot's token: the part after the colon is its secret, however the colon is written."""
        self._secret = token.partition(":")[2]

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        if self._secret and self._secret in text:
            text = text.replace(self._secret, "***")
        return redact(text) if ":" in text else text

    def line(self, text: object, longest: int = 300) -> str:
        """The text without secrets, as one line of limited length."""
        return " ".join(self(str(text)).split())[:longest]
