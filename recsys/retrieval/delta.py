"""Vectors that came after an index was built: few, compared one by one, written in place."""

import numpy as np

from recsys.retrieval.allowed import Allowed
from recsys.retrieval.index.exact import NOWHERE, best_of

_FIRST = 1_024


class Delta:
    """Items with their present vectors; grows by doubling. Whoever shares it between threads brings the lock.

    Args:
        dim: D of the vectors.
    """

    def __init__(self, dim: int) -> None:
        self._items = np.zeros(_FIRST, np.int64)
        self._vectors = np.zeros((_FIRST, dim), np.float32)
        self._alive = np.zeros(_FIRST, bool)
        self._slot = np.full(_FIRST, -1, np.int64)
        self._used = 0

    def __len__(self) -> int:
        """How many items it holds, those that left again among them."""
        return self._used

    @property
    def items(self) -> np.ndarray:
        """The items that are in it [N], in no order."""
        return self._items[: self._used][self._alive[: self._used]]

    @property
    def vectors(self) -> np.ndarray:
        """Their vectors [N, D]."""
        return self._vectors[: self._used][self._alive[: self._used]]

    def put(self, items: np.ndarray, vectors: np.ndarray) -> None:
        """Each of `items` [N] has that of `vectors` [N, D] from now on; of an item named twice the later one counts."""
        items, last = np.unique(items[::-1], return_index=True)
        vectors = vectors[::-1][last]
        self._slot = _grown(self._slot, int(items.max(initial=0)) + 1, -1)
        fresh = items[self._slot[items] < 0]
        size = self._used + len(fresh)
        self._items, self._alive = _grown(self._items, size, 0), _grown(self._alive, size, False)
        self._vectors = _grown(self._vectors, size, 0)
        self._slot[fresh] = np.arange(self._used, size)
        self._items[self._used : size] = fresh
        self._used = size
        slot = self._slot[items]
        self._vectors[slot] = vectors
        self._alive[slot] = True

    def drop(self, items: np.ndarray) -> None:
        """None of `items` [N] is in it any more."""
        known = items[items < len(self._slot)]
        slot = self._slot[known]
        self._alive[slot[slot >= 0]] = False

    def search(
        self, query: np.ndarray, count: int, allowed: Allowed | None, *, above: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores and items [B, K] of the best for `query` [B, D], out of what is `allowed`; what scores lower than
        `above` [B] may be left out."""
        items, alive = self._items[: self._used], self._alive[: self._used]
        scores = query @ self._vectors[: self._used].T
        if above is not None:
            few = np.flatnonzero((scores >= above[:, None]).any(0))
            items, alive, scores = items[few], alive[few], scores[:, few]
        if allowed is not None:
            alive = alive & allowed.at(items)
        scores[:, ~alive] = -np.inf
        return best_of(scores, np.broadcast_to(items, scores.shape), min(count, len(items)))


def joined(parts: list[tuple[np.ndarray, np.ndarray]], count: int) -> tuple[np.ndarray, np.ndarray]:
    """The best `count` of several outcomes (scores and items [B, K] each) that share no item."""
    scores, items = (np.concatenate([part[place] for part in parts], axis=1) for place in (0, 1))
    scores, items = best_of(np.where(items > NOWHERE, scores, -np.inf), items, count)
    filled = int((items > NOWHERE).sum(1).max(initial=0))
    return scores[:, :filled], items[:, :filled]


def _grown(values: np.ndarray, size: int, fill: float) -> np.ndarray:
    if size <= len(values):
        return values
    larger = np.full((max(size, 2 * len(values)), *values.shape[1:]), fill, values.dtype)
    larger[: len(values)] = values
    return larger
