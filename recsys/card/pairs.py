"""Who took what, and when again: distinct pairs of shopper and item, and the time until an item is bought again."""

from dataclasses import dataclass

import numpy as np

from recsys.card.arrays import distinct, grown
from recsys.card.keys import MOST_KEYS, KeyTable, sampling_rank
from recsys.card.piece import Crowd, Piece
from recsys.card.sketch import Sketch, Spread
from recsys.clock import DAY
from recsys.event import EventType

_NEVER = np.iinfo(np.int64).min // 2
_RANKS = 64
_ITEM_BITS = np.uint64(32)
_GAP_DAYS = (0.0, *(float(10 ** (0.25 * step)) for step in range(-8, 13)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """What `PairsMeasure` found.

    Attributes:
        sampled: share of the interactions that were looked at: 1 unless the log holds more pairs than the limit; then
            the rest is of a sample of shoppers, the same one in every run.
        distinct: pairs of shopper and item with at least one interaction; scaled up from the sample.
        purchases: purchases, an item once a moment, in the sample.
        repeats: those of them whose item the shopper had bought before.
        gap_days: days from one purchase of an item to the shopper's next one of the same item; None without times.
    """

    sampled: float
    distinct: int
    purchases: int
    repeats: int
    gap_days: Spread | None

    @property
    def repeat_share(self) -> float:
        """Share of purchases that repeat one of the same shopper."""
        return self.repeats / self.purchases if self.purchases else 0.0


class PairsMeasure:
    """Adds up pieces; holds at most `most` pairs, 16 bytes each."""

    def __init__(self, crowd: Crowd, *, most: int = MOST_KEYS) -> None:
        self._crowd = crowd
        self._rank = np.zeros(0, np.int8)
        self._ranked = 0
        self._pairs = KeyTable({"bought": _NEVER}, lambda key: self._rank[key >> _ITEM_BITS], most=most)
        self._interactions = np.zeros(_RANKS, np.int64)
        self._purchases = np.zeros(_RANKS, np.int64)
        self._gaps = [Sketch() for _ in range(_RANKS)]

    def add(self, interactions: Piece) -> None:
        """Count the interactions of a piece."""
        self._rank_new_shoppers()
        if not len(interactions):
            return
        rank = self._rank[interactions.shopper]
        self._interactions += np.bincount(rank, minlength=_RANKS)
        some = interactions.where(rank >= self._pairs.level)
        self._pairs.rows(distinct(_keys(some)))
        bought = some.of_type(EventType.PURCHASE)
        if len(bought):
            self._add_purchases(bought)
        self._pairs.thin()

    def _rank_new_shoppers(self) -> None:
        size = len(self._crowd.shopper)
        self._rank = grown(self._rank, size)
        self._rank[self._ranked : size] = sampling_rank(self._crowd.shopper.hash[self._ranked :])
        self._ranked = size

    def _add_purchases(self, bought: Piece) -> None:
        key, time = _keys(bought), bought.time
        order = np.lexsort((time, key))
        key, time = key[order], time[order]
        fresh = np.ones(len(key), bool)
        fresh[1:] = (key[1:] != key[:-1]) | (time[1:] != time[:-1])
        key, time = key[fresh], time[fresh]
        first = np.ones(len(key), bool)
        first[1:] = key[1:] != key[:-1]
        row = self._pairs.rows(key[first])
        before = np.concatenate([[_NEVER], time[:-1]])
        before[first] = self._pairs.column["bought"][row]
        self._pairs.column["bought"][row] = time[np.append(np.flatnonzero(first)[1:], len(key)) - 1]
        rank = self._rank[key >> _ITEM_BITS]
        self._purchases += np.bincount(rank, minlength=_RANKS)
        again = before != _NEVER
        for value in np.unique(rank[again]).tolist():
            chosen = again & (rank == value)
            self._gaps[value].add((time - before)[chosen])

    def result(self, *, timed: bool = True) -> Pairs:
        """What was found so far; with gaps if the log is `timed`."""
        level = self._pairs.level
        gaps = Sketch()
        for sketch in self._gaps[level:]:
            gaps.merge(sketch)
        total, looked_at = int(self._interactions.sum()), int(self._interactions[level:].sum())
        sampled = looked_at / total if total else 1.0
        return Pairs(
            sampled=sampled,
            distinct=round(len(self._pairs) / sampled) if sampled else 0,
            purchases=int(self._purchases[level:].sum()),
            repeats=gaps.count,
            gap_days=Spread.of(gaps, edge=_GAP_DAYS, per=DAY) if timed else None,
        )


def _keys(piece: Piece) -> np.ndarray:
    """Shopper and item of every event as one number, [N] uint64."""
    return (piece.shopper.astype(np.uint64) << _ITEM_BITS) | piece.item.astype(np.uint64)
