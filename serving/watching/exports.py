"""How far the export of events has come, looked up in the store every so often: for metrics and for the status page.

The exporter is another process, maybe on another machine, and may be gone; so it is its replicas that reckon how long
events have been waiting. All replicas tell the same.
"""

import asyncio
import contextlib
from dataclasses import dataclass

from recsys.clock import Clock, to_datetime
from recsys.errors import RecsysError
from serving.export_progress import Progress, read_progress
from serving.store.protocol import OnlineStore
from serving.watching.meter import Meter


@dataclass(frozen=True, slots=True)
class Lag:
    """What the exporter said last, how many events wait for it, and for how long (seconds)."""

    progress: Progress
    waiting: int
    lag_s: float

    def said(self) -> dict[str, str | None]:
        """For people."""
        told, trouble = self.progress, self.progress.trouble
        failed = None if told.failed_at is None else f"{told.failure} ({_time(told.failed_at)})"
        return {
            "events exported": f"{told.events:,}, all that came before {_time(told.complete_at)}, to {told.folder}",
            "slates exported": f"{told.slates:,}",
            "export lag": f"{self.waiting:,} events, {self.lag_s:,.0f} s",
            "export fails": trouble,
            "last export error": failed,
        }


class ExportWatch:
    """Looks, between `open` and `close`.

    Args:
        clock: the machine's own, by which the exporter goes, whatever time the service has.
    """

    def __init__(self, store: OnlineStore, meter: Meter, clock: Clock, *, every_s: float = 5.0) -> None:
        self._store = store
        self._meter = meter
        self._clock = clock
        self._every_s = every_s
        self._task: asyncio.Task[None] | None = None
        self._counted = (0, 0)

    async def open(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._look())

    async def close(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def look(self) -> Lag | None:
        """How it stands now; None where nothing was ever exported in the background. StoreError if nobody can say."""
        progress = await read_progress(self._store)
        if progress is None:
            return None
        waiting, lag_s = progress.lag(await self._store.last_number(), now=self._clock.now())
        events, slates = (max(now - before, 0) for now, before in zip(_count(progress), self._counted, strict=True))
        self._counted = _count(progress)
        self._meter.exported(events, slates=slates, lag_s=lag_s, waiting=waiting, failing=progress.trouble is not None)
        return Lag(progress, waiting, lag_s)

    async def _look(self) -> None:
        while True:
            with contextlib.suppress(RecsysError):  # told by everything else that needs the store
                await self.look()
            await asyncio.sleep(self._every_s)


def _count(progress: Progress) -> tuple[int, int]:
    return progress.events, progress.slates


def _time(instant: int) -> str:
    return f"{to_datetime(instant):%Y-%m-%d %H:%M:%S} UTC"
