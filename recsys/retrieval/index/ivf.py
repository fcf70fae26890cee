"""Inverted lists, with FAISS: only those nearest to a query are read (Sivic & Zisserman, "Video Google", ICCV 2003).

Codes of a byte per dimension or less (Jegou et al., "Product quantization for nearest neighbor search", TPAMI 2011)
keep the lists small; the best that they find are compared again exactly, with the vectors that the encoder gives.
"""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from recsys.errors import BundleError, ConfigError
from recsys.registry import registered
from recsys.retrieval.allowed import Allowed
from recsys.retrieval.index import file, layout
from recsys.retrieval.index.exact import nearest_of, rescored
from recsys.retrieval.index.lifted import flat, lifted, longest, width
from recsys.retrieval.index.probes import enough

EXACT = 10_000
"""Up to so many allowed items are compared one by one: that is faster than finding out which lists hold them."""
_MOST = 0.6
"""Where more of the items than this are allowed, the lists nearest to the query are read as if all were."""
_SCANNED = 60
"""Of allowed items, the lists read hold at least so many for each one asked for."""
_TRAINED_ON = 40
"""Vectors for each list from which the lists' centres are learnt."""
_LEAST_FOR_PQ = 256
_ROUNDS = 12
"""Of k-means: what more of them would gain, exact comparison makes up for."""


class Codes(StrEnum):
    """What a list keeps of a vector."""

    FLAT = "flat"
    SQ8 = "sq8"
    PQ = "pq"


def _by_parts(index: Any) -> Any:
    index.pq.cp.niter = _ROUNDS
    return index


_MADE: dict[Codes, Callable[[Any, int, int], Any]] = {
    Codes.FLAT: lambda centres, dim, lists: faiss.IndexIVFFlat(centres, dim, lists, faiss.METRIC_INNER_PRODUCT),
    Codes.SQ8: lambda centres, dim, lists: faiss.IndexIVFScalarQuantizer(
        centres, dim, lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT, False
    ),
    Codes.PQ: lambda centres, dim, lists: _by_parts(
        faiss.IndexIVFPQ(centres, dim, lists, dim // layout.PRODUCT_STEP, 8, faiss.METRIC_INNER_PRODUCT)
    ),
}
_STEPS = {Codes.FLAT: 1, Codes.SQ8: layout.BYTES_STEP, Codes.PQ: layout.PRODUCT_STEP}
_LAID_OUT = {Codes.FLAT: layout.lists_of_vectors, Codes.SQ8: layout.lists_of_bytes, Codes.PQ: layout.lists_of_products}


@registered
class IvfIndex:
    """Inverted lists with exact comparison of what they find.

    Args:
        codes: `flat` (4 bytes a dimension), `sq8` (1 byte; in sixteens) or `pq` (a byte for four dimensions).
        lists: how many; by default 4 times the root of the catalogue's size.
        probes: how many are read for a query; by default as few as give `recall` on the queries that `build` is shown.
        recall: share of the exact first hundred that shall be found.
        refine: so many times as many as asked for are compared again exactly (not with `flat`, which is exact).
        seed: of the sample from which the lists are learnt.
    """

    def __init__(
        self,
        *,
        codes: str = Codes.SQ8,
        lists: int | None = None,
        probes: int | None = None,
        recall: float = 0.985,
        refine: int = 3,
        seed: int = 0,
    ) -> None:
        if not 0 < recall <= 1 or refine < 1 or (lists or 1) < 1 or (probes or 1) < 1:
            raise ConfigError(
                f"index: recall {recall} must lie in 0..1; refine {refine}, lists {lists}, probes {probes} be 1 or more"
            )
        if codes not in set(Codes):
            raise ConfigError(f"index.codes is {codes!r}; there are {', '.join(Codes)}")
        self.codes, self.lists, self.probes = Codes(codes), lists, probes
        self.recall, self.refine, self.seed = recall, refine, seed
        self._index: Any = None
        self._vectors, self._length = np.empty((0, 0), np.float32), 0.0
        self._centres = np.empty((0, 0), np.float32)
        self._list_of = np.empty(0, np.int32)

    def build(self, vectors: np.ndarray, queries: np.ndarray | None = None) -> None:
        """Index `vectors` [V, D] float32, row 0 left out; `queries` [Q, D] like those to come decide the probes (items
        themselves where there are none)."""
        vectors = np.ascontiguousarray(vectors, np.float32)
        count, dim = len(vectors) - 1, width(vectors.shape[1], _STEPS[self.codes])
        if self.codes is Codes.PQ and count < _LEAST_FOR_PQ:
            raise ConfigError(
                f"index.codes=pq learns from {_LEAST_FOR_PQ} items or more, not {count}; take flat or sq8"
            )
        lists = min(self.lists or max(1, round(4 * count**0.5)), max(1, count))
        centres: Any = faiss.IndexFlatIP(dim)
        index = _MADE[self.codes](centres, dim, lists)
        index.own_fields = True
        centres.this.disown()
        index.cp.spherical, index.cp.seed, index.cp.niter = True, self.seed + 1, _ROUNDS
        index.cp.min_points_per_centroid = 1
        sample = np.random.default_rng(self.seed).permutation(count)[: max(_TRAINED_ON * lists, 10_000)]
        length = longest(vectors[1:])
        rows = lifted(vectors[1:], dim, length=length)
        index.train(rows[np.sort(sample)])
        index.add_with_ids(rows, np.arange(1, count + 1))
        self._hold(index, vectors, length)
        if self.probes is None:
            asked = vectors[1:][np.sort(sample[:200])] if queries is None or not len(queries) else queries[:500]
            self.probes = enough(self.search_with, np.ascontiguousarray(asked, np.float32), vectors, lists, self.recall)

    def __len__(self) -> int:
        return 0 if self._index is None else int(self._index.ntotal)

    def search(self, query: np.ndarray, count: int, allowed: Allowed | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Scores [B, K] and items [B, K], best first; K is `count` or, if they are fewer, all that are allowed."""
        index = file.insist_built(self._index)
        query = np.ascontiguousarray(query, np.float32)
        if allowed is None:
            return self.search_with(self.probes or 1, query, min(count, index.ntotal))
        if allowed.count > _MOST * index.ntotal:
            scores, items = self.search_with(
                self.probes or 1, query, min(count, index.ntotal), file.among(allowed.bits)
            )
            filled = int((items > 0).sum(1).max(initial=0))
            return scores[:, :filled], items[:, :filled]
        inside = self._sizes(allowed)
        total = int(inside.sum())
        if total <= EXACT:
            return nearest_of(self._vectors, self._inside(allowed), query, count)
        count = min(count, total)
        scores, items = self._among(query, count, allowed, inside)
        short = np.flatnonzero(items[:, -1] == 0)
        if len(short):  # what is allowed lies far from the query
            scores[short], items[short] = nearest_of(self._vectors, self._inside(allowed), query[short], count)
        return scores, items

    def search_with(
        self, probes: int, query: np.ndarray, count: int, only: Any = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """What reading `probes` lists finds for `query` [B, D], and `only` what is chosen; more lists where that is not
        enough."""
        fetched, probes = min(self._fetched(count), self._index.ntotal), min(probes, self._index.nlist)
        scores, items = self._index.search(flat(query, self._index.d), fetched, params=file.reading(probes, only))
        scores, items = self._exactly(scores, items, query, count)
        if (items[:, -1] == 0).any() and probes < self._index.nlist:
            return self.search_with(min(4 * probes, self._index.nlist), query, count, only)
        return scores, items

    def renewed(self, vectors: np.ndarray, *, changed: np.ndarray, gone: np.ndarray) -> "IvfIndex":
        """An index of `vectors` [V, D], in which the rows `changed` are others and those `gone` are no more; the lists'
        centres stay."""
        index = faiss.clone_index(file.insist_built(self._index))
        left = np.union1d(changed, gone).astype(np.int64)
        if len(left):
            index.remove_ids(faiss.IDSelectorBatch(left))
        new = np.setdiff1d(changed, gone).astype(np.int64)
        if len(new):
            index.add_with_ids(lifted(vectors[new], index.d, length=self._length), new)
        other = IvfIndex(**self.settings())
        other._hold(index, vectors, self._length, self._moved(vectors, new, left))
        return other

    @property
    def made(self) -> Any:
        """FAISS's own index; its ids are catalogue indices."""
        return file.insist_built(self._index)

    @property
    def size(self) -> int:
        """V: no catalogue index in it is as high."""
        return len(self._list_of)

    def nbytes(self) -> int:
        """Memory in bytes: a code and an id for each item, the lists' centres; without the vectors to compare again."""
        index = file.insist_built(self._index)
        return int(index.ntotal * (index.code_size + 8) + self._centres.nbytes + self._list_of.nbytes)

    def settings(self) -> dict[str, Any]:
        """Lists and probes as they were found, for the bundle."""
        return {
            "codes": str(self.codes),
            "lists": self.lists if self._index is None else int(self._index.nlist),
            "probes": self.probes,
            "recall": self.recall,
            "refine": self.refine,
            "seed": self.seed,
        }

    def save(self, path: Path) -> None:
        """Write to one file."""
        file.write(self._index, path, _LAID_OUT[self.codes])

    def load(self, path: Path, vectors: np.ndarray | None = None) -> None:
        """Read what `save` wrote; `vectors` [V, D] are those that it was built of."""
        if vectors is None:
            raise BundleError(f"{path} can only be read with the vectors that it was built of")
        self._hold(file.read(path, _LAID_OUT[self.codes], vectors), vectors, longest(vectors[1:]))

    def _hold(self, index: Any, vectors: np.ndarray, length: float, list_of: np.ndarray | None = None) -> None:
        """`length` is what items were lifted to; `list_of` [V] says which list each item lies in, -1 where in none, and
        is read from the lists if None."""
        self._index, self._vectors, self._length = index, np.ascontiguousarray(vectors, np.float32), length
        self._centres = index.quantizer.reconstruct_n(0, index.nlist)
        if list_of is None:
            list_of = np.full(len(vectors), -1, np.int32)
            for number in range(index.nlist):
                list_of[file.inside(index, number)] = number
        self._list_of = list_of

    def _moved(self, vectors: np.ndarray, new: np.ndarray, left: np.ndarray) -> np.ndarray:
        """Which list each item lies in once those that `left` are out and the `new` ones in."""
        list_of = np.full(len(vectors), -1, np.int32)
        list_of[: len(self._list_of)] = self._list_of
        list_of[left] = -1
        if len(new):
            rows = lifted(vectors[new], self._index.d, length=self._length)
            list_of[new] = self._index.quantizer.assign(rows, 1)[:, 0]
        return list_of

    def _fetched(self, count: int) -> int:
        return count if self.codes is Codes.FLAT else self.refine * count

    def _exactly(
        self, scores: np.ndarray, items: np.ndarray, query: np.ndarray, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        if self.codes is Codes.FLAT:
            return np.where(items > 0, scores, -np.inf)[:, :count], np.maximum(items, 0)[:, :count]
        return rescored(self._vectors, items, query, count)

    def _among(
        self, query: np.ndarray, count: int, allowed: Allowed, inside: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """What the nearest lists that hold anything allowed give: as many of them as hold enough."""
        asked = flat(query, self._index.d)
        near = np.where(inside > 0, asked @ self._centres.T, -np.inf)
        order = np.argsort(-near, axis=1)
        held = np.cumsum(inside[order], axis=1)
        needed = min(_SCANNED * count, int(inside.sum()))
        probes = int(max((held < needed).sum(1).max() + 1, min(self.probes or 1, int((inside > 0).sum()))))
        lists = order[:, :probes]
        fetched = min(self._fetched(count), self._index.ntotal)
        scores, items = file.search_lists(
            *(self._index, asked, fetched, lists, np.take_along_axis(near, lists, 1)),
            only=file.among(allowed.bits),
        )
        return self._exactly(scores, items, query, count)

    def _inside(self, allowed: Allowed) -> np.ndarray:
        """The allowed items that are here."""
        rows = allowed.below(len(self._list_of))
        here: np.ndarray = rows[self._list_of[rows] >= 0]
        return here

    def _sizes(self, allowed: Allowed) -> np.ndarray:
        """How many allowed items each list holds [lists]; remembered with them."""
        if self not in allowed.kept:
            where = self._list_of[allowed.below(len(self._list_of))]
            allowed.kept[self] = np.bincount(where[where >= 0], minlength=self._index.nlist)
        return allowed.kept[self]
