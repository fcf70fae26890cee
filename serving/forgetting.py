"""Erasing a shopper from everything that is running: the store, and what replicas remember.

The store erases durably and from then on takes in nothing of the shopper. What an encoder remembers of their history
lies in each replica's memory. It cannot be answered from any more the moment the store has forgotten them, because it
is used only where the store's history begins with exactly what is remembered (`recsys/model/reading.py`). That it also
goes is seen to by a note in the store: every replica reads it, and lets go of whomever the store calls erased.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from recsys.clock import Clock, to_datetime
from recsys.errors import RecsysError
from recsys.log.erase import Named
from recsys.log.erasures import Erasures, Kind, digest_of
from serving.store.erasure import IsErased
from serving.store.protocol import Forgotten, Held, Note, OnlineStore, Place

ERASED = "erased"
"""Name of the note that is another one whenever a shopper was erased; it names nobody."""
_SETTLES_S = 30.0
"""A question that was on its way when its shopper was erased has been answered by then, and what it left goes, too."""
_log = logging.getLogger("attune.forgetting")


@runtime_checkable
class Remembers(Protocol):
    """A recommender that remembers shoppers from one question to the next."""

    def forget(self, whose: Callable[[str], bool]) -> None:
        """Let go of every shopper for whose name (`ShopperState.shopper`) this holds."""
        ...


class Forgetting:
    """Erases shoppers, and hears of those erased elsewhere; one per replica.

    Args:
        store: what they are erased from.
        clock: dates the receipts.
        recommenders: those in memory now.
        ids_in: the user and the visitor that a shopper's name stands for.
        every_s: how often the note is read.
    """

    def __init__(
        self,
        store: OnlineStore,
        *,
        clock: Clock,
        recommenders: Callable[[], Sequence[object]],
        ids_in: Callable[[str], Sequence[tuple[Kind, str]]],
        every_s: float = 0.5,
    ) -> None:
        self._store = store
        self._clock = clock
        self._recommenders = recommenders
        self._ids_in = ids_in
        self._every_s = every_s
        self._heard: Note | None = None
        self._again_at: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._erasing: dict[Named, asyncio.Task[Forgotten]] = {}

    async def open(self) -> None:
        """Begin to listen; nothing is remembered yet of whoever was erased before."""
        self._heard = await self._store.note(ERASED)
        self._task = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """Finish the erasures under way, then stop listening."""
        if self._erasing:
            await asyncio.wait(self._erasing.values())
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def erase(self, shopper: Named) -> Forgotten:
        """Erase a shopper; on return the store and this replica are rid of them and the others have been told.

        A large store takes its time. Whoever stops waiting does not stop the erasure, and asks again for the receipt.

        Raises:
            StoreError: something of it could not be done; a repeat goes on with it.
        """
        erasing = self._erasing.get(shopper)
        if erasing is None:
            erasing = self._erasing[shopper] = asyncio.create_task(self._erase(shopper))
            erasing.add_done_callback(lambda done: self._ended(shopper, done))
        return await asyncio.shield(erasing)

    async def _erase(self, shopper: Named) -> Forgotten:
        receipt = await self._store.forget(shopper, at=self._clock.now())
        await self._store.write_note(ERASED, Note(value=secrets.token_hex(8), told_at=self._clock.now()))
        await self.look()
        _log.info(
            "a shopper was erased: %d events, %d links, %d slates", receipt.events, receipt.links, receipt.exposures
        )
        return receipt

    def _ended(self, shopper: Named, done: asyncio.Task[Forgotten]) -> None:
        del self._erasing[shopper]
        if not done.cancelled() and (failure := done.exception()) is not None:
            _log.error("an erasure is not done yet, it has to be asked for again: %s", failure)

    def places(self, forgotten: Forgotten) -> Sequence[Place]:
        """Where the store had something of them."""
        return self._store.places(forgotten)

    async def held(self, shopper: Named, *, after: int, limit: int) -> Held:
        """A page of what the store holds of a shopper."""
        return await self._store.held(shopper, after=after, limit=limit)

    def now(self) -> datetime:
        """What the service takes for now."""
        return to_datetime(self._clock.now())

    async def look(self) -> None:
        """Let go of the erased, if anybody was erased since the last look or shortly before."""
        note = await self._store.note(ERASED)
        is_news = note != self._heard
        if not is_news and (self._again_at is None or time.monotonic() < self._again_at):
            return
        erasures = await self._store.erasures()
        await asyncio.to_thread(self._let_go, erasures)
        self._heard = note
        self._again_at = time.monotonic() + _SETTLES_S if is_news else None

    def _let_go(self, erasures: Erasures) -> None:
        is_erased = _known_by(erasures)

        def whose(name: str) -> bool:
            return any(is_erased(kind, shopper_id) for kind, shopper_id in self._ids_in(name))

        for recommender in self._recommenders():
            if isinstance(recommender, Remembers):
                recommender.forget(whose)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            with contextlib.suppress(RecsysError):  # told by everything else that needs the store
                await self.look()


def _known_by(erasures: Erasures) -> IsErased:
    """Who is among the erased."""
    digests = {entry.digest for entry in erasures.entries}
    keys = {entry.key for entry in erasures.entries}

    def is_erased(kind: Kind, shopper_id: str | None) -> bool:
        return shopper_id is not None and any(digest_of(key, kind, shopper_id) in digests for key in keys)

    return is_erased
