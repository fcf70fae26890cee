"""What everybody takes more often these days than usual."""

import numpy as np

from recsys.feature.item import ItemFacts
from recsys.registry import registered
from recsys.retrieval.ranked_groups import RankedGroups
from recsys.retrieval.trend import Pace, Taken, rising
from recsys.sequence.histories import Histories
from recsys.slate import Candidates, Reason
from recsys.state import ShopperState


@registered
class Trending:
    """Items by how far their fading share of moments (baskets) lies above the usual; see `recsys/retrieval/trend.py`.

    Args:
        half_life_days, usual_days, usual, caution: see `Pace`.
        most: how many items are kept.
        start, item, score: the ranked list, `RankedGroups` of one group.
    """

    name = "trending"
    timed = False

    def __init__(
        self,
        *,
        half_life_days: float = 1.0,
        usual_days: float = 28.0,
        usual: float = 0.5,
        caution: float = 1.0,
        most: int = 1_000,
        **learnt: np.ndarray,
    ) -> None:
        self.pace = Pace(half_life_days=half_life_days, usual_days=usual_days, usual=usual, caution=caution)
        self.most = most
        self._ranked = RankedGroups(**learnt) if learnt else RankedGroups.none()

    def fit(
        self, histories: Histories, *, items: int, until: int, category: np.ndarray, facts: ItemFacts | None = None
    ) -> None:
        """Compare the days before `until` with the usual; `items` is V."""
        known = histories.before(until).interactions().once_per_moment()
        taken = Taken.of_moments(known, np.zeros(len(known), np.int64))
        self._ranked = rising(taken, self.pace, groups=1, items=items, until=until, most=self.most)

    def candidates(self, state: ShopperState, count: int | None = None) -> Candidates:
        """What rises most, the same for everybody."""
        return self._ranked.best(0, count)

    def reasons(self, state: ShopperState, item: np.ndarray) -> list[Reason]:
        return [Reason(self.pace.words)] * len(item)

    def settings(self) -> dict[str, float | int]:
        return {**self.pace.settings(), "most": self.most}

    def arrays(self) -> dict[str, np.ndarray]:
        return self._ranked.arrays()
