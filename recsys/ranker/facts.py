"""Facts of (shopper, candidate, instant): what the sources say of it, what the shopper took, what everybody takes.

Repeat consumption is told by how often, how lately and at what usual interval the shopper took the item and its
category, as in Bhagat et al., "Buy it again: modeling repeat purchase recommendations" (KDD 2018); things never taken
by how usual their category is for the shopper and they are in their category.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from recsys.clock import DAY, HOUR
from recsys.compiled import compiled
from recsys.event import EventType
from recsys.ranker.taken import taken
from recsys.retrieval.best import sums
from recsys.retrieval.category_affinity import category_shares
from recsys.retrieval.mixing import Mixed
from recsys.retrieval.repurchase import category_intervals
from recsys.sequence.histories import Histories
from recsys.shoppers import Shoppers
from recsys.slate import Candidates
from recsys.state import ShopperState

ITEM_HALF_LIVES = np.array([15.0, 45.0, 90.0, 300.0])
CATEGORY_HALF_LIVES = np.array([90.0])
_POPULAR_DAYS = 28
_PRIOR_MOMENTS = 5.0
_SOON = 2 * HOUR
_OWN_FACTS = 6 + len(ITEM_HALF_LIVES) + 6 + len(CATEGORY_HALF_LIVES) + 1
_CROWD_FACTS = 7
_SHOPPER_FACTS = 6


@dataclass(frozen=True, slots=True)
class Retrieved:
    """A question with what the sources propose and, where it is known, what was taken.

    Attributes:
        state: the shopper the instant before.
        gathered: candidates by the name of their source, the encoder among them.
        target: distinct items that were taken [T].
    """

    state: ShopperState
    gathered: Mapping[str, Candidates]
    target: np.ndarray


@dataclass(frozen=True, slots=True)
class CrowdFacts:
    """What everybody did before some instant; [V] float32 each, but the categories.

    Attributes:
        category: category of every index [V] int64.
        crowd: share of all baskets that each category was part of [C] float32.
        repeat: log of repeats per buyer.
        popularity: log of recent purchases.
        first_time: log of recent purchases by shoppers who never bought it before.
        interval: log of the category's usual interval in days.
        share: log of the share of its category's recent purchases.
    """

    category: np.ndarray
    crowd: np.ndarray
    repeat: np.ndarray
    popularity: np.ndarray
    first_time: np.ndarray
    interval: np.ndarray
    share: np.ndarray

    @classmethod
    def of(cls, histories: Histories, *, items: int, until: int, category: np.ndarray) -> "CrowdFacts":
        """Counted from the purchases before `until`; `items` is V."""
        bought = histories.before(until).interactions().of_type(EventType.PURCHASE)
        item, time = bought.events.item.astype(np.int64), bought.events.time
        pair, first, times = np.unique(bought.owner() * items + item, return_index=True, return_counts=True)
        buyers = np.bincount(pair % items, minlength=items)
        repeats = np.bincount(pair % items, weights=times - 1, minlength=items)
        recent = time >= until - _POPULAR_DAYS * DAY
        taken = np.bincount(item[recent], minlength=items)
        tried = np.bincount(item[first][recent[first]], minlength=items)
        total = np.bincount(category, weights=taken, minlength=int(category.max(initial=0)) + 1)[category]
        learnt = {
            "crowd": category_shares(bought, category),
            "repeat": np.log((repeats + 1) / (buyers + 5)),
            "popularity": np.log(taken + 0.5),
            "first_time": np.log(tried + 0.5),
            "interval": np.log(category_intervals(bought, category, until=until)[category]),
            "share": np.log(taken / np.maximum(total, 1) + 1e-4),
        }
        return cls(category, **{name: values.astype(np.float32) for name, values in learnt.items()})

    def arrays(self) -> dict[str, np.ndarray]:
        """What the bundle stores; the constructor takes it back."""
        return asdict(self)


def width(sources: Sequence[str]) -> int:
    """F: how many facts there are."""
    return len(sources) + _OWN_FACTS + _CROWD_FACTS + _SHOPPER_FACTS


def facts_of(
    shoppers: Shoppers, mixed: Mixed, *, sources: Sequence[str], crowd: CrowdFacts
) -> tuple[np.ndarray, np.ndarray]:
    """Facts of the candidates of B shoppers [R, F] float32, and which of them the shopper never bought [R] bool; of
    what is mixed the `sources` are read, which may be silent."""
    bought, count = shoppers.bought, len(mixed.item)
    facts = np.empty((count, width(sources)), np.float32)
    facts[:, : len(sources)] = _SILENT
    for column, name in enumerate(sources):
        if name in mixed.names:
            facts[:, column] = np.log(mixed.said[:, mixed.names.index(name)] + _LEAST)
    room = sums(max(len(crowd.category), len(crowd.crowd)))
    new = np.empty(count, bool)
    _write(
        facts[:, len(sources) :], new, mixed.start, mixed.item,
        bought.start, bought.item, bought.time, shoppers.at,
        crowd.category, crowd.crowd, crowd.repeat, crowd.popularity, crowd.first_time, crowd.interval, crowd.share,
        ITEM_HALF_LIVES * DAY, CATEGORY_HALF_LIVES * DAY, room.place, room.stamp, room.tick,
    )  # fmt: skip
    return facts, new


_LEAST = np.float32(1e-5)
_SILENT = np.log(_LEAST)


@compiled
def _write(
    facts: np.ndarray,
    new: np.ndarray,
    start: np.ndarray,
    item: np.ndarray,
    bought_start: np.ndarray,
    bought: np.ndarray,
    time: np.ndarray,
    at: np.ndarray,
    category: np.ndarray,
    crowd: np.ndarray,
    repeat: np.ndarray,
    popularity: np.ndarray,
    first_time: np.ndarray,
    interval: np.ndarray,
    share: np.ndarray,
    item_lives: np.ndarray,
    category_lives: np.ndarray,
    slot: np.ndarray,
    stamp: np.ndarray,
    tick: np.ndarray,
) -> None:
    """Everything but what the sources said, of each row a row of `facts`."""
    of_item, of_category = 6 + len(item_lives), 6 + len(category_lives)
    for shopper in range(len(at)):
        first, end = start[shopper], start[shopper + 1]
        low, high, now = bought_start[shopper], bought_start[shopper + 1], at[shopper]
        key = bought[low:high]
        taken(facts[first:end, :of_item], key, time[low:high], item[first:end], now, item_lives, slot, stamp, tick)
        for row in range(first, end):
            new[row] = facts[row, 4] == 0
        column = of_item
        halved = taken(
            facts[first:end, column : column + of_category], category[key], time[low:high], category[item[first:end]],
            now, category_lives, slot, stamp, tick,
        )  # fmt: skip
        column += of_category
        moments, weight, size, last = 0, 0.0, 0, high
        for row in range(low, high):
            if row == low or time[row] != time[row - 1]:
                moments, weight, last = moments + 1, weight + 0.5 ** ((now - time[row]) / category_lives[0]), row
        size = high - last
        tick[0] += 1
        for row in range(last, high):
            stamp[bought[row]] = tick[0]
        since = (now - time[high - 1]) / DAY if moments else 400.0
        for row in range(first, end):
            kind = category[item[row]]
            affinity = np.log((halved[row - first] + _PRIOR_MOMENTS * crowd[kind]) / (weight + _PRIOR_MOMENTS) + 1e-4)
            facts[row, column] = stamp[item[row]] == tick[0]
            facts[row, column + 1] = affinity
            facts[row, column + 2] = affinity + share[item[row]]
            facts[row, column + 3] = share[item[row]]
            facts[row, column + 4] = repeat[item[row]]
            facts[row, column + 5] = popularity[item[row]]
            facts[row, column + 6] = first_time[item[row]]
            facts[row, column + 7] = interval[item[row]]
            facts[row, column + 8] = np.log1p(moments)
            facts[row, column + 9] = np.log(since + 0.02)
            facts[row, column + 10] = np.log1p(weight)
            facts[row, column + 11] = np.log1p((high - low) / max(moments, 1))
            facts[row, column + 12] = np.log1p(size)
            facts[row, column + 13] = since < _SOON / DAY
