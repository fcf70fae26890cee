"""More of what the shopper is looking at: the most popular items of the same category.

This is how a view or a cart steers the answer where the log holds purchases only: the category of the viewed item is
known even if no view ever was.
"""

import numpy as np

from recsys.clock import DAY
from recsys.feature.item import ItemFacts
from recsys.registry import registered
from recsys.retrieval.anchors import latest_session, open_questions
from recsys.sequence.histories import Histories
from recsys.slate import Candidates, Reason
from recsys.state import ShopperState


@registered
class CategoryPopular:
    """Items of the categories looked at in the running session, by their share of the category's interactions.

    Args:
        days: window of the counts, before the log's end.
        category: category of every catalogue index [V] int64, 0 for none.
    """

    name = "category"
    timed = False

    def __init__(
        self,
        *,
        days: int = 90,
        category: np.ndarray | None = None,
        start: np.ndarray | None = None,
        item: np.ndarray | None = None,
        score: np.ndarray | None = None,
    ) -> None:
        self.days = days
        self._category = np.zeros(1, np.int64) if category is None else category
        self._start = np.zeros(1, np.int64) if start is None else start
        self._item = np.empty(0, np.int64) if item is None else item
        self._score = np.empty(0, np.float32) if score is None else score

    def fit(
        self, histories: Histories, *, items: int, until: int, category: np.ndarray, facts: ItemFacts | None = None
    ) -> None:
        """Rank every category's items by what happened in the `days` before `until`."""
        self._category = category
        events = histories.before(until).interactions().events
        recent = events.item[events.time >= until - self.days * DAY]
        counts = np.bincount(recent, minlength=items)
        item = np.flatnonzero((counts > 0) & (self._category > 0))
        order = np.lexsort((item, -counts[item], self._category[item]))
        item = item[order]
        number = self._category[item]
        total = np.bincount(number, weights=counts[item], minlength=int(self._category.max()) + 1)
        self._start = np.searchsorted(number, np.arange(len(total) + 1)).astype(np.int64)
        self._item, self._score = item, (counts[item] / total[number]).astype(np.float32)

    def candidates(self, state: ShopperState, count: int | None = None) -> Candidates:
        """Items of the looked-at categories; nothing outside a running session."""
        if not len(self._item):
            return Candidates.none()
        anchor, weight = state.once(self._looked_at)
        total: dict[int, float] = {}
        for number, one in zip(self._category[anchor].tolist(), weight.tolist(), strict=True):
            total[number] = total.get(number, 0.0) + one
        whole = max(sum(total.values()), 1e-9)
        parts = [(self._span(number, count), one / whole) for number, one in total.items() if number]
        if not parts:
            return Candidates.none()
        item = np.concatenate([self._item[span] for span, _ in parts])
        score = np.concatenate([self._score[span] * one for span, one in parts])
        return Candidates.best(item, score, count)

    def reasons(self, state: ShopperState, item: np.ndarray) -> list[Reason]:
        """Names the latest item of the same category that was looked at."""
        anchor, _ = state.once(self._looked_at)
        latest = dict(zip(self._category[anchor].tolist(), anchor.tolist(), strict=True))
        return [Reason("because you looked at {title}", latest.get(n, 0)) for n in self._category[item].tolist()]

    def _looked_at(self, state: ShopperState) -> tuple[np.ndarray, np.ndarray]:
        """What the shopper is looking at, with weights."""
        return latest_session(open_questions(state, self._category))

    def _span(self, number: int, count: int | None) -> slice:
        """The `count` best items of a category."""
        first, last = int(self._start[number]), int(self._start[number + 1])
        return slice(first, last if count is None else min(last, first + count))

    def settings(self) -> dict[str, int]:
        return {"days": self.days}

    def arrays(self) -> dict[str, np.ndarray]:
        return {"category": self._category, "start": self._start, "item": self._item, "score": self._score}
