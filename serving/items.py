"""The items: what the shop says of them is kept durably, and taken over by every replica within a moment.

A change is written to the store first and acknowledged after that. Each replica asks the store ten times a second for
what came after the last change that it knows (one look-up in an index), so a change reaches all of them, whichever
replica it was told to; the one that was told looks at once. A replica that starts asks from the beginning. Nothing is
lost between a restart and the next, and no replica needs to know of the others.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import pyarrow as pa

from recsys.catalogue import UNKNOWN, Catalogue, Item
from recsys.clock import Clock
from recsys.errors import RecsysError
from recsys.event import ITEM_SCHEMA
from recsys.retrieval.assortment import COMPACT_AT, Change
from recsys.retrieval.filter.attribute import attribute_text
from serving.store.item import ItemChange, ItemOutcome, StoredItem, Written, merged
from serving.store.protocol import OnlineStore
from serving.watching.meter import Meter

_log = logging.getLogger("attune.items")
_PAGE = 2_000
_NOTHING: dict[str, Any] = {"category": [], "available": True}
"""What an item is where nothing is said; every other member is unknown then."""


class Offers(Protocol):
    """What this needs of `recsys.retrieval.assortment.Assortment`."""

    @property
    def pending(self) -> int:
        """How much a compaction would fold in."""
        ...

    def index_of(self, item_id: str | None) -> int:
        """The index of an id, 0 if there never was one."""
        ...

    def item(self, index: int) -> Item:
        """The item as it is now."""
        ...

    def is_offered(self, item_id: str) -> bool:
        """Whether the item is among those on offer."""
        ...

    def change(self, change: Change) -> None:
        """Take over a change; blocks."""
        ...

    def compact(self) -> None:
        """Fold in what is pending; blocks."""
        ...


class Stocking:
    """Changes in, the assortment kept up to date; one per replica."""

    def __init__(
        self,
        store: OnlineStore,
        catalogue: Catalogue,
        offer: Offers,
        *,
        clock: Clock,
        every_s: float = 0.1,
        meter: Meter | None = None,
    ) -> None:
        self._meter = meter or Meter()
        self._store = store
        self._catalogue = catalogue
        self._offer = offer
        self._clock = clock
        self._every_s = every_s
        self._following: asyncio.Task[None] | None = None
        self._compacting: asyncio.Task[None] | None = None
        self._looking = asyncio.Lock()
        self._in_trouble = False
        self.revision = 0

    async def open(self) -> None:
        """Take over everything that was ever said, then follow what is; StoreError if it cannot be read."""
        await self.catch_up()
        self._following = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """Stop following; a compaction under way is let finish."""
        if self._following is not None:
            self._following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._following
        if self._compacting is not None:
            await self._compacting

    async def change(self, changes: Sequence[ItemChange]) -> list[ItemOutcome]:
        """What came of each change; durable, and seen by this replica's next answer, on return."""
        outcomes = await self._store.change_items(changes, at=self._clock.now())
        await self.catch_up()
        return outcomes

    async def swap(self, catalogue: Catalogue, offer: Offers, then: Callable[[], None]) -> None:
        """Bring another assortment up to date from the beginning, then keep that one; `then` is called at the instant
        at which it is up to date, before anything more is taken over."""
        revision = 0
        while rows := await self._store.items_since(revision, limit=_PAGE):
            await asyncio.to_thread(offer.change, changed(rows, catalogue))
            revision = rows[-1].revision
        async with self._looking:
            while rows := await self._store.items_since(revision, limit=_PAGE):
                await asyncio.to_thread(offer.change, changed(rows, catalogue))
                revision = rows[-1].revision
            self._catalogue, self._offer, self.revision = catalogue, offer, revision
            then()

    def knows(self, item_id: str) -> bool:
        """Whether the bundle has the item, whatever was said of it since."""
        return self._catalogue.index_of(item_id) != UNKNOWN

    def shown(self, item_id: str) -> Item | None:
        """The item as it is now; None if it is not on offer."""
        return self._offer.item(self._offer.index_of(item_id)) if self._offer.is_offered(item_id) else None

    async def catch_up(self) -> None:
        """Take over what came since the last look."""
        async with self._looking:
            while rows := await self._store.items_since(self.revision, limit=_PAGE):
                await asyncio.to_thread(self._offer.change, changed(rows, self._catalogue))
                self.revision = rows[-1].revision
                if len(rows) < _PAGE:
                    break
        if self._offer.pending >= COMPACT_AT and (self._compacting is None or self._compacting.done()):
            self._compacting = asyncio.create_task(self._compact())

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self.catch_up()
            except RecsysError as failure:
                self._meter.store_failed("items_since")
                if not self._in_trouble:
                    _log.error("items are not followed, the latest changes may be missing: %s", failure)
                self._in_trouble = True
            else:
                self._in_trouble = False

    async def _compact(self) -> None:
        try:
            await asyncio.to_thread(self._offer.compact)
        except Exception:  # noqa: BLE001 - searches go on without it
            _log.exception("the index could not be compacted; it goes on as it is, and is tried again")


def changed(rows: Iterable[StoredItem], catalogue: Catalogue) -> Change:
    """What the assortment takes over; a part of an item that the catalogue no longer has is passed over."""
    items, available_in, gone = [], [], []
    for row in rows:
        whole = _whole(row, catalogue)
        if row.written is Written.GONE:
            gone.append(row.item_id)
        elif whole is None:
            _log.warning("a part of item %r was said, and the bundle has no such item; put it whole", row.item_id)
        else:
            items.append(_row(row.item_id, whole))
            available_in.append(whole.get("available_in", {}))
    table = pa.Table.from_pylist(items, ITEM_SCHEMA)
    return Change(items=table, available_in=available_in if any(available_in) else (), gone=gone)


def _whole(row: StoredItem, catalogue: Catalogue) -> Mapping[str, Any] | None:
    if row.written is not Written.PART:
        return row.body
    index = catalogue.index_of(row.item_id)
    if index == UNKNOWN:
        return None
    [known] = catalogue.items.slice(index - 1, 1).to_pylist()
    return merged({**known, "attributes": dict(known["attributes"] or ())}, row.body)


def _row(item_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """By `ITEM_SCHEMA`."""
    said = {name: body.get(name, _NOTHING.get(name)) for name in ITEM_SCHEMA.names}
    attributes = [(name, attribute_text(value)) for name, value in (body.get("attributes") or {}).items()]
    return {**said, "item_id": item_id, "title": body.get("title", item_id), "attributes": attributes}
