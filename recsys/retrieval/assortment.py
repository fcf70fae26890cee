"""What a shop offers right now: the catalogue of the bundle, and every change of it since.

Items keep the index they have in the bundle; new ones get the next, and a place among the others by their content, so
that they are found at once. A price or a stock that changes moves nothing: it is read where filters read it.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from recsys.catalogue import UNKNOWN, Catalogue, Item
from recsys.event import ITEM_SCHEMA
from recsys.protocols import Index
from recsys.retrieval.allowed import Allowed
from recsys.retrieval.filter.columns import ItemColumns
from recsys.retrieval.filter.expression import Available, AvailableIn, Filter, all_of
from recsys.retrieval.filter.masks import Mask, Masks
from recsys.retrieval.live import LiveIndex
from recsys.retrieval.placement import Placement

COMPACT_AT = 20_000
"""So many vectors beside the main index, or marks on it, are worth folding in."""
_CONTENT = ("title", "category", "brand", "text")
"""What of an item decides where it lies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Items as they are from now on, and items that are no more.

    Attributes:
        items: whole rows by `ITEM_SCHEMA`, each id once.
        available_in: what is said of single stores or markets, for each of the rows.
        gone: ids that are no longer offered; those that were never known are passed over.
    """

    items: pa.Table = field(default_factory=ITEM_SCHEMA.empty_table)
    available_in: Sequence[Mapping[str, bool]] = ()
    gone: Sequence[str] = ()


class Assortment:
    """The items on offer, to be searched by many threads while one changes them.

    Args:
        catalogue: the items of the bundle.
        index: built of `vectors`.
        vectors: of every catalogue index [V, D]; row 0 is padding.
    """

    def __init__(self, catalogue: Catalogue, index: Index, vectors: np.ndarray) -> None:
        self._catalogue = catalogue
        self._vectors = vectors
        self._columns = ItemColumns(catalogue)
        self._masks = Masks(self._columns)
        self._live = LiveIndex(index, vectors)
        self._placement = Placement(catalogue, vectors)
        self._shown: dict[int, Item] = {}
        self._content: dict[int, tuple[object, ...]] = {}
        self._allowed: dict[Filter, tuple[Mask, Allowed]] = {}
        self._changing = threading.Lock()
        self._offered = catalogue.size - 1

    @property
    def known(self) -> int:
        """V: indices below it were known to the training, those from it on came later."""
        return self._catalogue.size

    @property
    def pending(self) -> int:
        """How much a compaction would fold into the main index."""
        return self._live.pending

    def index_of(self, item_id: str | None) -> int:
        """The index of an id, of one that is gone too; 0 if there never was one."""
        return UNKNOWN if item_id is None else self._columns.index_of(item_id)

    def unknown(self, item_id: str) -> str | None:
        """Who does not know the item: "the catalogue", or "the model" where it came after the training; None where both
        do."""
        index = self._columns.index_of(item_id)
        return "the catalogue" if index == UNKNOWN else "the model" if index >= self.known else None

    def is_offered(self, item_id: str) -> bool:
        """Whether the item is on offer: known, and not gone."""
        return self._is_offered(self._columns.index_of(item_id))

    def id_of(self, index: int) -> str:
        """The id at an index; one that never was raises UnknownItemError."""
        shown = self._shown.get(index)
        return shown.item_id if shown is not None else self._catalogue.id_of(index)

    def item(self, index: int) -> Item:
        """The item at an index as it is now, for showing."""
        shown = self._shown.get(index)
        if shown is None:  # reading it out of the catalogue takes longer than all else of showing
            shown = self._shown.setdefault(index, self._catalogue.item(index))
        return shown

    def change(self, change: Change) -> None:
        """Take over a change: searches that begin after this returns see all of it, none sees a part of an item."""
        with self._changing:
            if len(change.items):
                self._put(change.items, change.available_in)
            gone = [index for item_id in change.gone if self._is_offered(index := self._columns.index_of(item_id))]
            if gone:
                rows = np.unique(np.array(gone, np.int64))
                self._columns.delete(rows)
                self._live.drop(rows)
                for index in rows.tolist():
                    self._content.pop(index, None)
            self._offered = int(np.count_nonzero(self._columns.alive[:]))

    def compact(self) -> None:
        """Fold what came and went into a new main index, beside the running one; returns when it is in place."""
        self._live.compact()

    def allowed(self, wanted: Filter | None = None, *, place: str | None = None) -> Allowed:
        """What can be bought now, in the store or market `place` if one is named, and is `wanted`."""
        buyable: Filter = Available(True) if place is None else AvailableIn((place,))
        asked = buyable if wanted is None else all_of((buyable, wanted))
        mask = self._masks(asked)
        known = self._allowed.get(asked)
        if known is not None and known[0] is mask:
            return known[1]
        found = Allowed(mask.matches, bits=mask.bits, count=mask.count)
        if len(self._allowed) > _KEPT:
            self._allowed = {}
        self._allowed[asked] = mask, found
        return found

    def search(self, query: np.ndarray, count: int, allowed: Allowed) -> tuple[np.ndarray, np.ndarray]:
        """Scores and items [B, K] of what is `allowed`, best first for each `query` [B, D]; see `LiveIndex.search`."""
        return self._live.search(query, count, None if allowed.count == self._offered else allowed)

    def _is_offered(self, index: int) -> bool:
        return index != UNKNOWN and bool(self._columns.alive[np.array([index])].all())

    def _put(self, items: pa.Table, available_in: Sequence[Mapping[str, bool]]) -> None:
        items = items.cast(ITEM_SCHEMA).combine_chunks()
        before = np.array([self._columns.index_of(item_id) for item_id in items["item_id"].to_pylist()], np.int64)
        dead = ~self._columns.alive[before] & (before > 0)
        rows = np.empty(0, np.int64)
        shown = [_shown(row) for row in items.to_pylist()]
        later = [place for place, index in enumerate(before.tolist()) if index == UNKNOWN or index >= self.known]
        moved = [p for p in later if self._content.get(int(before[p])) != _content_of(items, p)] if later else []
        with self._columns.changing():
            rows = self._columns.put(items)
            if available_in:
                self._columns.update(rows, available_in=available_in)
            for index, item in zip(rows.tolist(), shown, strict=True):
                self._shown[index] = item
            if moved:
                self._live.put(rows[moved], self._placement.of(items.take(pa.array(moved))))
            back = rows[dead & (rows < self.known)]
            if len(back):
                self._live.put(back, self._vectors[back])
        for place in moved:
            self._content[int(rows[place])] = _content_of(items, place)


_KEPT = 64
"""Filters of which what they allow is kept ready."""


def _content_of(items: pa.Table, place: int) -> tuple[object, ...]:
    return tuple(str(items[name][place].as_py()) for name in _CONTENT)


def _shown(row: Mapping[str, Any]) -> Item:
    return Item(
        item_id=str(row["item_id"]),
        title=str(row["title"]),
        category=tuple(row["category"]),
        brand=row["brand"],
        price=row["price"],
    )
