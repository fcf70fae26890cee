"""Exporting in the background, round after round: everything that came in since the last one becomes files.

Whatever fails is said (in the log, and in the store for metrics and status) and tried again: a store that does not
answer, a disk without room, a folder that somebody else exports to. Nothing is remembered but in the files themselves
(`serving/exporter.py`), so the process may end at any instruction; the next one goes on.

A store is exported to one folder at a time. In a folder a lock sees to that; where several machines share a store, the
first one exports it, and the others say so and wait until nothing was heard of that one for a while. Should two begin
at the same instant, each writes a round before one of them gives way: every folder then still holds each event once,
and so does the log, which takes an event once by its id.
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


class _ElsewhereError(StoreError):
    """Somebody else exports the store."""


class Exporting:
    """Rounds of export from one store, which is opened here and closed again."""

    def __init__(self, store: OnlineStore, settings: ExportSettings, clock: Clock) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._progress: Progress | None = None
        self._trouble: str | None = None
        self._where = f"{socket.gethostname()}:{settings.folder.absolute()}"

    async def run(self, stop: asyncio.Event) -> None:
        """Round after round until told to stop, then a last one."""
        try:
            while not stop.is_set():
                went_well = await self.round()
                await _waited(stop, self._settings.every_s if went_well else min(self._settings.every_s, _AGAIN_S))
            if await self.round() and self._progress is not None:
                await write_progress(self._store, replace(self._progress, is_over=True))
        except StoreError as failure:  # all is exported, and only that cannot be said
            _log.warning("that the export is over cannot be said: %s", failure)
        finally:
            await self._store.close()

    async def round(self) -> bool:
        """Export what there is; False where that failed, which is said."""
        began = self._clock.now()
        try:
            await self._store.open()
            said = await read_progress(self._store)
            if said is not None and said.folder != self._where and said.is_alive(began):
                raise _ElsewhereError(
                    f"the store is exported to {said.folder} already, and one exporter is enough; export.folder=null "
                    "here, or stop that one"
                )
            before = self._progress or await self._known(said, began)
            done = await export(self._store, self._settings.folder, rows=self._settings.rows)
            self._progress = self._after(before, done, began)
            await write_progress(self._store, self._progress)
        except RecsysError as failure:
            await self._fail(failure, began)
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

    async def _known(self, said: Progress | None, now: int) -> Progress:
        """What was said last, set right by the files: whoever said it may have been killed before saying more."""
        folder = self._settings.folder
        if said is None or said.folder != self._where:
            said = Progress(folder=self._where, complete_at=now, told_at=now)
        said = replace(said, every_s=self._settings.every_s, is_over=False)
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

    async def _fail(self, failure: RecsysError, now: int) -> None:
        trouble = str(failure)
        if trouble != self._trouble:
            _log.error("events are not exported at the moment: %s", trouble)
        self._trouble = trouble
        if isinstance(failure, _ElsewhereError):  # that one speaks for the store
            self._progress = None
            return
        try:
            said = self._progress or await self._known(await read_progress(self._store), now)
            failed = replace(said, told_at=now, trouble=trouble, failed_at=now, failure=trouble)
            await write_progress(self._store, failed)
        except StoreError:  # the store is the trouble, or it cannot be said now
            return
        self._progress = failed


async def _waited(stop: asyncio.Event, most_s: float) -> None:
    try:
        async with asyncio.timeout(most_s):
            await stop.wait()
    except TimeoutError:
        return
