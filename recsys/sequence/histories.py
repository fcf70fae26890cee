"""All shoppers' histories of a log as flat arrays: one row per event, one slice per shopper."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.catalogue import Catalogue
from recsys.event import EventType
from recsys.state import INTERACTION_CODES, History


@dataclass(frozen=True, slots=True)
class Histories:
    """Events of S shoppers, E in all, sorted by shopper and time.

    Attributes:
        shopper: shopper ids, S of them, ascending.
        start: where each shopper's events begin, and the end of the last; [S + 1] int64.
        events: the flat columns, a `History` of E rows.
    """

    shopper: tuple[str, ...]
    start: np.ndarray
    events: History

    @classmethod
    def of_table(cls, table: pa.Table, catalogue: Catalogue) -> "Histories":
        """From `EventLog.events()`, which is sorted by shopper and instant."""
        column = table["shopper"].combine_chunks().dictionary_encode()
        codes = column.indices.to_numpy()
        start = np.flatnonzero(np.diff(codes, prepend=-1))
        type_code = pa.array([t.code for t in EventType], pa.int8())
        place = pc.index_in(table["type"], pa.array([t.value for t in EventType]))
        events = History(
            item=catalogue.indices_of(table["item_id"]),
            type=type_code.take(place.combine_chunks()).to_numpy(),
            time=pc.cast(table["occurred_at"], pa.int64()).to_numpy(),
            quantity=pc.fill_null(table["quantity"], 1.0).to_numpy(),
            price=pc.cast(table["price"], pa.float32()).to_numpy(),
        )
        return cls(tuple(column.dictionary.to_pylist()), np.append(start, len(codes)).astype(np.int64), events)

    def __len__(self) -> int:
        return len(self.shopper)

    def __iter__(self) -> Iterator[History]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int) -> History:
        return self.events[int(self.start[number]) : int(self.start[number + 1])]

    def before(self, at: int) -> "Histories":
        """The same shoppers with only the events strictly before `at`; shoppers left with none are dropped."""
        return self._where(self.events.time < at)

    def interactions(self) -> "Histories":
        """The same shoppers with only interactions with items the catalogue knows."""
        from_types = np.isin(self.events.type, INTERACTION_CODES)
        return self._where(from_types & (self.events.item > 0))

    def owner(self) -> np.ndarray:
        """Shopper number of every event, [E] int64."""
        return np.repeat(np.arange(len(self)), np.diff(self.start))

    def moments(self) -> np.ndarray:
        """Rows at which a moment (same shopper, same instant) begins, [M] int64."""
        fresh = np.diff(self.events.time, prepend=-1) != 0
        fresh[self.start[:-1]] = True
        return np.flatnonzero(fresh)

    def of_type(self, *types: EventType) -> "Histories":
        """The same shoppers with only these types of events."""
        return self._where(np.isin(self.events.type, [t.code for t in types]))

    def once_per_moment(self) -> "Histories":
        """Each item at most once per moment: a view and a cart in the same second are one sign of interest."""
        moment = np.zeros(len(self.events), np.int64)
        moment[self.moments()] = 1
        pair = np.cumsum(moment) * (int(self.events.item.max(initial=0)) + 1) + self.events.item
        keep = np.zeros(len(pair), bool)
        keep[np.unique(pair, return_index=True)[1]] = True
        return self._where(keep)

    def _where(self, keep: np.ndarray) -> "Histories":
        counts = np.add.reduceat(keep, self.start[:-1]) if len(self) else np.empty(0, np.int64)
        present = np.flatnonzero(counts)
        start = np.concatenate([[0], np.cumsum(counts[present])]).astype(np.int64)
        return Histories(tuple(self.shopper[number] for number in present), start, self.events[keep])
