"""What the checks of units under systemd have in common."""

from collections.abc import Iterator

from toolkit.render import systemd_marks
from toolkit.verify.expected import Bot, Expected
from toolkit.verify.facts import Facts


def settings(bot: Bot) -> Iterator[tuple[str, str]]:
    """The settings of the unit as it was rendered; a list that is given in parts comes in parts."""
    for line in bot.unit.text.splitlines():
        key, sign, value = line.partition("=")
        if sign and not line.startswith("#"):
            yield key, value


def others(bot: Bot, facts: Facts) -> list[str]:
    """The drop-ins of a bot's unit that somebody made for it."""
    return systemd_marks.drop_ins_of_others(facts.units.get(bot.service, {}).get("DropInPaths", "").split())


def without_others(wanted: Expected, bot: Bot, facts: Facts) -> str:
    """What has a bot run without the drop-ins of others: the hint, "" where there are none."""
    command, drop_ins = systemd_marks.systemctl(is_system=wanted.is_system), others(bot, facts)
    away = systemd_marks.take_away(command, bot.service, drop_ins)
    return f"{away}, then `toolkit admin restart-bot {bot.name}`" if drop_ins else ""
