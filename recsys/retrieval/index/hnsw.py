"""A graph of near neighbours, walked from coarse to fine, with FAISS.

Malkov & Yashunin, "Efficient and robust approximate nearest neighbor search using hierarchical navigable small world
graphs" (TPAMI 2018).
"""

from pathlib import Path
from typing import Any

import faiss
import numpy as np

from recsys.errors import ConfigError
from recsys.registry import registered
from recsys.retrieval.allowed import Allowed
from recsys.retrieval.index import file, layout
from recsys.retrieval.index.exact import nearest_of
from recsys.retrieval.index.lifted import flat, lifted, longest, width
from recsys.retrieval.index.probes import K, enough

_SHARE_WORTH_IT = 10
"""A walk that keeps more than this part of the items takes longer than comparing all."""
_FEW = 0.1
"""Below this share of the catalogue, allowed items are compared one by one: the graph would be walked in vain."""


@registered
class HnswIndex:
    """Fast and memory hungry; slow to build, and what it holds cannot be taken out again.

    Args:
        links: of each item to others, on the finest level twice as many.
        build_breadth: how many candidates are kept while a new item's neighbours are looked for.
        breadth: how many are kept in a search; by default as few as give `recall` on the queries that `build` is shown.
        recall: share of the exact first hundred that shall be found.
    """

    def __init__(
        self, *, links: int = 32, build_breadth: int = 100, breadth: int | None = None, recall: float = 0.985
    ) -> None:
        if not 0 < recall <= 1 or links < 2 or build_breadth < 1 or (breadth or 1) < 1:
            raise ConfigError(
                f"index: recall {recall} must lie in 0..1, links {links} be 2 or more, build_breadth {build_breadth} "
                f"and breadth {breadth} 1 or more"
            )
        self.links, self.build_breadth, self.breadth, self.recall = links, build_breadth, breadth, recall
        self._index: Any = None
        self._vectors = np.empty((0, 0), np.float32)
        self._items = np.empty(0, np.int64)

    def build(self, vectors: np.ndarray, queries: np.ndarray | None = None) -> None:
        """Index `vectors` [V, D] float32, row 0 left out; `queries` [Q, D] like those to come decide the breadth."""
        self._add(np.ascontiguousarray(vectors, np.float32), np.arange(1, len(vectors)))
        self.find_breadth(queries)

    def take(self, index: Any, vectors: np.ndarray, items: np.ndarray) -> None:
        """Take over FAISS's graph `index`, made elsewhere; its row r is `items[r]` [N], lifted, of `vectors` [V, D]."""
        self._index, self._vectors, self._items = index, vectors, items

    def find_breadth(self, queries: np.ndarray | None) -> None:
        """Find the breadth that gives the recall on `queries` [Q, D] where none is given."""
        if self.breadth is None:
            vectors = self._vectors
            asked = vectors[1:201] if queries is None or not len(queries) else queries[:500]
            most = max(K, len(self._items) // _SHARE_WORTH_IT)
            self.breadth = enough(self._walked, np.ascontiguousarray(asked, np.float32), vectors, most, self.recall)

    def __len__(self) -> int:
        return 0 if self._index is None else int(self._index.ntotal)

    def search(self, query: np.ndarray, count: int, allowed: Allowed | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Scores [B, K] and items [B, K], best first; K is `count` or, if they are fewer, all that are allowed."""
        index = file.insist_built(self._index)
        query = np.ascontiguousarray(query, np.float32)
        if allowed is None:
            return self._walked(min(self.breadth or 1, index.ntotal), query, min(count, index.ntotal))
        here = allowed.at(self._items)
        inside = np.flatnonzero(here)
        count, share = min(count, len(inside)), len(inside) / max(1, len(here))
        if share <= _FEW:
            scores, rows = nearest_of(self._vectors, self._items[inside], query, count)
            return scores, rows
        breadth = int(max(min(self.breadth or 1, index.ntotal), count) / share)
        scores, rows = index.search(flat(query, index.d), count, params=file.walking(breadth, file.chosen(here)))
        items = np.where(rows >= 0, self._items[rows], 0)
        short = np.flatnonzero((rows < 0).any(1))
        if len(short):
            scores[short], items[short] = nearest_of(self._vectors, self._items[inside], query[short], count)
        return scores, items

    def renewed(self, vectors: np.ndarray, *, changed: np.ndarray, gone: np.ndarray) -> "HnswIndex":
        """An index of `vectors` [V, D], in which the rows `changed` are others and those `gone` are no more: anew."""
        other = HnswIndex(**self.settings())
        kept = np.setdiff1d(self._items, gone)
        other._add(np.ascontiguousarray(vectors, np.float32), np.union1d(kept, np.setdiff1d(changed, gone)))
        return other

    @property
    def made(self) -> Any:
        """FAISS's own index; its row r is `items[r]`."""
        return file.insist_built(self._index)

    @property
    def items(self) -> np.ndarray:
        """The catalogue indices it holds [N]."""
        return self._items

    def nbytes(self) -> int:
        """Memory in bytes: a vector and its links for each item; coarse levels add little."""
        index = file.insist_built(self._index)
        return int(index.ntotal * (4 * index.d + 4 * (2 * self.links) + 16) + self._items.nbytes)

    def settings(self) -> dict[str, Any]:
        """With the breadth as it was found, for the bundle."""
        return {
            "links": self.links,
            "build_breadth": self.build_breadth,
            "breadth": self.breadth,
            "recall": self.recall,
        }

    def save(self, path: Path) -> None:
        """Write to one file."""
        file.write(self._index, path, layout.graph)

    def load(self, path: Path, vectors: np.ndarray | None = None) -> None:
        """Read what `save` wrote; `vectors` [V, D] are those that it was built of."""
        self._index = file.read(path, layout.graph, vectors)
        self._items = np.arange(1, self._index.ntotal + 1)
        self._vectors = np.ascontiguousarray(vectors, np.float32) if vectors is not None else self._vectors

    def _add(self, vectors: np.ndarray, items: np.ndarray) -> None:
        rows = lifted(vectors[items], width(vectors.shape[1]), length=longest(vectors[items]))
        index = faiss.IndexHNSWFlat(rows.shape[1], self.links, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = self.build_breadth
        index.add(rows)
        self.take(index, vectors, items)

    def _walked(self, breadth: int, query: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        asked = flat(query, self._index.d)
        scores, rows = self._index.search(asked, count, params=file.walking(max(breadth, count)))
        items = np.where(rows >= 0, self._items[rows], 0)
        short = np.flatnonzero((rows < 0).any(1))  # the graph does not reach everything
        if len(short):
            scores[short], items[short] = nearest_of(self._vectors, self._items, query[short], count)
        return scores, items
