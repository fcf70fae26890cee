"""New things of the kinds a shopper takes: the chance of the category for this shopper, times the item's share of it.

Households try other items of the categories they buy anyway: where an item was never bought, its category tells.
The chance of a category is the share of the shopper's moments (baskets) it was part of, moments halved for every
`half_life_days`, with the crowd's own share as prior (the mean of a beta posterior); the item's share of its category
is that of the last `days`.
"""

from dataclasses import dataclass

import numpy as np

from recsys.clock import DAY
from recsys.feature.item import ItemFacts
from recsys.registry import registered
from recsys.retrieval.spans import rows_of_spans
from recsys.runs import distinct, firsts, fresh
from recsys.sequence.histories import Histories
from recsys.slate import Candidates, Reason
from recsys.state import History, ShopperState

_LEARNT = {"category", "crowd", "item", "share"}
_HEAD = 8


@dataclass(frozen=True, slots=True)
class _Groups:
    """The items that can be proposed, by category.

    Attributes:
        of: category of every item [R].
        start: where the items of each of the G categories begin, and the end of the last [G + 1].
        category: which it is [G].
        head: the largest shares of each, descending [G, H]; 0 where it has fewer.
    """

    of: np.ndarray
    start: np.ndarray
    category: np.ndarray
    head: np.ndarray

    @classmethod
    def of_items(cls, *, category: np.ndarray, crowd: np.ndarray, item: np.ndarray, share: np.ndarray) -> "_Groups":
        own = category[item]
        first = firsts(own)
        start = np.append(first, len(own))
        place = first[:, None] + np.arange(_HEAD)
        inside = place < start[1:, None]
        head = np.where(inside, share[np.where(inside, place, 0)], 0) if len(item) else np.empty((0, _HEAD))
        return cls(own, start, own[first], head)

    @classmethod
    def none(cls) -> "_Groups":
        nothing = np.empty(0, np.int64)
        return cls.of_items(category=nothing, crowd=nothing, item=nothing, share=nothing)


@registered
class CategoryAffinity:
    """Items by how usual their category is for the shopper, and they are in it.

    Args:
        days: window of the items' counts, before the log's end.
        half_life_days: age at which a moment of the shopper counts half.
        prior_moments: how many moments of its own the crowd's share weighs as much as.
        most: how many items of a category are proposed.
        category: category of every catalogue index [V] int64, 0 for none.
        crowd: share of all moments that each category was part of [C] float32.
        item, share: the items that can be proposed [R] int64, and their share of their category [R] float32.
    """

    name = "affinity"
    timed = False

    def __init__(
        self,
        *,
        days: int = 28,
        half_life_days: float = 90.0,
        prior_moments: float = 5.0,
        most: int = 50,
        **learnt: np.ndarray,
    ) -> None:
        if strange := learnt.keys() - _LEARNT:
            raise TypeError(f"CategoryAffinity does not know {sorted(strange)}; it takes {', '.join(sorted(_LEARNT))}")
        self.days = days
        self.half_life_days = half_life_days
        self.prior_moments = prior_moments
        self.most = most
        self._learnt = learnt
        self._groups = _Groups.of_items(**learnt) if learnt else _Groups.none()

    def fit(
        self, histories: Histories, *, items: int, until: int, category: np.ndarray, facts: ItemFacts | None = None
    ) -> None:
        """Count the events before `until`; `items` is V."""
        known = histories.before(until).interactions()
        recent = known.events.item[known.events.time >= until - self.days * DAY]
        taken = np.bincount(recent, minlength=items)
        item = np.flatnonzero((taken > 0) & (category > 0))
        order = np.lexsort((item, -taken[item], category[item]))
        item = item[order]
        place = np.arange(len(item)) - np.searchsorted(category[item], category[item])
        item = item[place < self.most]
        total = np.bincount(category, weights=taken)
        self._learnt = {
            "category": category,
            "crowd": category_shares(known, category).astype(np.float32),
            "item": item.astype(np.int64),
            "share": (taken[item] / np.maximum(total[category[item]], 1)).astype(np.float32),
        }
        self._groups = _Groups.of_items(**self._learnt)

    def candidates(self, state: ShopperState, count: int | None = None) -> Candidates:
        """Items of all categories, the shopper's own before those of the crowd."""
        if not self._learnt:
            return Candidates.none()
        item, share = self._learnt["item"], self._learnt["share"]
        chance = self._chance(state)
        rows = slice(None) if count is None else self._promising(chance, count)
        return Candidates.best(item[rows], chance[self._groups.of[rows]] * share[rows], count)

    def reasons(self, state: ShopperState, item: np.ndarray) -> list[Reason]:
        """Names the latest item of the same category."""
        seen = state.history.interactions()
        latest = dict(zip(self._learnt["category"][seen.item].tolist(), seen.item.tolist(), strict=True))
        causes = [latest.get(number, 0) for number in self._learnt["category"][item].tolist()]
        return [Reason("goes with your taste for {title}" if cause else "much taken", cause) for cause in causes]

    def settings(self) -> dict[str, int | float]:
        return {
            "days": self.days,
            "half_life_days": self.half_life_days,
            "prior_moments": self.prior_moments,
            "most": self.most,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        return dict(self._learnt)

    def _promising(self, chance: np.ndarray, count: int) -> np.ndarray:
        """Rows among which the `count` best are, ascending. Within a category shares descend: the heads of all
        categories tell how good an item must be at least, and most categories have none."""
        of = chance[self._groups.category]
        heads = (of[:, None] * self._groups.head).ravel()
        if len(heads) <= count or not (least := np.partition(heads, len(heads) - count)[len(heads) - count]) > 0:
            return np.arange(len(self._learnt["share"]))
        good = (heads[:: self._groups.head.shape[1]] >= least).nonzero()[0]
        rows, _ = rows_of_spans(self._groups.start[good], self._groups.start[good + 1])
        return rows

    def _chance(self, state: ShopperState) -> np.ndarray:
        """Of every category, that the shopper's next moment has it [C]."""
        return category_chances(
            state.history.interactions(),
            state.context.at,
            self._learnt["category"],
            self._learnt["crowd"],
            half_life_days=self.half_life_days,
            prior_moments=self.prior_moments,
        )


def category_chances(
    seen: History,
    at: int,
    category: np.ndarray,
    crowd: np.ndarray,
    *,
    half_life_days: float,
    prior_moments: float = 5.0,
) -> np.ndarray:
    """Of every category, that the next moment of a shopper with the interactions `seen` has it [C]; `crowd` [C] is the
    share of everybody's moments, which weighs as much as `prior_moments`."""
    if not len(seen):
        return crowd
    begins = fresh(seen.time)
    first, moment = begins.nonzero()[0], np.cumsum(begins) - 1
    weight = 0.5 ** ((at - seen.time[first]) / (half_life_days * DAY))
    pair = distinct(moment * len(crowd) + category[seen.item])
    own = np.bincount(pair % len(crowd), weight[pair // len(crowd)], minlength=len(crowd))
    chance: np.ndarray = (own + prior_moments * crowd) / (weight.sum() + prior_moments)
    return chance


def category_shares(known: Histories, category: np.ndarray) -> np.ndarray:
    """Share of all moments that each category was part of [C]."""
    count = int(category.max(initial=0)) + 1
    fresh = np.zeros(len(known.events), np.int64)
    fresh[known.moments()] = 1
    parts = distinct(np.cumsum(fresh) * count + category[known.events.item]) % count
    share: np.ndarray = np.bincount(parts, minlength=count) / max(int(fresh.sum()), 1)
    return share
