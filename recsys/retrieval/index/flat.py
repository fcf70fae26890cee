"""Exact inner-product search with FAISS."""

from pathlib import Path

import faiss
import numpy as np

from recsys.errors import BundleError
from recsys.registry import registered


def pin_threads(threads: int) -> None:
    """Let FAISS use this many threads."""
    faiss.omp_set_num_threads(threads)


@registered
class FlatIndex:
    """Compares a query with every item; right up to some 100,000 items, and the truth the others are held against."""

    def __init__(self) -> None:
        self._index: faiss.Index | None = None

    def build(self, vectors: np.ndarray) -> None:
        """Index `vectors` [V, D] float32; row 0 is left out."""
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(np.ascontiguousarray(vectors[1:], np.float32))
        self._index = index

    def __len__(self) -> int:
        return 0 if self._index is None else int(self._index.ntotal)

    def search(self, query: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Scores [B, K] and catalogue indices [B, K], best first; K is `count` or all items, if they are fewer."""
        if self._index is None:
            raise BundleError("the index is empty; build or load it before searching")
        scores, rows = self._index.search(np.ascontiguousarray(query, np.float32), min(count, self._index.ntotal))
        return scores, rows + 1

    def settings(self) -> dict[str, int]:
        return {}

    def save(self, path: Path) -> None:
        """Write to one file."""
        if self._index is None:
            raise BundleError("the index is empty; build it before saving")
        faiss.write_index(self._index, str(path))

    def load(self, path: Path) -> None:
        """Read what `save` wrote; a file FAISS cannot read, or of another kind, raises BundleError."""
        try:
            index = faiss.read_index(str(path))
        except RuntimeError as error:
            raise BundleError(f"{path} is not a FAISS index ({str(error).splitlines()[0]})") from error
        if not isinstance(index, faiss.IndexFlat) or index.metric_type != faiss.METRIC_INNER_PRODUCT:
            raise BundleError(
                f"{path} holds a {type(index).__name__}, not a flat inner-product index; fetch the bundle again"
            )
        self._index = index
