"""What becomes of an update from the moment it was taken from the Bot API until its handler is done.

Each is in the spool before the Bot API is told that it was received. At least once: it leaves the spool when
its handler is done, so one whose handler the process died with is handled again. At most once: it leaves,
durably, right before its handler begins.
"""

import asyncio
import logging
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bot_runner.pacing import growing, jittered
from bot_runner.vitals import Vitals
from toolkit.clock import now
from toolkit.spool import Entry, Spool, SpoolError

# After so many deaths with the same update in its handler it is taken for their cause.
MOST_DEATHS = 3
_FIRST_S, _LONGEST_S = 0.2, 3.0
_log = logging.getLogger(__name__)


class Delivery:
    """The spool of a bot that runs, and the rules for it.

    Parameters:
        folder: the spool's.
        vitals: hears of trouble with the disk.
        at_most_once: whether an update may rather be lost than handled twice.

    Attributes:
        spool: there from ``open`` on.
        opened: whether it is.
    """

    spool: Spool

    def __init__(self, folder: Path, vitals: Vitals, *, at_most_once: bool = False) -> None:
        self._folder, self._vitals, self._at_most_once = folder, vitals, at_most_once
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._failed = 0
        self.opened = False

    async def open(self) -> None:
        """Open the spool, as soon as the disk lets, and set aside what ended the process too often.

        Raises:
            RuntimeError: the thread that waits for the disk cannot be started.
        """
        self._disk.submit(lambda: None)  # starts the thread now, where a refusal is told in words
        while not self.opened:
            try:
                self.spool = Spool(self._folder)
                self.opened = True
            except SpoolError as error:
                self._vitals.waits(f"spool: {error.message}")
                await self._pause()
        self._failed = 0
        if self.spool.torn:
            _log.error(
                "%d bytes of the spool cannot be read and are given up; they lie in %s. %d updates that stood"
                " behind them are saved. What a power cut took comes again; else updates may be lost",
                self.spool.torn,
                self.spool.damaged,
                self.spool.saved,
            )
        elif self.spool.damaged:
            _log.error("what lay in the spool's place is no spool; it lies in %s now", self.spool.damaged)
        self._take_back()
        for entry in self.spool.pending():
            if entry.deaths >= MOST_DEATHS:
                self.set_aside(entry, f"the bot died {entry.deaths} times while it handled this update")

    def _take_back(self) -> None:
        try:
            back = self.spool.take_back()
        except SpoolError as error:
            _log.error("what was asked back cannot be taken in before the next start: %s", error.message)
            return
        if back:
            _log.info("%d updates that were set aside are handled again, as was asked", len(back))

    @property
    def offset(self) -> int | None:
        """What the next poll is to ask for, which confirms all that was taken; None for whatever there is."""
        mark = self.spool.mark
        return None if mark is None else mark + 1

    def left(self) -> tuple[list[Entry], list[Entry]]:
        """What an earlier run left: updates whose handler it died with, and those whose turn never came."""
        entries = self.spool.pending()
        return [each for each in entries if each.deaths], [each for each in entries if not each.deaths]

    async def take(self, batch: Sequence[tuple[int, bytes]]) -> set[int] | None:
        """Take updates in; ``secure`` makes that durable.

        Returns:
            The ids of those that are new; None where they cannot be stored, after a pause.
        """
        try:
            fresh = self.spool.append(batch)
        except SpoolError as error:
            self._vitals.trouble("spool", f"spool: {error.message}; no updates are taken")
            await self._pause()
            return None
        self._is_well()
        return set(fresh)

    async def secure(self) -> None:
        """Wait until what was written is durable; what the disk refuses is tried again until it takes it."""
        while True:
            try:
                await asyncio.get_running_loop().run_in_executor(self._disk, self.spool.commit)
            except SpoolError as error:
                self._vitals.trouble("spool", f"spool: {error.message}; no updates are taken")
                self._vitals.polls_for(None)
                await self._pause()
                continue
            self._is_well()
            return

    async def begin(self, update_id: int) -> None:
        """An update's handler is about to begin."""
        if not self._at_most_once:
            self.spool.attempt(update_id)
        elif update_id in self.spool:
            self.spool.done(update_id)
            await self.secure()

    def attempt(self, update_id: int) -> int:
        """Which time this is that an update is handled; 1 is the first."""
        return max(1, self.spool.attempts(update_id))

    def set_aside(self, entry: Entry, reason: str) -> None:
        """Make an update a dead letter; where the disk does not let, it stays in the spool."""
        try:
            self.spool.set_aside(entry, reason, now())
        except SpoolError as error:
            _log.error("update %d cannot be set aside: %s", entry.update_id, error.message)
            return
        _log.error("update %d is set aside: %s; see `toolkit bot dead-letters`", entry.update_id, reason)

    def close(self) -> None:
        """Write what is left to be written."""
        if self.opened:
            self.spool.close()

    def _is_well(self) -> None:
        if self._failed:
            self._failed = 0
            self._vitals.well("spool")

    async def _pause(self) -> None:
        self._failed += 1
        pause = growing(self._failed, _FIRST_S, 2.0, _LONGEST_S)
        await asyncio.sleep(jittered(pause, random.random()))  # noqa: S311  spreads the tries of many bots
