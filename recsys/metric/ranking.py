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
    score = np.where(np.isnan(score), -np.inf, score)
    ranks = np.full(len(target), MISS, np.int64)
    is_target = np.isin(item, target)
    others = np.sort(score[~is_target])
    found = np.flatnonzero(np.isin(target, item[is_target]))
    if not len(found):
        return ranks
    by_item = dict(zip(item[is_target].tolist(), score[is_target].tolist(), strict=True))
    own = np.array([by_item[int(target[place])] for place in found])
    above = len(others) - np.searchsorted(others, own, side="left")
    order = np.lexsort((np.arange(len(own)), -own))
    among_targets = np.empty(len(own), np.int64)
    among_targets[order] = np.arange(len(own))
    ranks[found] = above + among_targets
    return ranks


def dense_ranks(score: np.ndarray, target: np.ndarray) -> np.ndarray:
    """`pessimistic_ranks` where every catalogue index has a score [V]; index 0 never takes part."""
    score = np.where(np.isnan(score), -np.inf, score)
    own = score[target]
    at_least = np.array([np.count_nonzero(score[1:] >= value) for value in own], np.int64)
    among_targets = (own[None, :] >= own[:, None]).sum(1)
    order = np.lexsort((np.arange(len(own)), -own))
    place = np.empty(len(own), np.int64)
    place[order] = np.arange(len(own))
    return np.asarray(at_least - among_targets + place)


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
