"""How much of an index must be read so that it finds what exact search finds."""

from collections.abc import Callable

import faiss
import numpy as np

from recsys.retrieval.index.exact import NOWHERE

K = 100
"""How many of the exact first count."""

Searched = Callable[[int, np.ndarray, int], tuple[np.ndarray, np.ndarray]]
"""Effort, queries [B, D] and K in; scores [B, K] and items [B, K] out."""


def exact_first(vectors: np.ndarray, queries: np.ndarray, count: int = K) -> np.ndarray:
    """The items [Q, K] that exact search finds among `vectors` [V, D] without row 0."""
    others = np.ascontiguousarray(vectors[1:], np.float32)
    _, rows = faiss.knn(queries, others, min(count, len(others)), metric=faiss.METRIC_INNER_PRODUCT)
    found: np.ndarray = rows + 1
    return found


def recall_of(found: np.ndarray, exact: np.ndarray) -> float:
    """Mean share of the `exact` items [Q, K] that are among those `found` [Q, F]."""
    shares = [
        len(np.intersect1d(one[one > NOWHERE], other)) / len(other) for one, other in zip(found, exact, strict=True)
    ]
    return float(np.mean(shares)) if shares else 1.0


def enough(search: Searched, queries: np.ndarray, vectors: np.ndarray, most: int, recall: float) -> int:
    """The least effort, up to `most`, that reaches `recall` for the `queries` [Q, D]; steps of a quarter."""
    exact = exact_first(vectors, queries)
    effort = 1
    while effort < most and recall_of(search(effort, queries, exact.shape[1])[1], exact) < recall:
        effort = min(most, max(effort + 1, effort * 5 // 4))
    return effort
