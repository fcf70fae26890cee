"""A piece of the log as arrays: some dates' events, sorted by shopper and instant, with numbers in place of ids."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.card.arrays import grown
from recsys.card.ids import Numbering
from recsys.clock import MINUTE
from recsys.event import INTERACTIONS, EventType
from recsys.feature.temporal import local_time

_QUARTER = 15 * MINUTE
_CODES = pa.array([t.code for t in EventType], pa.int8())
_TYPES = pa.array([t.value for t in EventType])
_CODE_COUNT = max(t.code for t in EventType) + 1
NOT_ACTS = (EventType.IMPRESSION, EventType.OFFER)
"""What the shop does; everything else is an act of a shopper."""


@dataclass(frozen=True, slots=True)
class Piece:
    """N events of whole UTC dates; no shopper's moment or date is in two pieces, and later pieces hold later dates.

    Attributes:
        table: the columns as they were read, by `EVENT_SCHEMA`; its rows are not these, see `column`.
        rows: the rows of `table` that these events are, [N] int64; None for all.
        shopper: number of the shopper, [N] int64; the rows of one shopper are together and ascend in time.
        item: number of the item, [N] int64, -1 for none.
        type: `EventType.code`, [N] int8.
        time: instants, [N] int64.
        local: wall-clock microseconds in the shop's zone, [N] int64.
    """

    table: pa.Table
    rows: np.ndarray | None
    shopper: np.ndarray
    item: np.ndarray
    type: np.ndarray
    time: np.ndarray
    local: np.ndarray

    def __len__(self) -> int:
        return len(self.time)

    def where(self, keep: np.ndarray) -> "Piece":
        """The rows that `keep` [N] bool names; the piece itself if those are all."""
        if keep.all():
            return self
        return Piece(
            self.table,
            np.flatnonzero(keep) if self.rows is None else self.rows[keep],
            self.shopper[keep],
            self.item[keep],
            self.type[keep],
            self.time[keep],
            self.local[keep],
        )

    def column(self, name: str) -> pa.Array:
        """One column of the log, [N]."""
        whole = self.table[name].combine_chunks()
        return whole if self.rows is None else whole.take(pa.array(self.rows))

    def acts(self) -> "Piece":
        """What shoppers did, without what the shop did to them."""
        return self.where(~is_of(NOT_ACTS)[self.type])

    def interactions(self) -> "Piece":
        """What shoppers did to items."""
        return self.where(is_of(tuple(INTERACTIONS))[self.type] & (self.item >= 0))

    def of_type(self, *types: EventType) -> "Piece":
        """The events of these types."""
        return self.where(is_of(types)[self.type])

    def heads(self, *keys: np.ndarray) -> np.ndarray:
        """Rows at which the shopper or one of `keys` [N] changes, [H] int64; without keys, each shopper's first row."""
        return changes(self.shopper, *keys)

    def moments(self) -> np.ndarray:
        """Rows at which a moment (one shopper, one instant) begins, [M] int64."""
        return self.heads(self.time)


def is_of(types: tuple[EventType, ...]) -> np.ndarray:
    """Lookup from a type's code to whether it is one of `types`, [C] bool."""
    table = np.zeros(_CODE_COUNT, bool)
    table[[t.code for t in types]] = True
    return table


def changes(*keys: np.ndarray) -> np.ndarray:
    """Rows at which one of `keys` [N] differs from the row before, the first row too, [H] int64."""
    fresh = np.ones(len(keys[0]), bool)
    fresh[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
    return np.flatnonzero(fresh)


def run_lengths(heads: np.ndarray, count: int) -> np.ndarray:
    """How many of `count` rows each run has that begins at `heads` [H], [H] int64."""
    return np.diff(heads, append=count)


class Crowd:
    """Numbers of all shoppers and items met so far.

    Args:
        time_zone: the shop's zone.
        keep_ids: also keep the shoppers' ids, so that they can be shown.
    """

    def __init__(self, *, time_zone: str, keep_ids: bool = False) -> None:
        self.shopper = Numbering()
        self.item = Numbering()
        self._zone = time_zone
        self._keep = keep_ids
        self._ids: list[pa.Array] = []
        self._known = np.zeros(0, bool)

    @property
    def known(self) -> np.ndarray:
        """Whether each shopper has a user id, by number, bool; the others are anonymous visitors."""
        return self._known[: len(self.shopper)]

    def piece(self, table: pa.Table) -> Piece:
        """The events of `table` (`EVENT_SCHEMA` and `shopper`, sorted by shopper and instant)."""
        shopper, _, texts = self.shopper.numbers(table["shopper"])
        if self._keep:
            self._ids.append(texts)
        self._known = grown(self._known, len(self.shopper))
        self._known[shopper[table["user_id"].is_valid().to_numpy()]] = True
        item, _, _ = self.item.numbers(table["item_id"])
        time = pc.cast(table["occurred_at"], pa.int64()).to_numpy()
        place = pc.index_in(table["type"], _TYPES).combine_chunks()
        return Piece(table, None, shopper, item, _CODES.take(place).to_numpy(), time, self._local(time))

    def id_of(self, shopper: int) -> str | None:
        """The id of a shopper; None if ids are not kept."""
        for texts in self._ids:
            if shopper < len(texts):
                return str(texts[shopper].as_py())
            shopper -= len(texts)
        return None

    def _local(self, time: np.ndarray) -> np.ndarray:
        """Wall-clock time: zones change their offset at quarters of an hour at most, so only those are looked up."""
        quarter = time // _QUARTER
        distinct, place = np.unique(quarter, return_inverse=True)
        offset = local_time(distinct * _QUARTER, self._zone) - distinct * _QUARTER
        return np.asarray(time + offset[place])
