"""What goes with the things in hand and is no other of the same kind: bread with butter, not bread with bread.

A pair counts by its lift: the share of the moments (baskets) of one thing that hold the other, less the share of all
moments that do. What is in every basket goes with nothing in particular (Brin, Motwani, Ullman & Tsur, "Dynamic
itemset counting and implication rules for market basket data", SIGMOD 1997). Rare items lean on their category: its
pairs weigh as much as `prior_moments` moments of the item, which also lets a new item have complements.
"""

from dataclasses import replace

import numpy as np

from recsys.feature.item import ItemFacts
from recsys.registry import registered
from recsys.retrieval.anchors import latest_session
from recsys.retrieval.category_affinity import category_shares
from recsys.retrieval.covisitation import Relation, count_pairs
from recsys.retrieval.ranked_groups import RankedGroups, summed
from recsys.retrieval.spans import rows_of_spans
from recsys.sequence.histories import Histories
from recsys.slate import Candidates, Reason
from recsys.state import ShopperState

_OF_CATEGORY = "category_"
_KINDS = 20
"""How many categories that go with a category are looked into."""


@registered
class Complement:
    """Items of other categories by how much likelier they are in a moment with the latest session's items.

    Args:
        moments: so many are counted, the latest.
        neighbours: how many complements are kept for an item, and for a category.
        least: pairs of items seen less often are left to their categories.
        prior_moments: how many moments of an item its category's pairs weigh as much as.
        category: category of every catalogue index [V] int64, 0 for none.
        trust: how far each item's own pairs are to be trusted [V] float32; the rest is its category's.
        learnt: the complements of each item, and (names begin with category_) of each category.
    """

    name = "complement"
    timed = False

    def __init__(
        self,
        *,
        moments: int = 50_000,
        neighbours: int = 30,
        least: int = 2,
        prior_moments: float = 200.0,
        category: np.ndarray | None = None,
        trust: np.ndarray | None = None,
        **learnt: np.ndarray,
    ) -> None:
        self.moments = moments
        self.neighbours = neighbours
        self.least = least
        self.prior_moments = prior_moments
        self._category = np.zeros(1, np.int64) if category is None else category
        self._trust = np.zeros(1, np.float32) if trust is None else trust
        whole = {name.removeprefix(_OF_CATEGORY): v for name, v in learnt.items() if name.startswith(_OF_CATEGORY)}
        own = {name: v for name, v in learnt.items() if not name.startswith(_OF_CATEGORY)}
        self._own = RankedGroups(**own) if own else RankedGroups.none()
        self._whole = RankedGroups(**whole) if whole else RankedGroups.none()

    def fit(
        self, histories: Histories, *, items: int, until: int, category: np.ndarray, facts: ItemFacts | None = None
    ) -> None:
        """Count the pairs in the moments before `until`; `items` is V."""
        known = _latest(histories.before(until).interactions(), self.moments).once_per_moment()
        support = np.bincount(known.events.item, minlength=items)
        moments = max(len(known.moments()), 1)
        left, right, count = count_pairs(known, items, Relation.WITHIN)
        kept = (count >= self.least) & (category[left] != category[right])
        left, right, count = left[kept], right[kept], count[kept]
        lead = count / support[left] - support[right] / moments
        self._category = category
        self._trust = (support / np.maximum(support + self.prior_moments, 1e-9)).astype(np.float32)
        self._own = RankedGroups.of(left, right, lead, groups=items, most=self.neighbours)
        self._whole = _of_categories(known, category, support, most=self.neighbours)

    def candidates(self, state: ShopperState, count: int | None = None) -> Candidates:
        """Complements of the latest session's items, but nothing of a category that is among them already."""
        anchor, weight = latest_session(state)
        if not len(anchor) or not len(self._own):
            return Candidates.none()
        kind, trust = self._category[anchor], self._trust[anchor]
        own = self._own.weighted(anchor, weight * trust)
        whole = self._whole.weighted(kind, weight * (1 - trust))
        item, score = np.concatenate([own[0], whole[0]]), np.concatenate([own[1], whole[1]])
        in_hand = np.zeros(len(self._whole) + 1, bool)
        in_hand[kind] = True
        in_hand[0] = False
        other = ~in_hand[self._category[item]]
        return summed(item[other], score[other], count)

    def reasons(self, state: ShopperState, item: np.ndarray) -> list[Reason]:
        """Names the item of the session that speaks most for each."""
        anchor, weight = latest_session(state)
        if not len(anchor):
            return [Reason("goes with what you have")] * len(item)
        votes = np.stack([self._votes(a, item) * w for a, w in zip(anchor.tolist(), weight.tolist(), strict=True)])
        return [Reason("goes with {title}", cause) for cause in anchor[votes.argmax(0)].tolist()]

    def settings(self) -> dict[str, float | int]:
        return {
            "moments": self.moments,
            "neighbours": self.neighbours,
            "least": self.least,
            "prior_moments": self.prior_moments,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        whole = {f"{_OF_CATEGORY}{name}": values for name, values in self._whole.arrays().items()}
        return {**self._own.arrays(), **whole, "category": self._category, "trust": self._trust}

    def _votes(self, anchor: int, item: np.ndarray) -> np.ndarray:
        """What one anchor says for each of `item` [K]."""
        own, whole = self._own.best(anchor), self._whole.best(int(self._category[anchor]))
        trust = float(self._trust[anchor])
        found = trust * own.score @ (own.item[:, np.newaxis] == item)
        return np.asarray(found + (1 - trust) * whole.score @ (whole.item[:, np.newaxis] == item))


def _latest(known: Histories, most: int) -> Histories:
    """Only the `most` latest moments, and those that share their first instant."""
    instant = known.events.time[known.moments()]
    if len(instant) <= most:
        return known
    return known.where(known.events.time >= np.partition(instant, len(instant) - most)[len(instant) - most])


def _of_categories(known: Histories, category: np.ndarray, taken: np.ndarray, *, most: int) -> RankedGroups:
    """For each category the `most` items that go with it: what their category gains from it, times their share of their
    category, of how often they were `taken` [V]."""
    kinds = int(category.max(initial=0)) + 1
    of_items = category[known.events.item]
    named = known.where(of_items > 0)
    groups = Histories(named.shopper, named.start, replace(named.events, item=category[named.events.item]))
    groups = groups.once_per_moment()
    left, right, count = count_pairs(groups, kinds, Relation.WITHIN)
    support = np.bincount(groups.events.item, minlength=kinds)
    lead = count / support[left] - category_shares(known, category)[right]
    share = taken / np.maximum(np.bincount(category, taken, minlength=kinds), 1)[category]
    goes = RankedGroups.of(left, right, lead, groups=kinds, most=_KINDS)
    best = RankedGroups.of(category, np.arange(len(category)), share, groups=kinds, most=most)
    rows, owner = rows_of_spans(best.start[goes.item], best.start[goes.item + 1])
    left = np.repeat(np.arange(kinds), np.diff(goes.start))
    return RankedGroups.of(left[owner], best.item[rows], goes.score[owner] * best.score[rows], groups=kinds, most=most)
