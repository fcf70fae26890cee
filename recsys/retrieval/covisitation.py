"""The wisdom of crowds, item to item: what goes with this, what comes after this.

Linden, Smith & York, "Amazon.com recommendations: item-to-item collaborative filtering" (2003); the directed form
counts from one moment to the shopper's next.
"""

from enum import StrEnum
from itertools import pairwise

import numpy as np

from recsys.compiled import compiled
from recsys.feature.item import ItemFacts
from recsys.registry import registered
from recsys.retrieval.anchors import latest_session, latest_sessions
from recsys.retrieval.best import best_into, sums
from recsys.retrieval.proposals import EVERYTHING, Proposals
from recsys.sequence.histories import Histories
from recsys.shoppers import Shoppers
from recsys.slate import Candidates, Reason
from recsys.state import ShopperState

_CHUNK_PAIRS = 8_000_000


class Relation(StrEnum):
    """Which pairs of items are counted: of one moment, or from a moment to the shopper's next."""

    WITHIN = "within"
    NEXT = "next"


@registered
class CoVisitation:
    """Scores items by the share of an anchor's moments that the item went with (or followed).

    `neighbours` are kept per item; counts below `least` are left out as chance.
    """

    timed = False

    def __init__(
        self,
        *,
        relation: Relation | str,
        neighbours: int = 200,
        least: int = 2,
        start: np.ndarray | None = None,
        item: np.ndarray | None = None,
        score: np.ndarray | None = None,
    ) -> None:
        self.relation = Relation(relation)
        self.neighbours = neighbours
        self.least = least
        self.name = f"covisitation_{self.relation}"
        self._start = np.zeros(1, np.int64) if start is None else start
        self._item = np.empty(0, np.int32) if item is None else item
        self._score = np.empty(0, np.float32) if score is None else score

    def fit(
        self, histories: Histories, *, items: int, until: int, category: np.ndarray, facts: ItemFacts | None = None
    ) -> None:
        """Count the pairs in the events before `until`."""
        known = histories.before(until).interactions().once_per_moment()
        left, right, count = count_pairs(known, items, self.relation)
        support = np.bincount(known.events.item, minlength=items)
        kept = count >= self.least
        left, right, share = left[kept], right[kept], count[kept] / support[left[kept]]
        order = np.lexsort((right, -share, left))
        left, right, share = left[order], right[order], share[order]
        place = np.arange(len(left)) - np.searchsorted(left, left)
        top = place < self.neighbours
        self._start = np.searchsorted(left[top], np.arange(items + 1)).astype(np.int64)
        self._item, self._score = right[top].astype(np.int32), share[top].astype(np.float32)

    def candidates(self, state: ShopperState, count: int | None = None) -> Candidates:
        """Neighbours of the latest session's items, their shares added up by the anchors' weights."""
        return self.proposals(Shoppers([state]), count).one(0)

    def proposals(self, shoppers: Shoppers, count: int | None = None) -> Proposals:
        """The same for many shoppers."""
        if len(self._start) == 1:
            return Proposals.none(len(shoppers))
        anchors, room = latest_sessions(shoppers), sums(len(self._start))
        most = EVERYTHING if count is None else count
        return Proposals(
            *_proposed(
                anchors.start, anchors.item, anchors.weight, self._start, self._item, self._score, most,
                room.total, room.stamp, room.tick, room.touched,
            )
        )  # fmt: skip

    def reasons(self, state: ShopperState, item: np.ndarray) -> list[Reason]:
        """Names the anchor that speaks most for each item."""
        anchor, weight = latest_session(state)
        words = "often taken together with {title}" if self.relation is Relation.WITHIN else "often follows {title}"
        if not len(anchor):
            return [Reason(words)] * len(item)
        votes = np.stack([self._votes(a, item) * w for a, w in zip(anchor.tolist(), weight, strict=True)])
        return [Reason(words, cause) for cause in anchor[votes.argmax(0)].tolist()]

    def _votes(self, anchor: int, item: np.ndarray) -> np.ndarray:
        """What one anchor says for each of `item` [K]."""
        span = slice(self._start[anchor], self._start[anchor + 1])
        return np.asarray(self._score[span] @ (self._item[span][:, None] == item))

    def settings(self) -> dict[str, int | str]:
        return {"relation": self.relation.value, "neighbours": self.neighbours, "least": self.least}

    def arrays(self) -> dict[str, np.ndarray]:
        return {"start": self._start, "item": self._item, "score": self._score}


@compiled
def _proposed(
    start: np.ndarray,
    anchor: np.ndarray,
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
    """Of each shopper the neighbours of the anchors, by the weighted sum of their scores."""
    begin = np.zeros(len(start), np.int64)
    room = 0
    for shopper in range(len(start) - 1):
        rows = 0
        for place in range(start[shopper], start[shopper + 1]):
            rows += row_start[anchor[place] + 1] - row_start[anchor[place]]
        room += min(rows, most)
    item, score = np.empty(room, np.int64), np.empty(room, np.float64)
    end = 0
    for shopper in range(len(start) - 1):
        tick[0] += 1
        found = 0
        for place in range(start[shopper], start[shopper + 1]):
            for row in range(row_start[anchor[place]], row_start[anchor[place] + 1]):
                near = row_item[row]
                if stamp[near] != tick[0]:
                    stamp[near], total[near] = tick[0], 0.0
                    touched[found] = near
                    found += 1
                total[near] += row_score[row] * weight[place]
        end = begin[shopper + 1] = best_into(item, score, end, most, total, touched, found)
    return begin, item[:end].copy(), score[:end].astype(np.float32)


def count_pairs(known: Histories, items: int, relation: Relation) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct (left, right) pairs and how often each occurs."""
    first = known.moments()
    size = np.diff(np.append(first, len(known.events)))
    owner = known.owner()[first]
    if relation is Relation.WITHIN:
        left_moment = right_moment = np.arange(len(first))
    else:
        left_moment = np.flatnonzero(owner[1:] == owner[:-1])
        right_moment = left_moment + 1
    pairs = size[left_moment] * size[right_moment]
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    steps = np.searchsorted(np.cumsum(pairs), np.arange(_CHUNK_PAIRS, pairs.sum(), _CHUNK_PAIRS))
    cuts = np.unique(np.concatenate([[0], steps, [len(pairs)]]))
    for begin, end in pairwise(cuts.tolist()):
        left, right = _cross(known.events.item, first, size, left_moment[begin:end], right_moment[begin:end])
        if relation is Relation.WITHIN:
            different = left != right
            left, right = left[different], right[different]
        parts.append(np.unique(left.astype(np.int64) * items + right, return_counts=True))  # beyond 32 bits
    if not parts:
        nothing = np.empty(0, np.int64)
        return nothing, nothing, nothing
    keys, counts = _summed(np.concatenate([k for k, _ in parts]), np.concatenate([c for _, c in parts]))
    return keys // items, keys % items, counts


def _summed(keys: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct keys, ascending, with their counts added up."""
    order = np.argsort(keys, kind="stable")
    keys, counts = keys[order], counts[order]
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    return keys[first], np.add.reduceat(counts, first) if len(first) else counts


def _cross(
    item: np.ndarray, first: np.ndarray, size: np.ndarray, left: np.ndarray, right: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of an item of a left moment with an item of the right moment beside it."""
    pairs = size[left] * size[right]
    within = np.arange(pairs.sum()) - np.repeat(np.cumsum(pairs) - pairs, pairs)
    width = np.repeat(size[right], pairs)
    left_row = np.repeat(first[left], pairs) + within // width
    right_row = np.repeat(first[right], pairs) + within % width
    return item[left_row], item[right_row]
