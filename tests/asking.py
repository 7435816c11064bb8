"""What whoever has a fleet asks of it, wherever it runs."""

import json
import subprocess
from abc import ABC, abstractmethod
from typing import Any


class Asks(ABC):
    """Asks in JSON."""

    @abstractmethod
    def run(self, *arguments: Any, code: int | None = 0, **options: Any) -> subprocess.CompletedProcess[str]:
        """A command of the toolkit."""

    def json(self, *arguments: object, code: int | None = 0, **options: Any) -> Any:
        return json.loads(self.run(*arguments, "--json", code=code, **options).stdout)

    def bots(self) -> dict[str, dict[str, Any]]:
        return {bot["name"]: bot for bot in self.json("bot", "list")["bots"]}

    def states(self) -> dict[str, str]:
        return {name: bot["state"] for name, bot in self.bots().items()}

    def pids(self) -> dict[str, int]:
        return {name: bot["pid"] for name, bot in self.bots().items()}
