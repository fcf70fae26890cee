"""Chooses the index by measuring every kind that may do on the real vectors."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recsys.errors import BundleError, ConfigError
from recsys.protocols import Index
from recsys.registry import path_of, registered
from recsys.retrieval.allowed import Allowed
from recsys.retrieval.index.flat import FlatIndex
from recsys.retrieval.index.hnsw import HnswIndex
from recsys.retrieval.index.ivf import Codes, IvfIndex
from recsys.retrieval.index.norm_ranged import NormRangedIndex
from recsys.retrieval.index.probes import K, asked_alone, exact_first, recall_of

_SMALL = 20_000
"""Up to so many items exact search is fast enough, and right."""
_GRAPH = 300_000
"""Beyond so many items a graph takes too long to build."""
_MARGIN = 0.003
"""Effort is chosen for so much more recall than is asked for: other queries will come."""
_QUERIES, _TUNED_ON = 600, 300
_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one kind of index was measured to be.

    Attributes:
        index: its kind and settings, in words.
        recall: share of the exact first hundred that it finds.
        p50_ms, p99_ms: of one query at a time, on one thread.
        mib: what it holds in memory, the vectors for exact comparison included.
        build_s: what building took.
        chosen: whether it is the one.
    """

    index: str
    recall: float
    p50_ms: float
    p99_ms: float
    mib: float
    build_s: float
    chosen: bool = False


@registered
class AutoIndex:
    """The fastest of the kinds that reach the recall within the memory; exact search where none does.

    Args:
        recall: share of the exact first hundred that must be found.
        memory_mib: the most that the index may hold; None for no bound.
        chosen: the index that was chosen; None before `build`.
        measured: what was measured, as `build` found it.
    """

    def __init__(
        self,
        *,
        recall: float = 0.98,
        memory_mib: float | None = None,
        chosen: Index | None = None,
        measured: Sequence[Mapping[str, Any] | Measured] = (),
    ) -> None:
        if not 0 < recall <= 1:
            raise ConfigError(f"index.recall is {recall}; give a share above 0, up to 1")
        self.recall, self.memory_mib, self._chosen = recall, memory_mib, chosen
        self.measured = [row if isinstance(row, Measured) else Measured(**row) for row in measured]

    def build(self, vectors: np.ndarray, queries: np.ndarray | None = None) -> None:
        """Build and measure every kind that may do for `vectors` [V, D]; `queries` [Q, D] are like those to come (half
        of them decide how much is read, the others judge it)."""
        vectors = np.ascontiguousarray(vectors, np.float32)
        asked = vectors[1 : 1 + _QUERIES] if queries is None or not len(queries) else queries[:_QUERIES]
        asked = np.ascontiguousarray(asked, np.float32)
        tuned_on, judged_on = asked[::2][:_TUNED_ON], asked[1::2] if len(asked) > 1 else asked
        exact = exact_first(vectors, judged_on, K)
        found: list[tuple[Index, Measured]] = []
        for index in self._kinds(len(vectors) - 1):
            began = time.perf_counter()
            index.build(vectors, tuned_on)
            found.append((index, _measured(index, vectors, judged_on, exact, time.perf_counter() - began)))
        fits = [one for one in found if self.memory_mib is None or one[1].mib <= self.memory_mib]
        good = [one for one in fits if one[1].recall >= self.recall]
        if not fits:
            least = min(row.mib for _, row in found)
            raise ConfigError(f"index.memory_mib is {self.memory_mib}; the smallest index takes {least:.0f} MiB")
        best = min(good, key=lambda one: one[1].p50_ms) if good else max(fits, key=lambda one: one[1].recall)
        self._chosen = best[0]
        self.measured = [Measured(**{**asdict(row), "chosen": index is best[0]}) for index, row in found]

    def __len__(self) -> int:
        return 0 if self._chosen is None else len(self._chosen)

    def search(self, query: np.ndarray, count: int, allowed: Allowed | None = None) -> tuple[np.ndarray, np.ndarray]:
        """As the chosen one does."""
        return self._insisted.search(query, count, allowed)

    def renewed(self, vectors: np.ndarray, *, changed: np.ndarray, gone: np.ndarray) -> Index:
        """One of the chosen kind; nothing is measured again."""
        return self._insisted.renewed(vectors, changed=changed, gone=gone)

    def nbytes(self) -> int:
        """Memory of the chosen one in bytes."""
        return self._insisted.nbytes()

    def settings(self) -> dict[str, Any]:
        """What was asked for, what was chosen and what was measured."""
        return {
            "recall": self.recall,
            "memory_mib": self.memory_mib,
            "chosen": self._chosen,
            "measured": [asdict(row) for row in self.measured],
        }

    def save(self, path: Path) -> None:
        """Write to one file."""
        self._insisted.save(path)

    def load(self, path: Path, vectors: np.ndarray | None = None) -> None:
        """Read what `save` wrote."""
        self._insisted.load(path, vectors)

    def _kinds(self, items: int) -> list[Index]:
        if items <= _SMALL:
            return [FlatIndex()]
        recall = min(1.0, self.recall + _MARGIN)
        lists = (IvfIndex(codes=codes, recall=recall) for codes in (Codes.FLAT, Codes.SQ8))
        kinds: list[Index] = [FlatIndex(), *lists, NormRangedIndex(recall=recall)]
        return [*kinds, HnswIndex(recall=recall)] if items <= _GRAPH else kinds

    @property
    def _insisted(self) -> Index:
        if self._chosen is None:
            raise BundleError("the index is empty; build or load it before searching or saving")
        return self._chosen


def _measured(index: Index, vectors: np.ndarray, queries: np.ndarray, exact: np.ndarray, build_s: float) -> Measured:
    found, took_ms = asked_alone(index, queries, exact.shape[1])
    settings = ", ".join(f"{name} {value}" for name, value in index.settings().items() if value is not None)
    return Measured(
        index=f"{path_of(type(index)).rpartition('.')[2]}({settings})",
        recall=round(recall_of(found, exact), 4),
        p50_ms=round(float(np.percentile(took_ms, 50)), 4),
        p99_ms=round(float(np.percentile(took_ms, 99)), 4),
        mib=round((index.nbytes() + vectors.nbytes) / _MIB, 1),
        build_s=round(build_s, 2),
    )
