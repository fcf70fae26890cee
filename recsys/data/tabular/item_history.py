"""What was known of items, and since when, out of observations that come in any order; bounded by the items.

Every property has a history of its own, so that an empty value never hides an earlier one. Only changes are kept. Of a
property that changes back and forth all day (a price that differs from shopper to shopper) the first and the last
changes of the day are kept: what is known may come late, never early.
"""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.clock import DAY
from recsys.data.tabular.instants import INSTANT
from recsys.data.tabular.items import ItemMapping

EVER = np.iinfo(np.int64).min
"""The instant of what was always known."""
MOST_A_DAY = 32
"""Observations kept of one property of one item and day: half of them the first, half the last; a change has two."""
_COMPACT_ROWS = 1_000_000
_LATEST = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class _Observed:
    """Values of one property [N], sorted by item, instant and order."""

    item: np.ndarray
    time: np.ndarray
    order: np.ndarray
    values: pa.Array

    def rows(self, chosen: np.ndarray) -> "_Observed":
        """The rows at places or under a mask."""
        places = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        taken = self.values.take(pa.array(places))
        return _Observed(self.item[places], self.time[places], self.order[places], taken)

    def differs(self) -> np.ndarray:
        """Rows [N] that are their item's first, or of another value than the row before."""
        other = np.asarray(pc.not_equal(self.values[1:], self.values[:-1]))
        return np.append(True, (self.item[1:] != self.item[:-1]) | other)[: len(self.item)]

    def compacted(self) -> "_Observed":
        """Without what changes nothing; the end of a run of equal values stays, for values that may come between."""
        kept = self._last_of_instants()
        differs = kept.differs()
        kept = kept.rows(differs | np.append(differs[1:], True)[: len(differs)])
        day = kept.time // DAY
        first = np.append(True, (np.diff(kept.item) != 0) | (np.diff(day) != 0))[: len(day)]
        starts = np.flatnonzero(first)
        sizes = np.diff(np.append(starts, len(day)))
        from_start = np.arange(len(day)) - np.repeat(starts, sizes)
        from_end = np.repeat(sizes, sizes) - 1 - from_start
        return kept.rows(np.minimum(from_start, from_end) < MOST_A_DAY // 2)

    def changes(self) -> "_Observed":
        """Only the rows at which something changed."""
        kept = self._last_of_instants()
        return kept.rows(kept.differs())

    def _last_of_instants(self) -> "_Observed":
        same = (self.item[1:] == self.item[:-1]) & (self.time[1:] == self.time[:-1])
        return self.rows(np.append(~same, True)[: len(self.item)]) if same.any() else self


def _merged(pieces: list[_Observed]) -> _Observed:
    item, time, order = (np.concatenate([getattr(one, name) for one in pieces]) for name in ("item", "time", "order"))
    whole = _Observed(item, time, order, pa.concat_arrays([one.values for one in pieces]))
    return whole.rows(np.lexsort((order, time, item)))


@dataclass(slots=True)
class ItemHistory:
    """Collects observations of items."""

    _code: dict[str, int] = field(default_factory=dict)
    _first: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    _pieces: dict[str, list[_Observed]] = field(default_factory=dict)

    def copied(self) -> "ItemHistory":
        """A history that goes on by itself."""
        return ItemHistory(
            dict(self._code), self._first.copy(), {n: list(pieces) for n, pieces in self._pieces.items()}
        )

    def observe(self, item_id: pa.Array, time: np.ndarray, order: np.ndarray, said: pa.Table) -> None:
        """Take in what records say [M].

        Args:
            item_id: whose; records without an item are skipped.
            time: when, in microseconds; `EVER` for what holds from the beginning.
            order: of two records of one instant the one with the higher number has the last word.
            said: a column for every property, null where a record says nothing.
        """
        item = self._codes(item_id)
        places = np.lexsort((order, time, item))
        places = places[item[places] >= 0]
        item, time, order = item[places], time[places], order[places]
        np.minimum.at(self._first, item, time)
        for name in said.column_names:
            values = said[name].combine_chunks().take(pa.array(places))
            given = np.asarray(pc.is_valid(values))
            if pa.types.is_floating(values.type):
                given &= np.asarray(pc.fill_null(pc.is_finite(values), False))
            if given.any():
                self._keep(name, _Observed(item, time, order, values).rows(given).compacted())

    def items(self, mapping: ItemMapping) -> pa.Table:
        """One row for every change of every item, by `ITEM_SCHEMA`, sorted by id and `valid_from`.

        An item's first row is from its first observation on, or null where it was always known.
        """
        changes = {name: _merged(pieces).changes() for name, pieces in self._pieces.items()}
        ids = pa.array(self._code, pa.string())
        by_id = pc.sort_indices(ids).to_numpy()
        rank = np.empty(len(ids), np.int64)
        rank[by_id] = np.arange(len(ids))
        item = rank[np.concatenate([np.arange(len(ids)), *(one.item for one in changes.values())])]
        time = np.concatenate([self._first, *(one.time for one in changes.values())])
        order = np.lexsort((time, item))
        fresh = np.append(True, (np.diff(item[order]) != 0) | (np.diff(time[order]) != 0))[: len(order)]
        row = np.empty(len(order), np.int64)
        row[order] = np.cumsum(fresh) - 1
        item, time = item[order][fresh], time[order][fresh]
        starts = np.searchsorted(item, item)
        properties, end = {}, len(ids)
        for name, one in changes.items():
            begin, end = end, end + len(one.item)
            properties[name] = one.values.take(_latest(row[begin:end], starts))
        valid_from = pa.array(time, pa.int64(), mask=time == EVER)
        return mapping.assembled(ids.take(pa.array(by_id[item])), pc.cast(valid_from, INSTANT), properties)

    def _codes(self, item_id: pa.Array) -> np.ndarray:
        """A number for every record's item [M]; -1 for none."""
        coded = item_id.dictionary_encode()
        known = self._code
        codes = np.array([known.setdefault(name, len(known)) for name in coded.dictionary.to_pylist()], np.int64)
        self._first = np.append(self._first, np.full(len(known) - len(self._first), _LATEST))
        indices = np.asarray(pc.fill_null(coded.indices, -1)).astype(np.int64)
        return np.where(indices < 0, -1, codes[indices]) if len(codes) else indices

    def _keep(self, name: str, new: _Observed) -> None:
        """Add observations; those added since the last time are compacted when they outnumber what was kept."""
        pieces = self._pieces.setdefault(name, [])
        pieces.append(new)
        if sum(len(one.item) for one in pieces[1:]) > max(_COMPACT_ROWS, len(pieces[0].item)):
            pieces[:] = [_merged(pieces).compacted()]


def _latest(rows: np.ndarray, starts: np.ndarray) -> pa.Array:
    """For every version [R] the number of the latest change at or before it; null where its item had none yet.

    Args:
        rows: the version at which each change happened, ascending.
        starts: the first version of each version's item [R].
    """
    change = np.full(len(starts), -1)
    change[rows] = np.arange(len(rows))
    last = np.maximum.accumulate(np.where(change >= 0, np.arange(len(starts)), -1))
    found = change[np.maximum(last, 0)]
    return pa.array(found, mask=(last < starts) | (found < 0))
