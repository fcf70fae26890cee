"""Cuts the rows of one date into ranges by shopper and instant that fit into memory, one after the other."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.clock import DAY
from recsys.log.order import ranked, shopper_of

_SAMPLE = 1 << 17
_DAY_BITS = 37
"""A day's microseconds fit into so many bits."""


@dataclass(frozen=True, slots=True)
class Ranges:
    """Where one range ends and the next begins; rows of one moment are never parted.

    Attributes:
        shopper: of the first moment of every range but the first [R - 1].
        time: the microseconds since midnight of that moment [R - 1].
    """

    shopper: pa.StringArray
    time: np.ndarray

    @classmethod
    def of(cls, rows: Iterator[pa.Table], count: int, limit_rows: int) -> "Ranges":
        """Ranges of about half of `limit_rows` for these `count` rows, from an evenly spread sample of them."""
        step = max(count // _SAMPLE, 1)
        pieces, seen = [], 0
        for piece in rows:
            places = np.arange(-seen % step, piece.num_rows, step)
            pieces.append(piece.take(pa.array(places)))
            seen += piece.num_rows
        sample = pa.concat_tables(pieces).combine_chunks()
        rank, shoppers = ranked(shopper_of(sample))
        time = _time(sample)
        order = np.lexsort((time, rank))
        number = max(-(-2 * count // limit_rows), 1)
        cuts = order[np.arange(1, number) * len(order) // number]
        return cls(shoppers.take(pa.array(rank[cuts])), time[cuts])

    def number_of(self, rows: pa.Table) -> np.ndarray:
        """The range of every row [N]."""
        both = pa.chunked_array([self.shopper, *pc.cast(shopper_of(rows), pa.string()).chunks])
        rank = ranked(both)[0]
        place = (rank << _DAY_BITS) + np.concatenate([self.time, _time(rows)])
        cuts = len(self.shopper)
        number: np.ndarray = np.searchsorted(place[:cuts], place[cuts:], side="right")
        return number


def _time(rows: pa.Table) -> np.ndarray:
    time: np.ndarray = pc.cast(rows["occurred_at"], pa.int64()).to_numpy() % DAY
    return time
