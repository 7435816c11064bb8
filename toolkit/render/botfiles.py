"""Bot files: all that one runner reads, resolved from the fleet."""

from toolkit.botfile import SUPERVISORD_HOLD_S, BotFile, Files
from toolkit.config import scopes
from toolkit.fleet.model import Fleet
from toolkit.paths import FleetPaths
from toolkit.secrets import TokenReference


def bot_file(fleet: Fleet, bot: str, paths: FleetPaths) -> BotFile:
    """One bot, resolved: its type's and the fleet's settings merged into its own.

    Parameters:
        bot: its name.
        paths: they tell the supervisor that will start it, too.
    """
    own = fleet.bots[bot]
    type_ = fleet.types[own.type]
    config = scopes.merge(
        ((scopes.GLOBAL, fleet.config), (scopes.TYPE, type_.config), (scopes.INSTANCE, own.config))
    )
    supervisord = paths.place.backend == "supervisord"
    token = own.token
    if token and token.kind == "file" and not supervisord:
        token = TokenReference("stdin", token.value)
    return BotFile(
        fleet=fleet.name,
        name=bot,
        type=type_.name,
        backend=paths.place.backend,
        app=type_.app,
        directory=type_.directory,
        token=token,
        endpoint=own.endpoint or type_.endpoint or fleet.endpoint,
        config=config.values,
        origins=config.origins,
        limits=type_.limits,
        restart=type_.restart,
        health=type_.health,
        log=type_.log,
        files=files(bot, paths),
        concurrency=type_.concurrency,
        delivery=type_.delivery,
        stop_s=type_.stop_s,
        hold_s=SUPERVISORD_HOLD_S if supervisord else 0.0,
        die_with_parent=supervisord,
    )


def files(bot: str, paths: FleetPaths) -> Files:
    """Where a bot's own files lie."""
    return Files(
        state=str(paths.state(bot)),
        socket=str(paths.control_socket(bot)),
        run_record=str(paths.run_record(bot)),
        log=str(paths.log(bot)) if paths.place.backend == "supervisord" else "",
        shared=paths.is_system,
    )
