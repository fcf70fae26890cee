"""Ranked lists of items, one for each group: of a category, of a segment of shoppers, or one for everybody."""

from dataclasses import dataclass

import numpy as np

from recsys.retrieval.spans import rows_of_spans
from recsys.slate import Candidates


@dataclass(frozen=True, slots=True)
class RankedGroups:
    """The lists of G groups end to end, each best first; R rows in all.

    Attributes:
        start: where each group's list begins, and the end of the last [G + 1] int64.
        item: catalogue indices [R] int64, distinct within a group.
        score: their scores [R] float32.
    """

    start: np.ndarray
    item: np.ndarray
    score: np.ndarray

    @classmethod
    def none(cls) -> "RankedGroups":
        """No groups."""
        return cls(np.zeros(1, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))

    @classmethod
    def of(cls, group: np.ndarray, item: np.ndarray, score: np.ndarray, *, groups: int, most: int) -> "RankedGroups":
        """The `most` best of each of `groups`, from rows in any order [N]; ties go to the smaller index, and what
        scores nothing is left out."""
        scored = np.flatnonzero(score > 0)
        rows = scored[np.lexsort((item[scored], -score[scored], group[scored]))]
        first = np.searchsorted(group[rows], np.arange(groups + 1))
        place = np.arange(len(rows)) - first[group[rows]]
        rows = rows[place < most]
        start = np.searchsorted(group[rows], np.arange(groups + 1)).astype(np.int64)
        return cls(start, item[rows].astype(np.int64), score[rows].astype(np.float32))

    def __len__(self) -> int:
        return len(self.start) - 1

    def best(self, group: int, count: int | None = None) -> Candidates:
        """The `count` best of one group (all if None); none of a group that there is not."""
        if not 0 <= group < len(self):
            return Candidates.none()
        begin, end = int(self.start[group]), int(self.start[group + 1])
        end = end if count is None else min(end, begin + count)
        return Candidates(self.item[begin:end], self.score[begin:end])

    def mixed(self, group: np.ndarray, weight: np.ndarray, count: int | None = None) -> Candidates:
        """The `count` best of the weighted sum of distinct groups [N] with weights [N]."""
        return summed(*self.weighted(group, weight), count)

    def weighted(self, group: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The items of distinct groups [N], one list after the other [P], and their scores times the weights [N]."""
        rows, owner = rows_of_spans(self.start[group], self.start[group + 1])
        return self.item[rows], self.score[rows] * weight[owner]

    def arrays(self) -> dict[str, np.ndarray]:
        """What the bundle stores; the constructor takes it back."""
        return {"start": self.start, "item": self.item, "score": self.score}


def summed(item: np.ndarray, score: np.ndarray, count: int | None) -> Candidates:
    """The `count` best items by the sum of their scores, from rows [P] that may name an item more than once."""
    order = np.argsort(item)
    item, score = item[order], score[order]
    first = np.flatnonzero(np.diff(item, prepend=-1))
    if not len(first):
        return Candidates.none()
    item, total = item[first], np.add.reduceat(score, first)
    best = np.argsort(-total, kind="stable")[:count]
    return Candidates(item[best].astype(np.int64), total[best].astype(np.float32))
