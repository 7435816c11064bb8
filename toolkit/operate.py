"""Start, stop and restart bots that are in force."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from toolkit import revisions
from toolkit.backends import Backend, Phase
from toolkit.backends.altered import refuse_masked
from toolkit.deploy.settle import Progress, settle, silent, steady
from toolkit.deploy.stopping import bot_file_in_place, stop_s
from toolkit.errors import NotDeployedError, RefusedError, ToolkitError
from toolkit.lifecycle import State
from toolkit.lock import changing
from toolkit.observe import observe
from toolkit.paths import FleetPaths
from toolkit.secrets import FILE_KINDS
from toolkit.view import BotView

Tell = Callable[[str], None]
_FAILED = (State.FAILED, State.QUARANTINED)


def start(
    paths: FleetPaths,
    bots: Mapping[str, str],
    backend: Backend,
    wait_s: float,
    progress: Progress,
    tell: Tell = silent,
) -> list[BotView]:
    """Start bots and let them come back by themselves from now on.

    Parameters:
        bots: the type of each, by name.
        wait_s: seconds in which they must get ready.
        tell: called with what could not be kept.

    Returns:
        The bots as they were found at the end.

    Raises:
        RefusedError: it is not permitted; nothing was changed.
    """
    with (
        changing(paths.lock, "toolkit admin start-bot"),
        _kept(paths, backend, list(bots), enabled=True, tell=tell),
    ):
        _need(backend)
        _put_in_force(backend, list(bots))
        # A quarantined bot's runner may still hold its exit, and would be taken for the new one.
        held = [view.name for view in observe(paths, bots, backend) if view.state is State.QUARANTINED]
        backend.stop(held, stop_s(paths, held))
        backend.start(list(bots))
    return steady(paths, settle(paths, bots, backend, wait_s, progress), backend)


def stop(paths: FleetPaths, bots: Mapping[str, str], backend: Backend, tell: Tell = silent) -> list[BotView]:
    """Drain and stop bots in parallel; they stay stopped until they are started by hand.

    Parameters:
        tell: called with what could not be kept.

    Returns:
        The bots as they were found at the end.

    Raises:
        RefusedError: it is not permitted; nothing was changed.
    """
    with changing(paths.lock, "toolkit admin stop-bot"):
        alive = backend.alive()
        with _kept(paths, backend, list(bots), enabled=False, tell=tell):
            if alive:
                backend.stop(list(bots), stop_s(paths, list(bots)))
                _forget_failures(paths, bots, backend)
    return observe(paths, bots, backend)


def _forget_failures(paths: FleetPaths, bots: Mapping[str, str], backend: Backend) -> None:
    """Make stopped bots of those that had failed, or are quarantined: an operator has seen to them."""
    failed = [view.name for view in observe(paths, bots, backend) if view.state in _FAILED]
    for bot in failed:
        backend.remove(bot)
    if failed:
        _put_in_force(backend, failed)


def restart(
    paths: FleetPaths,
    bots: Mapping[str, str],
    backend: Backend,
    wait_s: float,
    progress: Progress,
    tell: Tell = silent,
) -> list[BotView]:
    """Drain, stop, and start bots again, one after another; stop at the first that does not get ready.

    Nobody is kept from changing the fleet while a bot gets ready; where somebody does, it stops there, too.

    Parameters:
        tell: called with what could not be kept, and with what it stopped for.

    Returns:
        The bots that were restarted, as they were found at the end.

    Raises:
        RefusedError: it is not permitted, or another command is changing the fleet; nothing was changed.
    """
    views: list[BotView] = []
    need_units(paths, bots)
    _need_tokens(paths, bots)
    refuse_masked(backend.altered(list(bots)))
    told = ""
    for bot, kind in bots.items():
        try:
            told = _begin_anew(paths, bot, backend, tell, told)
        except RefusedError as refused:
            if not views:
                raise
            tell(refused.message)
            break
        found = settle(paths, {bot: kind}, backend, wait_s)
        views += steady(paths, found, backend)
        progress(len(views), len(bots))
        if not views[-1].ready:
            break
    return views


def _begin_anew(paths: FleetPaths, bot: str, backend: Backend, tell: Tell, since: str) -> str:
    """Stop a bot and start it; give what was told of the lock that was held meanwhile."""
    with (
        changing(paths.lock, "toolkit admin restart-bot", since) as hold,
        _kept(paths, backend, [bot], enabled=True, tell=tell),
    ):
        _need(backend)
        backend.stop([bot], stop_s(paths, [bot]))
        _put_in_force(backend, [bot])
        backend.start([bot])
        return hold.told


def _need(backend: Backend) -> None:
    """See that the supervisor runs; where it does not, it says itself how it is started."""
    backend.units()


def _need_tokens(paths: FleetPaths, bots: Iterable[str]) -> None:
    """See that no bot is taken down that could not start again for want of its token's file.

    Whoever may not look there, as a member of the fleet's group, is not kept from it.

    Raises:
        RefusedError: a file is not there.
    """
    for bot in bots:
        file = bot_file_in_place(paths, bot)
        if file and file.token and file.token.kind in FILE_KINDS:
            try:
                os.stat(file.token.value[0])
            except FileNotFoundError as error:
                message = f"{bot}: its token file {error.filename} is not there"
                raise RefusedError(message, "write the token to it first") from None
            except OSError:
                continue


def need_units(paths: FleetPaths, bots: Iterable[str]) -> None:
    """See that the bots have units.

    Raises:
        NotDeployedError: some have none.
    """
    missing = [bot for bot in bots if not paths.unit(bot).exists()]
    if missing:
        raise NotDeployedError(", ".join(missing))


@contextmanager
def _kept(
    paths: FleetPaths, backend: Backend, bots: Sequence[str], *, enabled: bool, tell: Tell
) -> Iterator[None]:
    """Keep what the operator wants: in the database for deploys, in the supervisor itself.

    Where it cannot be kept, or the operator may not do to the bots what follows, it is as if nothing had been
    wanted. Who may do that may yet lack the right to keep it in the supervisor, as polkit's rule for a group
    cannot give it.
    """
    need_units(paths, bots)
    if enabled:
        refuse_masked(backend.altered(bots))
    with revisions.opened(paths, to_read=True) as history:
        held = history.held()
    changed = [bot for bot in bots if (bot in held) == enabled]
    _note_held(paths, changed, held=not enabled)
    try:
        kept = _keep(backend, bots, enabled=enabled)
    except (ToolkitError, OSError):
        _note_held(paths, changed, held=enabled)
        raise
    try:
        yield
    except RefusedError:
        _note_held(paths, changed, held=enabled)
        raise
    if not kept:
        tell(f"not kept over a reboot: root alone may {'enable' if enabled else 'disable'} {', '.join(bots)}")


def _note_held(paths: FleetPaths, bots: Sequence[str], *, held: bool) -> None:
    """Write down which bots are held, or are not any more; a full disk hinders nobody who changes nothing."""
    if bots:
        with revisions.opened(paths) as history:
            (history.hold if held else history.release)(bots)


def _keep(backend: Backend, bots: Sequence[str], *, enabled: bool) -> bool:
    """Keep it in the supervisor; whether that is permitted."""
    try:
        backend.keep(bots, enabled=enabled)
    except RefusedError:
        return False
    return True


def _put_in_force(backend: Backend, bots: Sequence[str]) -> None:
    """Give the supervisor the units that it does not have, as after an interrupted deploy."""
    units = backend.units()
    missing = [bot for bot in bots if bot not in units or units[bot].phase is Phase.ABSENT]
    if missing:
        backend.reload()
        for bot in missing:
            backend.add(bot)
