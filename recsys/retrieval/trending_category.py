"""More of what the shopper is looking at: what is taken more often than usual in the same categories these days."""

import numpy as np

from recsys.feature.item import ItemFacts
from recsys.registry import registered
from recsys.retrieval.anchors import latest_session, open_questions
from recsys.retrieval.ranked_groups import RankedGroups
from recsys.retrieval.trend import Pace, Taken, rising
from recsys.sequence.histories import Histories
from recsys.slate import Candidates, Reason
from recsys.state import ShopperState


@registered
class TrendingInCategory:
    """Items of the categories looked at in the running session, by how far their fading share of the category's
    interactions lies above the usual; see `recsys/retrieval/trend.py`.

    Args:
        half_life_days, usual_days, usual, caution: see `Pace`.
        most: how many items are kept of a category.
        category: category of every catalogue index [V] int64, 0 for none.
        learnt: the ranked lists.
    """

    name = "trending_category"
    timed = False

    def __init__(
        self,
        *,
        half_life_days: float = 7.0,
        usual_days: float = 60.0,
        usual: float = 1.0,
        caution: float = 1.0,
        most: int = 200,
        category: np.ndarray | None = None,
        **learnt: np.ndarray,
    ) -> None:
        self.pace = Pace(half_life_days=half_life_days, usual_days=usual_days, usual=usual, caution=caution)
        self.most = most
        self._category = np.zeros(1, np.int64) if category is None else category
        self._ranked = RankedGroups(**learnt) if learnt else RankedGroups.none()

    def fit(
        self, histories: Histories, *, items: int, until: int, category: np.ndarray, facts: ItemFacts | None = None
    ) -> None:
        """Compare the days before `until` with the usual in every category; `items` is V."""
        events = histories.before(until).interactions().once_per_moment().events
        events = events[category[events.item] > 0]
        group = category[events.item]
        taken = Taken(group, events.item, events.time, group, events.time)
        groups = int(category.max(initial=0)) + 1
        self._category = category
        self._ranked = rising(taken, self.pace, groups=groups, items=items, until=until, most=self.most)

    def candidates(self, state: ShopperState, count: int | None = None) -> Candidates:
        """What rises in the looked-at categories; nothing outside a running session."""
        if not len(self._ranked):
            return Candidates.none()
        anchor, weight = latest_session(open_questions(state, self._category))
        number, place = np.unique(self._category[anchor], return_inverse=True)
        total = np.bincount(place, weights=weight, minlength=len(number))
        return self._ranked.mixed(number, total / max(float(total.sum()), 1e-9), count)

    def reasons(self, state: ShopperState, item: np.ndarray) -> list[Reason]:
        """Names the latest item of the same category that was looked at."""
        anchor, _ = latest_session(open_questions(state, self._category))
        latest = dict(zip(self._category[anchor].tolist(), anchor.tolist(), strict=True))
        return [
            Reason(f"{self.pace.words}, like {{title}}", latest.get(number, 0))
            for number in self._category[item].tolist()
        ]

    def settings(self) -> dict[str, float | int]:
        return {**self.pace.settings(), "most": self.most}

    def arrays(self) -> dict[str, np.ndarray]:
        return {**self._ranked.arrays(), "category": self._category}
