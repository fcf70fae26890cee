"""Ranking metrics on hand-checkable ground: ranks in, numbers out.

A rank counts from 0. Ties are pessimistic: an item that shares its score with others ranks below all of them that
are not targets. A score that is no number is the lowest of all.
"""

import numpy as np

MISS = np.iinfo(np.int64).max
"""The rank of a target that was not ranked at all."""


def pessimistic_ranks(item: np.ndarray, score: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Ranks [T] of the distinct `target` items among scored `item`s [N]; MISS for those not scored.

    A target's rank is the number of non-targets that score at least as high plus the number of targets that score
    higher (or equally, and come first in `target`).
    """
    found, own, at_least = standing(item, score, target)
    ranks = np.full(len(target), MISS, np.int64)
    ranks[found] = settled(own, at_least, np.zeros(len(own), np.int64))
    return ranks


def standing(item: np.ndarray, score: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which `target`s are among the scored `item`s [N], [T] bool; of those [F] the own scores, and how many items score
    at least as high."""
    score = np.where(np.isnan(score), -np.inf, score)
    row, place = np.nonzero(item[np.newaxis] == target[:, np.newaxis])
    found = np.zeros(len(target), bool)
    found[row] = True
    own = score[place]
    return found, own, np.array([np.count_nonzero(score >= value) for value in own], np.int64)


class Board:
    """A scored list that many questions are ranked by: sorted once, it answers `standing` without going through it."""

    def __init__(self, item: np.ndarray, score: np.ndarray) -> None:
        score = np.where(np.isnan(score), -np.inf, score)
        order = np.argsort(item)
        self._item, self._score, self._ascending = item[order], score[order], np.sort(score)

    def standing(self, target: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As the function of that name."""
        place = np.searchsorted(self._item, target)
        found = place < len(self._item)
        found[found] = self._item[place[found]] == target[found]
        own = self._score[place[found]]
        return found, own, len(self._ascending) - np.searchsorted(self._ascending, own)


def dense_ranks(score: np.ndarray, target: np.ndarray, exclude: np.ndarray | None = None) -> np.ndarray:
    """`pessimistic_ranks` where every catalogue index has a score [V]; index 0 and `exclude` [H] never take part."""
    ranked = np.ones(len(score), bool)
    ranked[0] = False
    if exclude is not None:
        ranked[exclude] = False
    item = np.flatnonzero(ranked)
    return pessimistic_ranks(item, score[item], target)


def settled(own: np.ndarray, at_least: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Ranks [P] of targets of many questions at once.

    Args:
        own: the targets' own scores [P], no NaN.
        at_least: how many ranked items, targets included, score at least as high [P].
        owner: number of the question of each [P], ascending.
    """
    order = np.lexsort((-own, owner))
    score, question, row = own[order], owner[order], np.arange(len(own))
    first = np.searchsorted(question, question)
    last = np.append((score[1:] != score[:-1]) | (question[1:] != question[:-1]), True) if len(own) else row
    tied_until = np.flatnonzero(last)[np.cumsum(last) - last] + 1 if len(own) else row
    ranks = np.empty(len(own), np.int64)
    ranks[order] = at_least[order] - (tied_until - first) + (row - first)
    return ranks


def list_ranks(ranked: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Ranks [T] of `target` items in a list already in its final order; MISS for those not in it."""
    place = {int(item): rank for rank, item in enumerate(ranked)}
    return np.array([place.get(int(item), MISS) for item in target], np.int64)


def recall(ranks: np.ndarray, *, wanted: int, at: int) -> float:
    """Share of the `wanted` items that rank before `at`."""
    return float(np.count_nonzero(ranks < at)) / wanted


def ndcg(ranks: np.ndarray, *, wanted: int, at: int) -> float:
    """Discounted gain of the hits before `at`, over the best possible with min(at, wanted) hits.

    Järvelin & Kekäläinen, "Cumulated gain-based evaluation of IR techniques" (2002), binary relevance.
    """
    gain = float((1 / np.log2(ranks[ranks < at] + 2.0)).sum())
    ideal = float((1 / np.log2(np.arange(min(at, wanted)) + 2.0)).sum())
    return gain / ideal


def reciprocal_rank(ranks: np.ndarray, *, at: int) -> float:
    """One over the place (from 1) of the first hit before `at`; 0 without a hit."""
    first = int(ranks.min(initial=MISS))
    return 1 / (first + 1) if first < at else 0.0
