"""Exact inner-product search with FAISS."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from recsys.registry import registered
from recsys.retrieval.allowed import Allowed
from recsys.retrieval.index import file, layout
from recsys.retrieval.index.exact import nearest_of

_FEW = 0.2
"""Below this share of the catalogue, allowed items are compared by themselves."""


def pin_threads(threads: int) -> None:
    """Let FAISS use this many threads."""
    faiss.omp_set_num_threads(threads)


@registered
class FlatIndex:
    """Compares a query with every item; right up to some 100,000 items, and the truth the others are held against."""

    def __init__(self) -> None:
        self._index: Any = None
        self._vectors = np.empty((0, 0), np.float32)
        self._items = np.empty(0, np.int64)

    def build(self, vectors: np.ndarray, queries: np.ndarray | None = None) -> None:
        """Index `vectors` [V, D] float32; row 0 is left out. Nothing is measured."""
        self._hold(vectors, np.arange(1, len(vectors)))

    def __len__(self) -> int:
        return 0 if self._index is None else int(self._index.ntotal)

    def search(self, query: np.ndarray, count: int, allowed: Allowed | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Scores [B, K] and catalogue indices [B, K], best first; K is `count` or all items, if they are fewer."""
        index = file.insist_built(self._index)
        query = np.ascontiguousarray(query, np.float32)
        if allowed is None:
            scores, rows = index.search(query, min(count, index.ntotal))
            return scores, self._items[rows]
        here = allowed.at(self._items)
        inside = np.flatnonzero(here)
        if len(inside) <= _FEW * index.ntotal:
            scores, rows = nearest_of(self._vectors, inside, query, count)
        else:
            scores, rows = index.search(query, min(count, len(inside)), params=file.comparing(file.chosen(here)))
        return scores, self._items[rows]

    def renewed(self, vectors: np.ndarray, *, changed: np.ndarray, gone: np.ndarray) -> "FlatIndex":
        """An index of `vectors` [V, D], in which the rows `changed` are others and those `gone` are no more."""
        kept = np.setdiff1d(self._items, gone)
        index = FlatIndex()
        index._hold(vectors, np.union1d(kept, np.setdiff1d(changed, gone)))
        return index

    @property
    def made(self) -> Any:
        """FAISS's own index; its row r is `items[r]`."""
        return file.insist_built(self._index)

    @property
    def items(self) -> np.ndarray:
        """The catalogue indices it holds [N]."""
        return self._items

    def nbytes(self) -> int:
        """Memory in bytes."""
        return int(self._vectors.nbytes + self._items.nbytes)

    def settings(self) -> Mapping[str, Any]:
        """No settings."""
        return {}

    def save(self, path: Path) -> None:
        """Write to one file."""
        file.write(self._index, path, layout.flat)

    def load(self, path: Path, vectors: np.ndarray | None = None) -> None:
        """Read what `save` wrote; a damaged file, or one of other `vectors` [V, D], raises BundleError."""
        self._index = file.read(path, layout.flat, vectors)
        self._vectors = file.flat_rows(self._index)
        self._items = np.arange(1, len(self._vectors) + 1)

    def _hold(self, vectors: np.ndarray, items: np.ndarray) -> None:
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(np.ascontiguousarray(vectors[items], np.float32))
        self._index, self._vectors, self._items = index, file.flat_rows(index), items
