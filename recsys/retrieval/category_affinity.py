"""New things of the kinds a shopper takes: the chance of the category for this shopper, times the item's share of it.

Households try other items of the categories they buy anyway: where an item was never bought, its category tells.
The chance of a category is the share of the shopper's moments (baskets) it was part of, moments halved for every
`half_life_days`, with the crowd's own share as prior (the mean of a beta posterior); the item's share of its category
is that of the last `days`.
"""

from collections.abc import Mapping

import numpy as np

from recsys.clock import DAY
from recsys.compiled import compiled
from recsys.feature.item import ItemFacts
from recsys.registry import registered
from recsys.retrieval.best import is_behind, offer, settle, sums
from recsys.retrieval.proposals import Proposals
from recsys.runs import distinct, fresh
from recsys.sequence.histories import Histories
from recsys.shoppers import Shoppers
from recsys.slate import Candidates, Reason
from recsys.state import History, ShopperState

_LEARNT = {"category", "crowd", "item", "share"}


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
        self._start = _starts(learnt) if learnt else np.zeros(1, np.int64)

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
        self._start = _starts(self._learnt)

    def candidates(self, state: ShopperState, count: int | None = None) -> Candidates:
        """Items of all categories, the shopper's own before those of the crowd."""
        return self.proposals(Shoppers([state]), count).one(0)

    def proposals(self, shoppers: Shoppers, count: int | None = None) -> Proposals:
        """The same for many shoppers."""
        if not self._learnt:
            return Proposals.none(len(shoppers))
        learnt, seen = self._learnt, shoppers.seen
        rows, kinds = len(learnt["item"]), len(learnt["crowd"])
        room = sums(kinds)
        return Proposals(
            *_proposed(
                seen.start, learnt["category"][seen.item], seen.time, shoppers.at,
                learnt["crowd"], self._start, learnt["item"], learnt["share"],
                self.half_life_days * DAY, self.prior_moments, rows if count is None else min(count, rows),
                room.total, room.place, room.stamp, room.tick,
            )
        )  # fmt: skip

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


def _starts(learnt: Mapping[str, np.ndarray]) -> np.ndarray:
    """Where the items of each category begin, and the end of the last [C + 1]."""
    own = learnt["category"][learnt["item"]]
    return np.searchsorted(own, np.arange(len(learnt["crowd"]) + 1)).astype(np.int64)


@compiled
def _proposed(
    start: np.ndarray,
    kind: np.ndarray,
    time: np.ndarray,
    at: np.ndarray,
    crowd: np.ndarray,
    row_start: np.ndarray,
    row_item: np.ndarray,
    row_share: np.ndarray,
    half_life: float,
    prior: float,
    most: int,
    total: np.ndarray,
    last: np.ndarray,
    stamp: np.ndarray,
    tick: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each shopper the items by the chance of their category times their share of it; rows of a category are best
    first. `kind` and `time` are those of what shoppers acted on; the chance is that of `category_chances`."""
    begin = np.zeros(len(start), np.int64)
    item, score = np.empty(most * len(at), np.int64), np.empty(most * len(at), np.float64)
    end = 0
    for shopper in range(len(at)):
        tick[0] += 1
        moment, whole, strength = -1, 0.0, 0.0
        for row in range(start[shopper], start[shopper + 1]):
            if moment < 0 or time[row] != time[row - 1]:
                moment += 1
                strength = 0.5 ** ((at[shopper] - time[row]) / half_life)
                whole += strength
            number = kind[row]
            if stamp[number] != tick[0]:
                stamp[number], total[number], last[number] = tick[0], 0.0, -1
            if last[number] != moment:  # one moment counts once
                total[number] += strength
                last[number] = moment
        heap_item, heap_score, size = item[end:], score[end:], 0
        for number in range(len(crowd)):
            if row_start[number] == row_start[number + 1]:
                continue
            chance = float(crowd[number])
            if moment >= 0:
                own = total[number] if stamp[number] == tick[0] else 0.0
                chance = (own + prior * chance) / (whole + prior)
            for row in range(row_start[number], row_start[number + 1]):
                worth = chance * row_share[row]
                if size == most and not is_behind(heap_score[0], heap_item[0], worth, row_item[row]):
                    break
                size = offer(heap_item, heap_score, size, most, row_item[row], worth)
        settle(heap_item, heap_score, size)
        end = begin[shopper + 1] = end + size
    return begin, item[:end].copy(), score[:end].astype(np.float32)


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
