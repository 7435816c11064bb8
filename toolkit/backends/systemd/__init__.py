"""systemd, spoken to over D-Bus: the machine's own manager, or the user's."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from toolkit.backends import DISABLED, ENABLED, STOP_S, UP, NotRunningError, Phase, UnitStatus
from toolkit.backends.altered import Alteration
from toolkit.backends.foreign import refuse_foreign
from toolkit.backends.systemd import where
from toolkit.backends.systemd.altered import altered, is_masked
from toolkit.backends.systemd.bus import Bus
from toolkit.backends.systemd.complaints import complain
from toolkit.backends.systemd.jobs import Jobs
from toolkit.backends.systemd.limits import bring, in_force
from toolkit.backends.systemd.manager import Listed, Manager
from toolkit.backends.systemd.status import PROPERTIES, closer, phase_of, status_of
from toolkit.backends.systemd.stop import stop
from toolkit.errors import BackendError
from toolkit.files import first_line
from toolkit.paths import BOT_NAME, FleetPaths
from toolkit.render import RenderedFile
from toolkit.render import systemd_marks as marks

CALL_S = 25.0
START_S = 30.0
# Of one that is just starting its own words come soon, and a deploy would ask for all of them at once.
_CLOSER = (Phase.RUNNING, Phase.BACKOFF, Phase.STOPPING, Phase.FAILED)


class Systemd:
    """The systemd backend.

    Parameters:
        paths: the fleet's; they tell the mode.
        timeout_s: seconds for a call.
    """

    name = "systemd"

    def __init__(self, paths: FleetPaths, timeout_s: float = CALL_S) -> None:
        self._paths = paths
        mode, self._systemctl = paths.place.mode, marks.systemctl(is_system=paths.is_system)
        path, hint = where.socket_path(mode), where.hint(mode)
        bus = Bus(path, timeout_s, hint, self._systemctl, lambda: where.manager_runs(mode))
        self._manager = Manager(bus)

    def alive(self) -> bool:
        """Whether the manager runs.

        Raises:
            SocketGoneError: it does, and cannot be asked.
        """
        try:
            self._manager.loaded([self._paths.target])
        except NotRunningError:
            return False
        return True

    def version(self) -> str:
        """The version of systemd in its own words."""
        return self._manager.version()

    def control(self) -> str:
        """The units of the target."""
        return f"{self._systemctl} list-units '{self._paths.service('*')}'"

    def fleeting(self) -> str:
        """A user's manager ends with the last session, unless the user lingers: loginctl(1)."""
        if self._paths.is_system or where.lingers():
            return ""
        user = where.user_name()
        return f"the bots end with the last session of {user}: `loginctl enable-linger {user}` keeps them"

    def launch(self) -> None:
        """Start the fleet's target, and with it the bots that come up by themselves."""
        jobs = Jobs(self._manager.bus, {self._paths.target: "StartUnit"})
        jobs.wait(START_S)
        complain(jobs, self._manager)

    def end(self, deadline_s: float = STOP_S) -> None:
        """Stop the fleet's target, and with it all bots. systemd itself goes on."""
        # The target's own job does not wait for those of its bots.
        services = [self._paths.service(bot) for bot in self.units()]
        stop(self._manager, [self._paths.target, *services], deadline_s)

    def units(self) -> dict[str, UnitStatus]:
        """Every unit of this fleet, by its bot's name, in one round trip; stopped ones from their files."""
        pattern = self._paths.service("*")
        rows = {self._bot(row.name): row for row in self._manager.loaded([pattern])}
        found = {bot: status_of(bot, row) for bot, row in rows.items() if bot and self._is_ours(bot, row)}
        # One that is stopped need not be loaded.
        for file in self._paths.units.glob(pattern):
            bot = self._bot(file.name)
            if bot and bot not in rows and marks.is_ours(first_line(file)):
                found[bot] = UnitStatus(bot, Phase.STOPPED)
        return found

    def closer(self, units: Collection[UnitStatus]) -> dict[str, UnitStatus]:
        """The same units with process, times and end, which cost some calls each."""
        asked = [unit for unit in units if unit.phase in _CLOSER]
        services = [(self._paths.service(unit.bot), "Service") for unit in asked]
        told = self._manager.properties(services, PROPERTIES)
        return {unit.bot: self._absent(unit) for unit in units} | {
            unit.bot: closer(unit, facts) for unit, facts in zip(asked, told, strict=True)
        }

    def _absent(self, unit: UnitStatus) -> UnitStatus:
        """The same, with the reason where its file gave way to a mask."""
        service = self._paths.service(unit.bot)
        if unit.phase is not Phase.ABSENT or not is_masked(self._paths.units / service):
            return unit
        return replace(unit, detail=f"its unit is masked: `{self._systemctl} unmask {service}`, then deploy")

    def check(self, files: Sequence[RenderedFile]) -> None:
        """See that no file of somebody else has the name of one of ours.

        Raises:
            RefusedError: one has.
        """
        refuse_foreign(files, marks.is_ours)

    def altered(self, bots: Sequence[str]) -> list[Alteration]:
        """What an administrator has done to the units of bots, and to the fleet's target and slice."""
        units = [self._paths.target, self._paths.slice, *map(self._paths.service, bots)]
        return altered(self._manager, self._paths.units, units, self._systemctl)

    def reload(self, enabled: Collection[str] | None = None) -> None:
        """Have the manager read the installed units, once; nothing that runs is touched.

        Parameters:
            enabled: the bots that come up with the fleet; all others do not. None leaves that.
        """
        if enabled is not None:
            self._wish(enabled, self._linked().difference(enabled))
            self._manager.enable([self._paths.target])
        self._manager.reload()

    def keep(self, bots: Sequence[str], *, enabled: bool) -> None:
        """Have bots come up with the fleet, or not. What runs is not touched."""
        if self._wish(bots if enabled else (), () if enabled else bots):
            self._manager.reload()

    def kept_otherwise(self, bots: Mapping[str, bool]) -> dict[Path, str]:
        """Links from the target to bots that are there, or not, against what is to be; and its own."""
        linked = self._linked()
        links = {bot: self._wants / self._paths.service(bot) for bot in bots}
        found = {
            links[bot]: DISABLED if enabled else ENABLED
            for bot, enabled in bots.items()
            if enabled is not (bot in linked)
        }
        target = self._paths.units / self._paths.target
        if any(bots.values()) and not any(self._paths.units.glob(f"*.wants/{target.name}")):
            found[target] = DISABLED
        return found

    def add(self, bot: str) -> None:
        """Nothing more: a unit that was read is in force."""

    def remove(self, bot: str) -> None:
        """Forget how the unit ended. It is out of force once its file is gone."""
        self._manager.reset_failed([self._paths.service(bot)])

    def start(self, bots: Sequence[str], deadline_s: float = START_S) -> None:
        """Start bots, at once also where systemd waits to retry, and the target if it is not active.

        Parameters:
            deadline_s: seconds until their processes must have begun, those still stopping among them.

        Raises:
            BackendError: names every bot that could not be started; the others are.
        """
        if not bots:
            return
        services = [self._paths.service(bot) for bot in bots]
        waiting = {row.name for row in self._manager.loaded(services) if phase_of(row) is Phase.BACKOFF}
        self._manager.reset_failed(services)
        methods = {unit: "RestartUnit" if unit in waiting else "StartUnit" for unit in services}
        target = self._paths.target
        # With its dependencies it would start the other bots as well.
        jobs = Jobs(self._manager.bus, methods | {target: "StartUnit"}, {target: "ignore-dependencies"})
        begun = jobs.wait(deadline_s, _has_begun)
        complain(jobs, self._manager)
        if not begun:
            raise BackendError(
                f"not started after {deadline_s:g} s: {', '.join(jobs.open)}",
                f"see `{self._systemctl} list-jobs`",
            )

    def stop(self, bots: Sequence[str], deadline_s: float) -> None:
        """Stop bots in parallel and wait until they, and what they started, have ended."""
        stop(self._manager, list(map(self._paths.service, bots)), deadline_s)

    def limits(self, bots: Sequence[str]) -> dict[str, dict[str, int]]:
        """The limits of the bots' control groups, by the names of org.freedesktop.systemd1(5)."""
        services = list(map(self._paths.service, bots))
        return dict(zip(bots, in_force(self._manager, services), strict=True))

    def limit(self, wanted: Mapping[str, Mapping[str, int]]) -> None:
        """Bring limits in force that the reload has not, such as where an administrator set others.

        Parameters:
            wanted: of each bot, by the names of org.freedesktop.systemd1(5).
        """
        bring(self._manager, {self._paths.service(bot): limits for bot, limits in wanted.items()})

    def _wish(self, enabled: Collection[str], disabled: Collection[str]) -> bool:
        """Link bots to the target, or take their links away; give whether that changed anything."""
        linked = self._linked()
        adding = [self._paths.service(bot) for bot in enabled if bot not in linked]
        taking = [self._paths.service(bot) for bot in disabled if bot in linked]
        if adding:
            self._manager.enable(adding)
        if taking:
            self._manager.disable(taking)
        return bool(adding or taking)

    def _linked(self) -> set[str]:
        """The bots that the target wants: systemd.unit(5), the folder of links beside it."""
        return self._bots(self._wants.glob(self._paths.service("*")))

    @property
    def _wants(self) -> Path:
        return self._paths.units / f"{self._paths.target}.wants"

    def _is_ours(self, bot: str, row: Listed) -> bool:
        """Whether a loaded unit is the fleet's: another's may be called as one of ours would be."""
        gone = row.load in ("not-found", "masked") and phase_of(row) in UP
        return gone or row.description == marks.description(bot, self._paths)

    def _bots(self, files: Iterable[Path]) -> set[str]:
        return {bot for file in files if (bot := self._bot(file.name))}

    def _bot(self, service: str) -> str:
        """The bot of a service of this fleet, "" if it is none."""
        prefix, _, suffix = self._paths.service("*").partition("*")
        bot = service.removeprefix(prefix).removesuffix(suffix)
        return bot if self._paths.service(bot) == service and BOT_NAME.fullmatch(bot) else ""


def _has_begun(row: Listed | None) -> bool:
    return (
        row is not None
        and row.active in ("active", "activating", "reloading")
        and (phase_of(row) is not Phase.BACKOFF)
    )
