"""What everybody takes: counts over the last days of the log."""

import numpy as np

from recsys.clock import DAY
from recsys.feature.item import ItemFacts
from recsys.registry import registered
from recsys.retrieval.proposals import Proposals
from recsys.sequence.histories import Histories
from recsys.shoppers import Shoppers
from recsys.slate import Candidates, Reason
from recsys.state import ShopperState


@registered
class Popular:
    """Items by the share of moments (baskets) they were part of, in the `days` before the log's end."""

    name = "popular"
    timed = False

    def __init__(self, *, days: int = 7, item: np.ndarray | None = None, score: np.ndarray | None = None) -> None:
        self.days = days
        self._ranked = Candidates.none() if item is None or score is None else Candidates(item, score)

    def fit(
        self, histories: Histories, *, items: int, until: int, category: np.ndarray, facts: ItemFacts | None = None
    ) -> None:
        """Count what happened in the `days` before `until`; `items` is V."""
        seen = histories.before(until).interactions().once_per_moment()
        recent = seen.events.time >= until - self.days * DAY
        moments = int((seen.events.time[seen.moments()] >= until - self.days * DAY).sum())
        counts = np.bincount(seen.events.item[recent], minlength=items).astype(np.float32)
        self._ranked = Candidates.best_of(counts / max(moments, 1), items)

    def candidates(self, state: ShopperState, count: int | None = None) -> Candidates:
        """The most popular items, the same for everybody."""
        return self._ranked if count is None else Candidates(self._ranked.item[:count], self._ranked.score[:count])

    def proposals(self, shoppers: Shoppers, count: int | None = None) -> Proposals:
        """The same for many shoppers."""
        return Proposals.same(Candidates(self._ranked.item[:count], self._ranked.score[:count]), len(shoppers))

    def reasons(self, state: ShopperState, item: np.ndarray) -> list[Reason]:
        return [Reason(f"popular in the last {self.days} days")] * len(item)

    def settings(self) -> dict[str, int]:
        return {"days": self.days}

    def arrays(self) -> dict[str, np.ndarray]:
        return {"item": self._ranked.item, "score": self._ranked.score}
