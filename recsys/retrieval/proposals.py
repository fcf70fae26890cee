"""What a source proposes to many shoppers at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from recsys.compiled import compiled
from recsys.protocols import CandidateSource
from recsys.retrieval.allowed import Allowed
from recsys.shoppers import Shoppers
from recsys.slate import Candidates

EVERYTHING = np.iinfo(np.int64).max
"""So many candidates are all."""


@dataclass(frozen=True, slots=True)
class Proposals:
    """Candidates of B shoppers laid end to end.

    Attributes:
        start: where each one's begin, and the end of the last [B + 1] int64.
        item: catalogue indices [R] int64, distinct and best first for each.
        score: [R] float32.
    """

    start: np.ndarray
    item: np.ndarray
    score: np.ndarray

    @classmethod
    def of(cls, found: Sequence[Candidates]) -> "Proposals":
        """Those of each shopper."""
        start = np.zeros(len(found) + 1, np.int64)
        np.cumsum([len(one) for one in found], out=start[1:])
        item = np.concatenate([np.empty(0, np.int64), *(one.item for one in found)])
        score = np.concatenate([np.empty(0, np.float32), *(one.score for one in found)])
        return cls(start, item.astype(np.int64), score.astype(np.float32))

    @classmethod
    def none(cls, shoppers: int) -> "Proposals":
        """Nothing for anybody."""
        return cls(np.zeros(shoppers + 1, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))

    @classmethod
    def same(cls, ranked: Candidates, shoppers: int) -> "Proposals":
        """The same for everybody."""
        start = np.arange(shoppers + 1, dtype=np.int64) * len(ranked)
        item, score = ranked.item.astype(np.int64), ranked.score.astype(np.float32)
        return cls(start, np.tile(item, shoppers), np.tile(score, shoppers))

    def one(self, shopper: int) -> Candidates:
        """Those of one shopper."""
        span = slice(int(self.start[shopper]), int(self.start[shopper + 1]))
        return Candidates(self.item[span], self.score[span])

    def kept(self, allowed: Allowed, most: int) -> "Proposals":
        """The best `most` of those that are allowed."""
        return Proposals(*_kept(self.start, self.item, self.score, allowed.at(self.item), most))


def proposed(source: CandidateSource, shoppers: Shoppers, count: int | None) -> Proposals:
    """What a source proposes to each; in one go where it has `proposals(shoppers, count)`, which is `candidates` for
    many at once."""
    together: Callable[[Shoppers, int | None], Proposals] | None = getattr(source, "proposals", None)
    if together is not None:
        return together(shoppers, count)
    return Proposals.of([source.candidates(state, count) for state in shoppers.states])


@compiled
def _kept(
    start: np.ndarray, item: np.ndarray, score: np.ndarray, which: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    begin = np.zeros(len(start), np.int64)
    row = np.empty(len(item), np.int64)
    size = 0
    for shopper in range(len(start) - 1):
        first = size
        for place in range(start[shopper], start[shopper + 1]):
            if which[place] and size - first < most:
                row[size] = place
                size += 1
        begin[shopper + 1] = size
    row = row[:size]
    return begin, item[row], score[row]
