"""How much of an index must be read so that it finds what exact search finds, and what that costs."""

import time
from collections.abc import Callable

import faiss
import numpy as np

from recsys.protocols import Index
from recsys.retrieval.allowed import Allowed
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


def asked_alone(
    index: Index, queries: np.ndarray, count: int = K, allowed: Allowed | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """What `index` finds for each of `queries` [Q, D] asked one by one, out of what is `allowed`: items [Q, K], and how
    long each took in ms [Q]. The first is asked once before, so that no start counts."""
    index.search(queries[:1], count, allowed)
    found, took_ms = [], []
    for query in queries:
        began = time.perf_counter()
        found.append(index.search(query[np.newaxis], count, allowed)[1][0])
        took_ms.append((time.perf_counter() - began) * 1e3)
    width = max(map(len, found))
    return np.stack([np.pad(row, (0, width - len(row))) for row in found]), np.array(took_ms)


def enough(search: Searched, queries: np.ndarray, vectors: np.ndarray, most: int, recall: float) -> int:
    """The least effort, up to `most`, that reaches `recall` for the `queries` [Q, D]; steps of a quarter."""
    exact = exact_first(vectors, queries)
    effort = 1
    while effort < most and recall_of(search(effort, queries, exact.shape[1])[1], exact) < recall:
        effort = min(most, max(effort + 1, effort * 5 // 4))
    return effort
