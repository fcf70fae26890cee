"""More of what the shopper is looking at: the most popular items of the same category.

This is how a view or a cart steers the answer where the log holds purchases only: the category of the viewed item is
known even if no view ever was.
"""

import numpy as np

from recsys.clock import DAY
from recsys.compiled import compiled
from recsys.feature.item import ItemFacts
from recsys.registry import registered
from recsys.retrieval.anchors import latest_session, looked_at, open_questions
from recsys.retrieval.best import is_behind, offer, settle, sums
from recsys.retrieval.proposals import EVERYTHING, Proposals
from recsys.sequence.histories import Histories
from recsys.shoppers import Shoppers
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
        return self.proposals(Shoppers([state]), count).one(0)

    def proposals(self, shoppers: Shoppers, count: int | None = None) -> Proposals:
        """The same for many shoppers."""
        if not len(self._item):
            return Proposals.none(len(shoppers))
        anchors, room = looked_at(shoppers, self._category), sums(len(self._start))
        most = EVERYTHING if count is None else count
        return Proposals(
            *_proposed(
                anchors.start, self._category[anchors.item], anchors.weight, self._start, self._item, self._score, most,
                room.total, room.stamp, room.tick, room.touched,
            )
        )  # fmt: skip

    def reasons(self, state: ShopperState, item: np.ndarray) -> list[Reason]:
        """Names the latest item of the same category that was looked at."""
        anchor, _ = state.once(self._looked_at)
        latest = dict(zip(self._category[anchor].tolist(), anchor.tolist(), strict=True))
        return [Reason("because you looked at {title}", latest.get(n, 0)) for n in self._category[item].tolist()]

    def _looked_at(self, state: ShopperState) -> tuple[np.ndarray, np.ndarray]:
        """What the shopper is looking at, with weights."""
        return latest_session(open_questions(state, self._category))

    def settings(self) -> dict[str, int]:
        return {"days": self.days}

    def arrays(self) -> dict[str, np.ndarray]:
        return {"category": self._category, "start": self._start, "item": self._item, "score": self._score}


@compiled
def _proposed(
    start: np.ndarray,
    kind: np.ndarray,
    weight: np.ndarray,
    row_start: np.ndarray,
    row_item: np.ndarray,
    row_score: np.ndarray,
    most: int,
    total: np.ndarray,
    stamp: np.ndarray,
    tick: np.ndarray,
    touched: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each shopper the items of the categories `kind` looked at, by their score times the category's part of the
    weights; rows of a category are best first."""
    begin = np.zeros(len(start), np.int64)
    room = 0
    for place in range(len(kind)):
        if kind[place]:
            room += min(row_start[kind[place] + 1] - row_start[kind[place]], most)
    item, score = np.empty(room, np.int64), np.empty(room, np.float64)
    end = 0
    for shopper in range(len(start) - 1):
        tick[0] += 1
        found, whole = 0, 0.0
        for place in range(start[shopper], start[shopper + 1]):
            number = kind[place]
            if stamp[number] != tick[0]:
                stamp[number], total[number] = tick[0], 0.0
                touched[found] = number
                found += 1
            total[number] += weight[place]
            whole += weight[place]
        heap_item, heap_score, size = item[end:], score[end:], 0
        for place in range(found):
            number = touched[place]
            if number == 0:
                continue
            part = total[number] / max(whole, 1e-9)
            for row in range(row_start[number], row_start[number + 1]):
                worth = row_score[row] * part
                if size == most and not is_behind(heap_score[0], heap_item[0], worth, row_item[row]):
                    break
                size = offer(heap_item, heap_score, size, most, row_item[row], worth)
        settle(heap_item, heap_score, size)
        end = begin[shopper + 1] = end + size
    return begin, item[:end].copy(), score[:end].astype(np.float32)
