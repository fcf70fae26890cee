"""The longest vectors are always looked at, of the others the lists nearest to a query; codes of four bits.

Inner products favour long vectors, and what a model learnt much of gets long ones: they lie in most answers, but no
list that is near in direction holds them all. Splitting a catalogue by length is from Yan et al., "Norm-ranging LSH for
maximum inner product search" (NeurIPS 2018, https://arxiv.org/abs/1809.08782). What four-bit codes find
(`four_bits.py`) is compared again exactly.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from recsys.errors import BundleError, ConfigError
from recsys.registry import registered
from recsys.retrieval.allowed import Allowed
from recsys.retrieval.index import file
from recsys.retrieval.index.exact import nearest_of, rescored
from recsys.retrieval.index.four_bits import Layout, codebook_of, read_layout
from recsys.retrieval.index.probes import K, exact_first, recall_of
from recsys.retrieval.index.reach import cheapest, needed_lists

EXACT = 30_000
"""Up to so many allowed items are compared one by one: about what reading codes would take."""
_SCANNED = 60
"""Of allowed items, the lists read hold at least so many for each one asked for."""
_DEPTHS = (1, 2, 5, 10, 30)
"""Where one item in two is allowed, what is asked for lies twice as deep, and so on; it is found out for these."""
_ASKED_DEEPER = 100
_TRAINED_ON = 40
_MOST_REFINED = 40
_HELPS = 0.002
_MARGIN = 0.004
"""What the codes may cost of the recall."""


@registered
class NormRangedIndex:
    """A head of long vectors and lists of the others.

    Args:
        lists: how many; by default twice the root of the catalogue's size.
        head: how many of the longest vectors are always looked at; by default what is cheapest for the recall.
        probes: how many lists are read for a query; by default as few as give `recall` on the queries that `build` is
            shown.
        deeper: how many are read where one item in 2, 5, 10 and 30 is allowed; by default found out likewise.
        recall: share of the exact first hundred that shall be found.
        refine: so many times as many as asked for are compared again exactly; `build` doubles it where it must.
        seed: of the sample from which lists and codes are learnt.
    """

    def __init__(
        self,
        *,
        lists: int | None = None,
        head: int | None = None,
        probes: int | None = None,
        deeper: Sequence[int] = (),
        recall: float = 0.985,
        refine: int = 6,
        seed: int = 0,
    ) -> None:
        if not 0 < recall <= 1 or refine < 1 or (lists or 1) < 1 or (probes or 1) < 1 or (head or 0) < 0:
            raise ConfigError(
                f"index: recall {recall} must lie in 0..1; refine {refine}, lists {lists}, probes {probes} be 1 or "
                f"more, head {head} 0 or more"
            )
        self.lists, self.head, self.probes, self.deeper = lists, head, probes, tuple(deeper[: len(_DEPTHS) - 1])
        self.recall, self.refine, self.seed = recall, refine, seed
        self._layout: Layout | None = None
        self._index: Any = None
        self._quantizer: Any = None
        self._shortest = np.inf
        self._vectors = np.empty((0, 0), np.float32)

    def build(self, vectors: np.ndarray, queries: np.ndarray | None = None) -> None:
        """Index `vectors` [V, D] float32, row 0 left out; `queries` [Q, D] like those to come decide head and probes
        (items themselves where there are none)."""
        vectors = np.ascontiguousarray(vectors, np.float32)
        count, dim = len(vectors) - 1, vectors.shape[1]
        lists = min(self.lists or max(1, round(2 * count**0.5)), max(1, count))
        rng = np.random.default_rng(self.seed)
        sample = 1 + np.sort(rng.permutation(count)[: max(_TRAINED_ON * lists, 10_000)])
        means: Any = faiss.Kmeans(
            dim, lists, niter=10, seed=self.seed + 1, min_points_per_centroid=1, max_points_per_centroid=_TRAINED_ON
        )
        means.train(vectors[sample])
        quantizer: Any = faiss.IndexFlatL2(dim)
        quantizer.add(means.centroids)
        list_of = np.full(len(vectors), -1, np.int32)
        list_of[1:] = quantizer.assign(vectors[1:], 1)[:, 0]
        length = np.linalg.norm(vectors, axis=1)
        length[0] = -1
        longest = np.argsort(-length, kind="stable")[:count]
        asked = vectors[sample[:: max(1, len(sample) // 200)]] if queries is None or not len(queries) else queries[:500]
        asked = np.ascontiguousarray(asked, np.float32)
        exact, wanted = exact_first(vectors, asked), min(1.0, self.recall + _MARGIN)
        near = asked @ means.centroids.T
        head, probes = cheapest(near, exact, list_of, longest, wanted)
        head = self.head = min(count, head if self.head is None else self.head)
        depths = [min(count, depth * K) for depth in _DEPTHS]
        deep = exact_first(vectors, asked[:_ASKED_DEEPER], depths[-1])
        deeper = [needed_lists(near[: len(deep)], deep[:, :depth], list_of, longest[:head], wanted) for depth in depths]
        list_of[longest[:head]] = lists
        taught = np.concatenate([sample, rng.choice(longest[:head], min(head, len(sample)))]) if head else sample
        self._hold(Layout(means.centroids, codebook_of(vectors[taught]), list_of), vectors)
        if self.probes is None:
            more = self._raised(asked, exact, probes) / deeper[0]
            self.deeper = tuple(min(lists, round(max(1.0, more) * lower)) for lower in deeper[1:])

    def __len__(self) -> int:
        return 0 if self._index is None else int(self._index.ntotal)

    def search(self, query: np.ndarray, count: int, allowed: Allowed | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Scores [B, K] and items [B, K], best first; K is `count` or, if they are fewer, all that are allowed."""
        index = file.insist_built(self._index)
        query = np.ascontiguousarray(query, np.float32)
        if allowed is None:
            return self._read(query, min(count, index.ntotal), self.probes or 1)
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

    def renewed(self, vectors: np.ndarray, *, changed: np.ndarray, gone: np.ndarray) -> "NormRangedIndex":
        """An index of `vectors` [V, D], in which the rows `changed` are others and those `gone` are no more; centres,
        codebook and the length from which on a vector belongs to the head stay."""
        file.insist_built(self._index)
        layout = self._held
        list_of = np.full(len(vectors), -1, np.int32)
        list_of[: len(layout.list_of)] = layout.list_of
        new = np.setdiff1d(changed, gone).astype(np.int64)
        if len(new):
            moved = np.ascontiguousarray(vectors[new], np.float32)
            _, near = faiss.knn(moved, layout.centres, 1)
            list_of[new] = np.where(np.linalg.norm(moved, axis=1) >= self._shortest, len(layout.centres), near[:, 0])
        list_of[gone[gone < len(list_of)]] = -1
        other = NormRangedIndex(**self.settings())
        other._hold(Layout(layout.centres, layout.codebook, list_of), vectors)
        other._shortest = self._shortest
        return other

    def nbytes(self) -> int:
        """Memory in bytes: a code, an id and a list's number for each item, centres; without the vectors to compare
        again."""
        index, layout = file.insist_built(self._index), self._held
        return int(index.ntotal * (index.code_size + 8) + layout.list_of.nbytes + 2 * layout.centres.nbytes)

    def settings(self) -> dict[str, Any]:
        """Lists, head and probes as they were found, for the bundle."""
        return {
            "lists": self.lists if self._layout is None else len(self._layout.centres),
            "head": self.head,
            "probes": self.probes,
            "deeper": list(self.deeper),
            "recall": self.recall,
            "refine": self.refine,
            "seed": self.seed,
        }

    def save(self, path: Path) -> None:
        """Write to one file."""
        file.insist_built(self._index)
        layout = self._held
        with path.open("wb") as out:
            np.savez(out, centres=layout.centres, codebook=layout.codebook, list_of=layout.list_of)

    def load(self, path: Path, vectors: np.ndarray | None = None) -> None:
        """Read what `save` wrote; `vectors` [V, D] are those that it was built of."""
        layout = read_layout(path)
        count, dim = len(layout.list_of) - 1, layout.centres.shape[1]
        if vectors is None:
            raise BundleError(f"{path} holds lists of an encoder's vectors, and can only be read with the vectors")
        if vectors.shape != (count + 1, dim):
            raise BundleError(
                f"{path} holds {count} vectors of {dim}, and the encoder gives {len(vectors) - 1} of {vectors.shape[1]}"
            )
        self._hold(layout, vectors)

    @property
    def _held(self) -> Layout:
        if self._layout is None:
            raise BundleError("the index is empty; build or load it before searching or saving")
        return self._layout

    def _hold(self, layout: Layout, vectors: np.ndarray) -> None:
        self._layout, self._vectors = layout, np.ascontiguousarray(vectors, np.float32)
        self._index, self._quantizer = layout.index(self._vectors)
        head = np.flatnonzero(layout.list_of == len(layout.centres))
        self._shortest = float(np.linalg.norm(self._vectors[head], axis=1).min(initial=np.inf))

    def _raised(self, asked: np.ndarray, exact: np.ndarray, probes: int) -> int:
        """Set refine and probes so that the items `exact` [Q, K] are found: as long as it helps more is compared
        exactly, then more lists are read."""
        lists = len(self._held.centres)

        def found(probes: int) -> float:
            return recall_of(self._read(asked, exact.shape[1], probes)[1], exact)

        recall = found(probes)
        while recall < self.recall and self.refine < _MOST_REFINED:
            self.refine, before = 2 * self.refine, recall
            recall = found(probes)
            if recall < before + _HELPS:
                self.refine //= 2
                break
        while probes < lists and recall < self.recall:
            probes = min(lists, max(probes + 1, probes * 5 // 4))
            recall = found(probes)
        self.probes = probes
        return probes

    def _read(self, query: np.ndarray, count: int, probes: int) -> tuple[np.ndarray, np.ndarray]:
        """What the head and the `probes` lists nearest to `query` [B, D] hold; more lists where that is not enough, and
        everything compared exactly where codes tell nothing (a query or vectors all alike)."""
        lists = len(self._held.centres)
        near = query @ self._held.centres.T
        chosen = np.argpartition(-near, probes, axis=1)[:, :probes] if probes < lists else np.argsort(-near, axis=1)
        scores, items = self._in_lists(query, count, chosen, None)
        short = np.flatnonzero(items[:, -1] == 0)
        if len(short) and probes < lists:
            return self._read(query, count, min(4 * probes, lists))
        if len(short):
            here = np.flatnonzero(self._held.list_of >= 0)
            scores[short], items[short] = nearest_of(self._vectors, here, query[short], count)
        return scores, items

    def _in_lists(self, query: np.ndarray, count: int, lists: np.ndarray, only: Any) -> tuple[np.ndarray, np.ndarray]:
        """The best of the head and of `lists` [B, P], compared exactly."""
        fetched = max(1, min(self.refine * count, self._index.ntotal))
        lists = np.concatenate([np.full((len(query), 1), len(self._held.centres)), lists], axis=1)
        near = np.zeros(lists.shape, np.float32)
        _, items = file.search_lists(self._index, query, fetched, lists, near, only)
        return rescored(self._vectors, items, query, count)

    def _among(
        self, query: np.ndarray, count: int, allowed: Allowed, inside: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """What the head and the nearest lists that hold anything allowed give: as many of them as hold enough."""
        within = inside[:-1]
        near = np.where(within > 0, query @ self._held.centres.T, -np.inf)
        order = np.argsort(-near, axis=1)
        held = np.cumsum(within[order], axis=1)
        needed = min(_SCANNED * count, int(within.sum()))
        some = int((within > 0).sum())
        each = np.array([self.probes or 1, *self.deeper])
        depth = np.log(self._index.ntotal / max(1, int(inside.sum())))
        known = int(np.ceil(np.interp(depth, np.log(_DEPTHS[: len(each)]), each)))
        probes = min(some, max(int((held < needed).sum(1).max()) + 1, known))
        return self._in_lists(query, count, order[:, :probes], file.among(allowed.bits))

    def _inside(self, allowed: Allowed) -> np.ndarray:
        """The allowed items that are here."""
        rows = allowed.below(len(self._held.list_of))
        here: np.ndarray = rows[self._held.list_of[rows] >= 0]
        return here

    def _sizes(self, allowed: Allowed) -> np.ndarray:
        """How many allowed items each list and the head holds [L + 1]; remembered with them."""
        if self not in allowed.kept:
            where = self._held.list_of[self._inside(allowed)]
            allowed.kept[self] = np.bincount(where, minlength=len(self._held.centres) + 1)
        return allowed.kept[self]
