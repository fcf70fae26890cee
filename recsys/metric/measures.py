"""The ranking metrics of many questions at once; `recsys/metric/ranking.py` says the same of one, for the hand.

| key | what it says of one question |
|---|---|
| hr10, hr20 | 1 if any target ranks before k; with one target this is what session papers call P@k |
| recall10, recall20 | share of the targets that rank before k |
| ndcg10, ndcg20 | discounted gain of the hits over the best that min(k, targets) hits could reach |
| mrr10, mrr20 | one over the place of the first hit before k, else 0 |

Deshpande & Karypis, "Item-based top-N recommendation algorithms" (2004) for hr; Järvelin & Kekäläinen (2002) for ndcg;
Voorhees, "The TREC-8 question answering track report" (1999) for mrr.

All rank the whole catalogue: sampled ones can order models differently, Krichene & Rendle, "On sampled metrics for item
recommendation" (KDD 2020).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recsys.metric.ranking import MISS

CUTS = (10, 20)
MEASURES = tuple(f"{name}{cut}" for name in ("hr", "recall", "ndcg", "mrr") for cut in CUTS)


@dataclass(frozen=True, slots=True)
class Ragged:
    """Lists of different lengths, end to end: of Q questions, P values in all.

    Attributes:
        value: the values, list after list [P] int64.
        start: where each list begins, and the end of the last [Q + 1] int64.
    """

    value: np.ndarray
    start: np.ndarray

    @classmethod
    def of(cls, lists: Sequence[np.ndarray]) -> "Ragged":
        """From one array for each question."""
        start = np.cumsum([0, *(len(one) for one in lists)]).astype(np.int64)
        return cls(np.concatenate(lists).astype(np.int64) if lists else np.empty(0, np.int64), start)

    def __len__(self) -> int:
        return len(self.start) - 1

    @property
    def size(self) -> np.ndarray:
        """Length of every list [Q]."""
        return np.diff(self.start)

    @property
    def owner(self) -> np.ndarray:
        """Number of the list that each value is in [P]."""
        return np.repeat(np.arange(len(self)), self.size)

    def split(self) -> list[np.ndarray]:
        """One array for each question."""
        return np.split(self.value, self.start[1:-1]) if len(self) else []

    def take(self, order: np.ndarray) -> "Ragged":
        """The lists at `order` [N], in that order."""
        size = self.size[order]
        start = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
        row = np.arange(start[-1]) + np.repeat(self.start[:-1][order] - start[:-1], size)
        return Ragged(self.value[row], start)


def measured(rank: np.ndarray, owner: np.ndarray, wanted: np.ndarray) -> dict[str, np.ndarray]:
    """Every one of `MEASURES` of every question [Q].

    Args:
        rank: ranks of the known targets [P], from 0; MISS where not ranked.
        owner: number of the question of each [P].
        wanted: how many targets each question has [Q], at least one; unknown ones are misses.
    """
    questions = len(wanted)
    first = np.full(questions, MISS)
    np.minimum.at(first, owner, rank)
    found: dict[str, np.ndarray] = {}
    for cut in CUTS:
        hit = rank < cut
        gain = np.bincount(owner[hit], 1 / np.log2(rank[hit] + 2.0), minlength=questions)
        best = np.cumsum(1 / np.log2(np.arange(cut) + 2.0))
        found[f"hr{cut}"] = (first < cut).astype(np.float64)
        found[f"recall{cut}"] = np.bincount(owner[hit], minlength=questions) / wanted
        found[f"ndcg{cut}"] = gain / best[np.minimum(wanted, cut) - 1]
        found[f"mrr{cut}"] = np.where(first < cut, 1 / (np.minimum(first, cut) + 1.0), 0.0)
    return {name: found[name] for name in MEASURES}
