"""What is taken: how uneven the items' shares are, and how much of it is new after the cut-off."""

from dataclasses import dataclass

import numpy as np

from recsys.card.arrays import grown
from recsys.card.cold import Cold
from recsys.card.piece import Crowd, Piece
from recsys.card.placeholder import crowded_placeholders
from recsys.card.sketch import Sketch, Spread
from recsys.clock import DAY

_UNSEEN = np.iinfo(np.int64).max
_SIZES = (0.5, 1.5, 2.5, 5.5, 10.5, 20.5, 50.5, 100.5, 200.5, 500.5, 1_000.5, 1e9)
_TOP_SHARES = (0.001, 0.01, 0.05, 0.1, 0.2, 0.5)
_CURVE_POINTS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Popularity:
    """What `PopularityMeasure` found, in interactions.

    Attributes:
        items, interactions: items with an interaction, and all interactions.
        each: interactions of each item.
        gini: Gini coefficient of these: 0 if all items are taken alike, towards 1 if one is taken alone.
        top: share of the interactions that goes to the top 0.1, 1, 5, 10, 20 and 50 % of the items (rounded up).
        curve: (share of items, most popular first; share of interactions), at most 200 points from (0, 0) to (1, 1).
        ranks: (rank from 1, interactions), about evenly spaced on a logarithmic scale.
        five: items with at least five interactions.
        placeholders: interactions of ids that stand for nothing and have far more of them than others have.
    """

    items: int
    interactions: int
    each: Spread
    gini: float
    top: dict[str, float]
    curve: tuple[tuple[float, float], ...]
    ranks: tuple[tuple[int, int], ...]
    five: int
    placeholders: dict[str, int]


class PopularityMeasure:
    """Adds up pieces; 28 bytes for each item."""

    def __init__(self, crowd: Crowd, *, cutoff: int) -> None:
        self._crowd, self._cutoff = crowd, cutoff
        self._count, self._after = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self._first, self._first_day = np.zeros(0, np.int64), np.zeros(0, np.int64)

    @property
    def count(self) -> np.ndarray:
        """Interactions of every item, by its number, [V] int64."""
        return grown(self._count, len(self._crowd.item))[: len(self._crowd.item)]

    def add(self, interactions: Piece) -> None:
        """Count the interactions of a piece."""
        size = len(self._crowd.item)
        self._count, self._after = grown(self._count, size), grown(self._after, size)
        self._first = grown(self._first, size, fill=_UNSEEN)
        self._first_day = grown(self._first_day, size, fill=_UNSEEN)
        item = interactions.item
        self._count[:size] += np.bincount(item, minlength=size)
        self._after[:size] += np.bincount(item[interactions.time >= self._cutoff], minlength=size)
        np.minimum.at(self._first, item, interactions.time)
        np.minimum.at(self._first_day, item, interactions.local // DAY)

    def result(self) -> Popularity:
        """What was found so far."""
        taken = np.flatnonzero(self._count)
        count = np.sort(self._count[taken])[::-1]
        each = Sketch(whole=True)
        each.add(count)
        share = np.concatenate([[0.0], np.cumsum(count) / max(int(count.sum()), 1)])
        return Popularity(
            items=len(taken),
            interactions=int(count.sum()),
            each=Spread.of(each, edge=_SIZES),
            gini=gini(count),
            top={f"{top:.1%}".replace(".0%", "%"): _top(share, top) for top in _TOP_SHARES},
            curve=_curve(share),
            ranks=_ranks(count),
            five=int((count >= 5).sum()),
            placeholders=crowded_placeholders(self._crowd.item, self._count),
        )

    def cold(self) -> Cold:
        """What is new at or after the cut-off."""
        taken = np.flatnonzero(self._count)
        return Cold.of(
            first=self._first[taken], day=self._first_day[taken], after=self._after[taken], cutoff=self._cutoff
        )


def gini(count: np.ndarray) -> float:
    """The Gini coefficient of counts [V]: half their mean difference over their mean; 0 without any."""
    if not count.sum():
        return 0.0
    ascending = np.sort(count)
    size = len(ascending)
    weight = 2 * np.arange(1, size + 1) - size - 1
    return float(np.dot(weight.astype(float), ascending) / (size * ascending.sum()))


def _top(share: np.ndarray, top: float) -> float:
    """Share of the interactions that the `top` share of the items has; `share` [V + 1] is cumulative."""
    items = len(share) - 1
    return float(share[min(int(np.ceil(top * items - 1e-9)), items)])


def _curve(share: np.ndarray) -> tuple[tuple[float, float], ...]:
    items = max(len(share) - 1, 1)
    even = np.linspace(0, len(share) - 1, _CURVE_POINTS // 2)
    place = np.unique(np.append(even, np.geomspace(1, items, _CURVE_POINTS // 2) - 1).round().astype(int))
    return tuple((place_ / items, float(share[place_])) for place_ in place.tolist())


def _ranks(count: np.ndarray) -> tuple[tuple[int, int], ...]:
    if not len(count):
        return ()
    rank = np.unique(np.geomspace(1, len(count), min(len(count), _CURVE_POINTS)).round().astype(int))
    return tuple(zip(rank.tolist(), count[rank - 1].tolist(), strict=True))
