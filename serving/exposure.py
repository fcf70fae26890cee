"""The exposure log: what was shown, with which propensity, written behind the answer's back and never in its way."""

import asyncio
import logging

from serving.store.protocol import Exposure, OnlineStore
from serving.watching.meter import Meter

_log = logging.getLogger("attune.exposure")


class ExposureLog:
    """Collects exposures and writes them in the background, at most `waiting` at a time in memory.

    Answers never wait for it and never fail because of it: what cannot be written is counted in `lost` and logged.
    They are gathered for `gather_s` before they are written, so that the answer leaves first and one transaction
    holds many. `close` writes the rest; a process killed outright loses what it was still gathering.
    """

    def __init__(
        self,
        store: OnlineStore,
        *,
        waiting: int = 10_000,
        largest: int = 256,
        gather_s: float = 0.05,
        meter: Meter | None = None,
    ) -> None:
        self._meter = meter or Meter()
        self.lost = 0
        self.written = 0
        self._store = store
        self._limit = waiting
        self._largest = largest
        self._gather_s = gather_s
        self._pending: list[Exposure] = []
        self._writing: asyncio.Task[None] | None = None

    def record(self, exposure: Exposure) -> None:
        """Take note of one slate; returns at once."""
        if len(self._pending) >= self._limit:
            self._lose(1, f"{self._limit} exposures are waiting already")
            return
        self._pending.append(exposure)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def close(self) -> None:
        """Write what is left."""
        while self._writing is not None and not self._writing.done():
            await self._writing

    async def _write(self) -> None:
        while self._pending:
            await asyncio.sleep(self._gather_s)
            batch, self._pending = self._pending[: self._largest], self._pending[self._largest :]
            try:
                await self._store.record_exposures(batch)
                self.written += len(batch)
                self._meter.exposed(len(batch))
            except Exception as failure:  # noqa: BLE001 - a slate that is not recorded must not stop the next one
                self._meter.store_failed("record_exposures")
                self._lose(len(batch), str(failure))

    def _lose(self, count: int, reason: str) -> None:
        self.lost += count
        self._meter.exposed(lost=count)
        _log.warning("exposure log: %d slates not recorded (%d so far): %s", count, self.lost, reason)
