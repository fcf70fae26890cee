"""Exporting in the background, round after round: everything that came in since the last one becomes files.

Whatever fails is said (in the log, and in the store for metrics and status) and tried again: a store that does not
answer, a disk without room, a folder that somebody else exports to. Nothing is remembered but in the files themselves
(`serving/exporter.py`), so the process may end at any instruction; the next one goes on.
"""

import asyncio
import logging
import socket
from dataclasses import dataclass, replace
from pathlib import Path

from recsys.clock import Clock
from recsys.errors import RecsysError, StoreError
from recsys.log.exposures import FOLDER
from serving.export_progress import Progress, read_progress, write_progress
from serving.exporter import Exported, export, written_after
from serving.feed import EventFeed, ExposureFeed
from serving.store.protocol import OnlineStore

_log = logging.getLogger("attune.export")
_AGAIN_S = 5.0
"""How soon a round is tried again that failed, at the latest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSettings:
    """Where events go, how often, and how many at most to a file."""

    folder: Path
    every_s: float = 60.0
    rows: int = 100_000


class Exporting:
    """Rounds of export from one store, which is opened here and closed again."""

    def __init__(self, store: OnlineStore, settings: ExportSettings, clock: Clock) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._progress: Progress | None = None
        self._trouble: str | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Round after round until told to stop, then a last one."""
        try:
            while not stop.is_set():
                went_well = await self.round()
                await _waited(stop, self._settings.every_s if went_well else min(self._settings.every_s, _AGAIN_S))
            await self.round()
        finally:
            await self._store.close()

    async def round(self) -> bool:
        """Export what there is; False where that failed, which is said."""
        began = self._clock.now()
        try:
            await self._store.open()
            before = self._progress or await self._known(began)
            done = await export(self._store, self._settings.folder, rows=self._settings.rows)
            self._progress = self._after(before, done, began)
            await write_progress(self._store, self._progress)
        except RecsysError as failure:
            await self._fail(str(failure), began)
            return False
        if self._trouble is not None:
            _log.warning("events are exported again: %s", self._settings.folder)
        self._trouble = None
        return True

    def _after(self, before: Progress, done: Exported, began: int) -> Progress:
        return replace(
            before,
            number=max(done.number, before.number),
            events=before.events + done.events,
            slate_number=max(done.slate_number, before.slate_number),
            slates=before.slates + done.slates,
            complete_at=began,
            told_at=self._clock.now(),
            trouble=None,
        )

    async def _known(self, now: int) -> Progress:
        """What was said last, set right by the files: whoever said it may have been killed before saying more."""
        folder = self._settings.folder
        where = f"{socket.gethostname()}:{folder.absolute()}"
        said = await read_progress(self._store)
        if said is None or said.folder != where:
            said = Progress(folder=where, complete_at=now, told_at=now)
        digest = await self._store.origin()
        if digest is None:
            return said
        events, number = written_after(folder, EventFeed.kind, digest, said.number)
        slates, slate_number = written_after(folder / FOLDER, ExposureFeed.kind, digest, said.slate_number)
        return replace(
            said,
            events=said.events + events,
            number=number,
            slates=said.slates + slates,
            slate_number=slate_number,
        )

    async def _fail(self, trouble: str, now: int) -> None:
        if trouble != self._trouble:
            _log.error("events are not exported at the moment: %s", trouble)
        self._trouble = trouble
        try:
            said = self._progress or await self._known(now)
            failed = replace(said, told_at=now, trouble=trouble, failed_at=now, failure=trouble)
            await write_progress(self._store, failed)
        except (StoreError, OSError):  # the store is the trouble, or it cannot be said now
            return
        self._progress = failed


async def _waited(stop: asyncio.Event, most_s: float) -> None:
    try:
        async with asyncio.timeout(most_s):
            await stop.wait()
    except TimeoutError:
        return
