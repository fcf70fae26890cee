"""The plain policy: the best items first, less what would be silly to offer now."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from recsys.compiled import compiled
from recsys.registry import registered
from recsys.retrieval.best import offer, settle, sums
from recsys.retrieval.mixing import Mixed
from recsys.retrieval.repurchase import Repurchase
from recsys.shoppers import Shoppers
from recsys.slate import Candidates, Choice
from recsys.state import ShopperState


@registered
class TopK:
    """The highest scores after suppression; deterministic, so every propensity is 1.

    What is in the basket or excluded is never offered. What the shopper bought sinks by the learnt `repurchase`
    chance: deep right after the purchase of something that lasts, hardly when a staple is due. The part of a score
    that already knows when the item was bought only waits for the item to recover.
    """

    name = "top_k"

    def __init__(self, *, repurchase: Repurchase | None = None) -> None:
        self.repurchase = repurchase

    def choose(self, candidates: Candidates, state: ShopperState, *, count: int, rng: np.random.Generator) -> Choice:
        """The `count` best candidates; fewer if there are no more."""
        timed = np.zeros_like(candidates.score) if candidates.timed is None else candidates.timed
        start = np.array([0, len(candidates)])
        return self._chosen(Shoppers([state]), start, candidates.item, candidates.score, timed, [count])[0]

    def choices(
        self, shoppers: Shoppers, mixed: Mixed, *, counts: Sequence[int], rng: Sequence[np.random.Generator]
    ) -> list[Choice]:
        """The same for many shoppers."""
        return self._chosen(shoppers, mixed.start, mixed.item, mixed.score, mixed.timed, counts)

    def _chosen(
        self,
        shoppers: Shoppers,
        start: np.ndarray,
        item: np.ndarray,
        score: np.ndarray,
        timed: np.ndarray,
        counts: Sequence[int],
    ) -> list[Choice]:
        score = np.ascontiguousarray(score, np.float32)
        if self.repurchase is not None:
            score = self.repurchase.weighed(shoppers, start, item, score, np.ascontiguousarray(timed, np.float32))
        hidden, room = shoppers.hidden, sums(int(max(item.max(initial=0), shoppers.hidden.item.max(initial=0))) + 1)
        begin, place = _best(
            start, np.ascontiguousarray(item, np.int64), score, np.array(counts, np.int64),
            hidden.start, hidden.item, room.place, room.stamp, room.tick,
        )  # fmt: skip
        whole = score[place + np.repeat(start[:-1], np.diff(begin))]
        certain = np.ones(len(place))
        spans = [slice(*span) for span in pairwise(begin.tolist())]
        return [Choice(place[span], whole[span], certain[span]) for span in spans]

    def settings(self) -> dict[str, float]:
        """No settings."""
        return {}


@compiled
def _best(
    start: np.ndarray,
    item: np.ndarray,
    score: np.ndarray,
    counts: np.ndarray,
    hidden_start: np.ndarray,
    hidden: np.ndarray,
    slot: np.ndarray,
    stamp: np.ndarray,
    tick: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Of each shopper the places of the best candidates that may be shown, best first, and where they begin."""
    begin = np.zeros(len(start), np.int64)
    room = 0
    for shopper in range(len(counts)):
        room += min(counts[shopper], start[shopper + 1] - start[shopper])
    place, best = np.empty(room, np.int64), np.empty(room, np.float64)
    end = 0
    for shopper in range(len(counts)):
        tick[0] += 1
        for row in range(hidden_start[shopper], hidden_start[shopper + 1]):
            stamp[hidden[row]] = tick[0]
        heap_item, heap_score, size = place[end:], best[end:], 0
        for row in range(start[shopper], start[shopper + 1]):
            if stamp[item[row]] != tick[0] and np.isfinite(score[row]):
                slot[item[row]] = row - start[shopper]
                size = offer(heap_item, heap_score, size, counts[shopper], item[row], score[row])
        settle(heap_item, heap_score, size)
        for row in range(end, end + size):
            place[row] = slot[place[row]]
        end = begin[shopper + 1] = end + size
    return begin, place[:end].copy()
