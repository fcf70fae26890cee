"""What is new in the shop and taken up well, of the kinds that the shopper takes.

A new item has had few moments in which it could be taken, so it is counted against those alone: its fading count since
its birth over the fading number of moments since then, leaning on what new items usually reach. The event by which an
item became known is not counted: it says that the item is there, not how often it is taken.
"""

import numpy as np

from recsys.clock import DAY
from recsys.feature.item import ItemFacts, first_seen
from recsys.registry import registered
from recsys.retrieval.category_affinity import category_chances, category_shares
from recsys.sequence.histories import Histories
from recsys.slate import Candidates, Reason
from recsys.state import ShopperState

_LEARNT = {"item", "score", "born", "kind", "crowd"}
_MOST_LIFT = 10.0
_PRIOR_CHANCE, _PRIOR_MOMENTS = 1e-4, 1_000.0
"""Of new items before any was taken, so that the first of all is proposed too."""


@registered
class NewArrivals:
    """Items not older than `days`, by their early chance times how much more the shopper takes their category than the
    crowd does.

    An item is born when the catalogue first knew it or, where it does not say, when it was first seen. In a log shorter
    than twice the `days`, what its first half holds is not new.

    Args:
        days: how long an item is new, at the log's end and when asked.
        half_life_days: age at which an event counts half.
        prior_moments: how many moments of its own the usual chance of new items weighs as much as.
        taste_half_life_days: age at which a moment of the shopper counts half.
        most: how many new items are kept.
        item, score, born, kind: the new items [R] int64, best first, the chance of each [R] float32, its birth
            [R] int64 and its category [R] int64.
        crowd: share of all moments that each category was part of [C] float32.
    """

    name = "new_arrivals"
    timed = False

    def __init__(
        self,
        *,
        days: int = 30,
        half_life_days: float = 14.0,
        prior_moments: float = 200.0,
        taste_half_life_days: float = 90.0,
        most: int = 1_000,
        category: np.ndarray | None = None,
        **learnt: np.ndarray,
    ) -> None:
        if strange := learnt.keys() - _LEARNT:
            raise TypeError(f"NewArrivals does not know {sorted(strange)}; it takes {', '.join(sorted(_LEARNT))}")
        self.days = days
        self.half_life_days = half_life_days
        self.prior_moments = prior_moments
        self.taste_half_life_days = taste_half_life_days
        self.most = most
        self._category = np.zeros(1, np.int64) if category is None else category
        self._learnt = learnt

    def fit(
        self, histories: Histories, *, items: int, until: int, category: np.ndarray, facts: ItemFacts | None = None
    ) -> None:
        """Count the new items in the events before `until`; `items` is V."""
        known = histories.before(until).interactions().once_per_moment()
        born = first_seen(known.events.item, known.events.time, items)
        if facts is not None:
            born = np.minimum(born, facts.born)
        start = int(known.events.time.min(initial=until))
        since = max(until - self.days * DAY, (start + until) // 2)
        item = np.flatnonzero((born > since) & (born < until))
        chance = self._early(known, item, born, until)
        order = np.lexsort((item, -chance))[: self.most]
        self._category = category
        self._learnt = {
            "item": item[order],
            "score": chance[order].astype(np.float32),
            "born": born[item[order]],
            "kind": category[item[order]],
            "crowd": category_shares(known, category).astype(np.float32),
        }

    def candidates(self, state: ShopperState, count: int | None = None) -> Candidates:
        """New items of all categories, the shopper's own before others."""
        learnt = self._learnt
        if not learnt or not len(learnt["item"]):
            return Candidates.none()
        new = np.flatnonzero(
            (learnt["born"] < state.context.at) & (learnt["born"] > state.context.at - self.days * DAY)
        )
        item, score, crowd = learnt["item"][new], learnt["score"][new], learnt["crowd"]
        seen = state.history.interactions()
        if len(seen):
            half_life = self.taste_half_life_days
            own = category_chances(seen, state.context.at, self._category, crowd, half_life_days=half_life)
            lift = np.minimum(own / np.maximum(crowd, 1e-9), _MOST_LIFT)
            lift[0] = 1
            score = score * lift[learnt["kind"][new]]
        order = np.lexsort((item, -score))[:count]
        return Candidates(item[order], score[order].astype(np.float32))

    def reasons(self, state: ShopperState, item: np.ndarray) -> list[Reason]:
        """Tells whether the shopper took something of the category."""
        mine = np.zeros(int(self._category.max(initial=0)) + 1, bool)
        mine[self._category[state.history.interactions().item]] = True
        mine[0] = False
        told = mine[self._category[item]].tolist()
        return [Reason("new, of a kind you take" if own else "new in the shop") for own in told]

    def settings(self) -> dict[str, float | int]:
        return {
            "days": self.days,
            "half_life_days": self.half_life_days,
            "prior_moments": self.prior_moments,
            "taste_half_life_days": self.taste_half_life_days,
            "most": self.most,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        return {**self._learnt, "category": self._category}

    def _early(self, known: Histories, item: np.ndarray, born: np.ndarray, until: int) -> np.ndarray:
        """Chance of each new `item` [R] in a moment, by what followed its birth."""
        size = len(born)
        events = known.events
        later = (events.time > born[events.item]) & np.isin(events.item, item)
        count = np.bincount(events.item[later], self._faded(events.time[later], until), minlength=size)[item]
        moment = np.sort(events.time[known.moments()])
        whole = np.append(np.cumsum(self._faded(moment, until)[::-1])[::-1], 0)
        moments = whole[np.searchsorted(moment, born[item], side="right")]
        usual = (count.sum() + _PRIOR_CHANCE * _PRIOR_MOMENTS) / (moments.sum() + _PRIOR_MOMENTS)
        chance: np.ndarray = (count + self.prior_moments * usual) / (moments + self.prior_moments)
        return chance

    def _faded(self, time: np.ndarray, until: int) -> np.ndarray:
        weight: np.ndarray = 0.5 ** ((until - time) / (self.half_life_days * DAY))
        return weight
