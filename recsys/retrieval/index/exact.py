"""Comparing queries with given items one by one: what needs no index, and what every index is held against."""

import numpy as np

NOWHERE = 0
"""Stands where fewer items were found than asked for, with a score of -inf: index 0 is padding."""


def best_of(scores: np.ndarray, items: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The `count` highest of `scores` [B, N] and their `items` [B, N], best first; ties by the lower item."""
    if scores.shape[1] > 2 * count:
        keep = np.argpartition(-scores, count - 1, axis=1)[:, :count]
        last = np.take_along_axis(scores, keep[:, -1:], 1)
        tied = np.isfinite(last[:, 0]) & ((scores >= last).sum(1) > count)
        if not tied.any():  # of those that tie at the cut, a partition keeps any
            scores, items = np.take_along_axis(scores, keep, 1), np.take_along_axis(items, keep, 1)
    order = np.lexsort((items, -scores), axis=1)[:, :count]
    scores, items = np.take_along_axis(scores, order, 1), np.take_along_axis(items, order, 1)
    return scores, np.where(np.isfinite(scores), items, NOWHERE)


def nearest_of(vectors: np.ndarray, rows: np.ndarray, query: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores and items [B, K] of the `rows` [N] of `vectors` [V, D] nearest to `query` [B, D]; K is `count` or N."""
    scores = query @ vectors[rows].T
    return best_of(scores, np.broadcast_to(rows, scores.shape), min(count, len(rows)))


def rescored(vectors: np.ndarray, found: np.ndarray, query: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The best `count` of the items `found` [B, F] by their exact scores; what is below 1 was not found."""
    scores = np.einsum("bfd,bd->bf", vectors[np.maximum(found, NOWHERE)], query)
    scores[found <= NOWHERE] = -np.inf
    return best_of(scores, found, min(count, found.shape[1]))
