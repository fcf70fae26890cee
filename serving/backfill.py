"""Years of history, taken in beside the shop's live traffic and never before it.

Events of the past go the way of all others (`serving/events.py`): validated, de-duplicated, durable, exported. What
differs: they are taken in a few at a time, and after each few as much time is left to others as those took, so that a
backfill has half of a replica at most; one at a time is taken in by a replica. They count in a metric of their own.
"""

import asyncio
import time
from collections.abc import Sequence

from pydantic_core import from_json

from recsys.errors import OverloadError
from serving.api.event import Receipt
from serving.events import PAST, Listening

_FEW = 200


class Backfill:
    """Takes rows of the past in; one per replica."""

    def __init__(self, listening: Listening) -> None:
        self._listening = listening
        self._running = asyncio.Lock()

    async def take(self, lines: Sequence[bytes]) -> list[Receipt]:
        """A receipt for each line, in order.

        Raises:
            OverloadError: another one is being taken in.
            StoreError: what came before is durable, the rest is not; sent again, the former are duplicates.
        """
        if self._running.locked():
            raise OverloadError("this replica is taking in another backfill; send this one again in a second")
        receipts: list[Receipt] = []
        async with self._running:
            for first in range(0, len(lines), _FEW):
                began = time.perf_counter()
                offered = [_value_of(line) for line in lines[first : first + _FEW]]
                receipts += (await self._listening.hear(offered, PAST)).results
                await asyncio.sleep(time.perf_counter() - began)
        return receipts


def _value_of(line: bytes) -> object:
    """What a line says; what is no JSON is rejected as no event is."""
    try:
        said: object = from_json(line, allow_inf_nan=True)
    except ValueError as failure:
        return f"not JSON: {failure}"
    return said
