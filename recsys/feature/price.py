"""Prices as a shopper meets them: against the item's category, against what they usually pay, against the list price.

Ratios are put on a grid of sixteenths of a doubling before they are added up, so that sums are of integers and do not
depend on the order of adding.
"""

from dataclasses import dataclass

import numpy as np

from recsys.feature.past import Past

OCTAVE = 16
"""Steps of the grid for every doubling of a price."""
LEVEL_BORDERS = np.array([0.25, 0.5, 0.7, 0.85, 0.95, 1.05, 1.2, 1.45, 2.0, 4.0])
"""Ratios to the category's median at which the next class begins."""
LEVELS = len(LEVEL_BORDERS) + 2
"""Classes of a price within its category; 0 is "unknown", 6 about the median."""
HABIT_BORDERS = np.array([-24, -12, -6, -2, 2, 6, 12, 24])
"""Steps above the shopper's usual level at which the next class begins."""
HABITS = len(HABIT_BORDERS) + 2
"""Classes of a price against the shopper's habit; 0 is "unknown", 5 as usual."""
SHOPPER_BORDERS = np.array([-8, -5, -3, -1, 1, 3, 5, 8])
SHOPPERS = len(SHOPPER_BORDERS) + 2
"""Classes of the level that a shopper usually pays; 0 is "unknown", 5 the median of each category."""
DISCOUNT_BORDERS = np.array([0.5, 0.7, 0.8, 0.9, 0.995])
"""Shares of the list price that are paid, below which the discount is of the next class."""
DISCOUNTS = len(DISCOUNT_BORDERS) + 2
"""Classes of a discount: 0 is "unknown", 1 none, the last more than half of the price."""
LEAST_PURCHASES = 3
"""Fewer purchases are no habit."""

_LONGEST = 8 * OCTAVE
_STEP_BORDERS = 2.0 ** ((np.arange(-_LONGEST, _LONGEST) + 0.5) / OCTAVE)


@dataclass(frozen=True, slots=True)
class UsualPrices:
    """What things cost before the cut-off.

    Attributes:
        item: median price of every item [V] float32, NaN where unknown.
        category: category of every item [V] int64, 0 for none.
        level: median over the items of every category of their usual price [C] float32, NaN where unknown.
    """

    item: np.ndarray
    category: np.ndarray
    level: np.ndarray

    @classmethod
    def learn(
        cls,
        *,
        item: np.ndarray,
        price: np.ndarray,
        list_price: np.ndarray,
        catalogue_price: np.ndarray,
        category: np.ndarray,
    ) -> "UsualPrices":
        """From events before the cut-off.

        Args:
            item: index of every event [E], 0 for none.
            price, list_price: of one unit [E], NaN where unknown; the list price counts where there is one.
            catalogue_price: of every item [V], NaN where unknown; counts for items without a priced event.
            category: of every item [V].
        """
        seen = np.where(np.isnan(list_price), price, list_price)
        usable = (item > 0) & (seen > 0)
        usual = medians(item[usable], seen[usable], len(category))
        usual = np.where(np.isnan(usual), np.where(catalogue_price > 0, catalogue_price, np.nan), usual)
        priced = (category > 0) & (usual > 0)
        level = medians(category[priced], usual[priced], int(category.max(initial=0)) + 1)
        return cls(usual.astype(np.float32), category.astype(np.int64), level.astype(np.float32))

    def ratio(self, item: np.ndarray, price: np.ndarray) -> np.ndarray:
        """Price over the median of the item's category [N] float64; NaN where unknown.

        The item's usual price stands in for an unknown `price` [N].
        """
        paid = np.where(price > 0, price, self.item[item]).astype(np.float64)
        return np.asarray(paid / self.level[self.category[item]].astype(np.float64))


def medians(group: np.ndarray, value: np.ndarray, groups: int) -> np.ndarray:
    """Median of the values [N] of each group 0..groups-1, the lower of two middles; NaN for an empty one."""
    found = np.full(groups, np.nan)
    if not len(group):
        return found
    order = np.lexsort((value, group))
    group, value = group[order], value[order]
    first = np.flatnonzero(np.diff(group, prepend=-1))
    last = np.append(first[1:], len(group)) - 1
    found[group[first]] = value[(first + last) // 2]
    return found


def level_class(ratio: np.ndarray) -> np.ndarray:
    """Class 0..LEVELS-1 of a price within its category, from `UsualPrices.ratio` [N]."""
    return np.where(np.isnan(ratio), 0, 1 + np.searchsorted(LEVEL_BORDERS, ratio, side="right"))


def discount_class(price: np.ndarray, list_price: np.ndarray) -> np.ndarray:
    """Class 0..DISCOUNTS-1 of the discount on unit prices [N]; NaN means unknown."""
    known = (list_price > 0) & (price >= 0)
    paid = np.divide(price, list_price, out=np.ones(len(price)), where=known, dtype=np.float64)
    return np.where(known, DISCOUNTS - 1 - np.searchsorted(DISCOUNT_BORDERS, paid, side="right"), 0)


def steps(ratio: np.ndarray) -> np.ndarray:
    """Ratios [N] on the grid, [N] int64: `OCTAVE` steps for every doubling, 0 for one, at most eight doublings."""
    return np.asarray(np.searchsorted(_STEP_BORDERS, ratio, side="right") - _LONGEST)


@dataclass(frozen=True, slots=True)
class PriceHabit:
    """At what level of their categories' prices shoppers bought, strictly before N questions; [N] each.

    Attributes:
        total: sum of the `steps` of their purchases.
        count: number of purchases of known level.
    """

    total: np.ndarray
    count: np.ndarray

    @classmethod
    def of(cls, past: Past, *, ratio: np.ndarray, bought: np.ndarray) -> "PriceHabit":
        """`ratio` [E] of every event's price to its category's, and whether it is a purchase [E] bool."""
        counts = bought & ~np.isnan(ratio)
        total = np.concatenate([[0], np.cumsum(np.where(counts, steps(ratio), 0))])
        count = np.concatenate([[0], np.cumsum(counts)])
        return cls(total[past.high] - total[past.low], count[past.high] - count[past.low])

    def __getitem__(self, chosen: np.ndarray) -> "PriceHabit":
        return PriceHabit(self.total[chosen], self.count[chosen])

    def shopper_class(self) -> np.ndarray:
        """Class 0..SHOPPERS-1 of the level usually paid, [N] int64."""
        known = self.count >= LEAST_PURCHASES
        mean = self.total / np.maximum(self.count, 1)
        return np.where(known, 1 + np.searchsorted(SHOPPER_BORDERS, mean, side="right"), 0)

    def habit_class(self, ratio: np.ndarray) -> np.ndarray:
        """Class 0..HABITS-1 of a price with this ratio to its category's [N] against what is usually paid."""
        known = (self.count >= LEAST_PURCHASES) & ~np.isnan(ratio)
        above = steps(ratio) - self.total / np.maximum(self.count, 1)
        return np.where(known, 1 + np.searchsorted(HABIT_BORDERS, above, side="right"), 0)
