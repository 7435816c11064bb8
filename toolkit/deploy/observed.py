"""What is in force now, as a plan compares it with what is wanted."""

import os
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from toolkit.backends import Backend
from toolkit.botfile import BotFile
from toolkit.deploy.plan import InForce
from toolkit.deploy.stopping import bot_file_in_place
from toolkit.lifecycle import State
from toolkit.observe import observe
from toolkit.paths import FleetPaths
from toolkit.revisions import EDITED, Applied
from toolkit.rotation import is_late
from toolkit.secrets import FILE_KINDS
from toolkit.view import BotView


def in_force(
    paths: FleetPaths,
    applied: dict[str, Applied],
    wanted: dict[str, str],
    backend: Backend,
    edited: Collection[Path] = (),
) -> dict[str, InForce]:
    """Every bot that has a unit, or a memory of one, by name.

    Parameters:
        applied: the applied manifest.
        wanted: the types of the bots that the fleet's files name; they are looked for too, so that a
            lost database costs no restart.
        edited: the files in which something else stands than was deployed.
    """
    bots = wanted | {bot: row.type for bot, row in applied.items()}
    if backend.alive():
        bots |= {bot: bots.get(bot, "") for bot in backend.units()}
    views = observe(paths, bots, backend)
    limits = backend.limits([view.name for view in views if view.state is not State.DEFINED])
    known = {}
    for view in views:
        row = applied.get(view.name)
        if row or view.unit or view.name not in wanted:
            found = _of(view, row, paths, limits.get(view.name, {}))
            known[view.name] = replace(found, unit_edited=_may_run_edited(row, paths.unit(view.name), edited))
    return known


def _of(view: BotView, row: Applied | None, paths: FleetPaths, limits: Mapping[str, int]) -> InForce:
    in_place = bot_file_in_place(paths, view.name)
    return InForce(
        state=view.state,
        unit_hash=view.unit or (row.unit_hash if row else ""),
        # A process tells which bot file it read; one that is yet to start will read what is in place.
        fingerprint=view.fingerprint or (in_place.fingerprint() if in_place else ""),
        bot_file=in_place,
        limits=limits,
        token_is_late=_token_is_late(view, in_place),
    )


def _may_run_edited(row: Applied | None, unit: Path, edited: Collection[Path]) -> bool:
    """Whether a unit was edited, or an earlier deploy put it back and did not come to restart its bot."""
    return unit in edited or (row is not None and row.unit_hash == EDITED)


def _token_is_late(view: BotView, in_place: BotFile | None) -> bool:
    """Whether a bot runs with what its token file held before; one that waits to retry reads it anew."""
    token = in_place.token if in_place else None
    if token is None or token.kind not in FILE_KINDS or view.state is State.BACKOFF:
        return False
    try:
        return is_late(os.stat(token.value[0]).st_mtime, view.details.get("started_at"))
    except OSError:
        return False
