"""A graph of near neighbours that a GPU builds and walks, with FAISS and cuVS.

Ootomo et al., "CAGRA: Highly Parallel Graph Construction and Approximate Nearest Neighbor Search for GPUs" (ICDE 2024,
https://arxiv.org/abs/2308.15136).
"""

from typing import Any

import faiss
import numpy as np

from recsys.errors import ConfigError
from recsys.registry import registered
from recsys.retrieval.index.gpu import Copy, OnGpu, insist_gpu
from recsys.retrieval.index.hnsw import HnswIndex
from recsys.retrieval.index.lifted import lifted, longest, width

_faiss: Any = faiss
_STEP = 32
"""CAGRA keeps candidates in multiples of this."""


@registered
class CagraIndex(OnGpu[HnswIndex]):
    """A graph that a GPU builds and walks. On the CPU, and in the bundle, it is the finest level of an `hnsw` graph, to
    which the CPU adds the few coarse ones. Its authors have not run it on a GPU.

    Args:
        links: half of those that each item has to others; also of each item on the coarse levels.
        candidates: how many neighbours each item has before the graph is thinned out to its links.
        breadth: how many are kept in a search; by default as few as give `recall`, walked on the CPU.
        recall: share of the exact first hundred that shall be found.
        device: number of the GPU.
        gpu_to_serve: whether loading is refused without one; else the CPU walks the graph there.
    """

    def __init__(
        self,
        *,
        links: int = 32,
        candidates: int = 128,
        breadth: int | None = None,
        recall: float = 0.985,
        device: int = 0,
        gpu_to_serve: bool = False,
    ) -> None:
        if candidates < 2 * links:
            raise ConfigError(f"index.candidates is {candidates}; give at least {2 * links}, twice index.links")
        self.candidates = candidates
        cpu = HnswIndex(links=links, breadth=breadth, recall=recall)
        super().__init__(cpu, device=device, gpu_to_serve=gpu_to_serve)

    def build(self, vectors: np.ndarray, queries: np.ndarray | None = None) -> None:
        """Build on the GPU; without one ConfigError with the remedy is raised. See `Index.build`."""
        insist_gpu(self.device)
        vectors = np.ascontiguousarray(vectors, np.float32)
        self._grow(vectors, np.arange(1, len(vectors)))
        self.cpu.find_breadth(queries)
        self._place(vectors)

    def copied(self) -> Copy:
        """The finest level, on the GPU."""
        resources = _faiss.StandardGpuResources()
        index = _faiss.GpuIndexCagra(resources, self.cpu.made.d, faiss.METRIC_INNER_PRODUCT, self._config())
        graph = as_cagra(self.cpu.made)
        index.copyFrom(graph)
        breadth = self.cpu.breadth or 1
        return Copy(index, self.cpu.items, params=lambda count: _walking(max(breadth, count)), keep=(resources, graph))

    def renewed(self, vectors: np.ndarray, *, changed: np.ndarray, gone: np.ndarray) -> "CagraIndex":
        """An index of `vectors` [V, D], in which the rows `changed` are others and those `gone` are no more: anew,
        and on the GPU where this one is on it."""
        other = CagraIndex(**self.settings())
        if self._copy is None:
            other.cpu = self.cpu.renewed(vectors, changed=changed, gone=gone)
        else:
            kept = np.setdiff1d(self.cpu.items, gone)
            other._grow(np.ascontiguousarray(vectors, np.float32), np.union1d(kept, np.setdiff1d(changed, gone)))
        other.follow(self, vectors)
        return other

    def settings(self) -> dict[str, Any]:
        """With the breadth as it was found, for the bundle."""
        graph = self.cpu.settings()
        kept = {name: graph[name] for name in ("links", "breadth", "recall")}
        return {**kept, "candidates": self.candidates, "device": self.device, "gpu_to_serve": self.gpu_to_serve}

    def _grow(self, vectors: np.ndarray, items: np.ndarray) -> None:
        """Have the graph of `items` [N] built on the GPU, and take it over."""
        if len(items) <= self.candidates:
            raise ConfigError(
                f"index=cagra looks for {self.candidates} neighbours of each item, and there are {len(items)} items; "
                "take index=gpu_flat, or fewer index.candidates and index.links"
            )
        resources = _faiss.StandardGpuResources()
        rows = lifted(vectors[items], width(vectors.shape[1]), length=longest(vectors[items]))
        index = _faiss.GpuIndexCagra(resources, rows.shape[1], faiss.METRIC_INNER_PRODUCT, self._config())
        index.train(rows)
        graph = _faiss.IndexHNSWCagra()
        index.copyTo(graph)
        self.cpu.take(as_hnsw(graph), vectors, items)

    def _config(self) -> Any:
        config = _faiss.GpuIndexCagraConfig()
        config.device = self.device
        config.graph_degree = 2 * self.cpu.links
        config.intermediate_graph_degree = self.candidates
        return config


def as_hnsw(graph: Any) -> Any:
    """A copy of FAISS's `IndexHNSWCagra` as the plain `IndexHNSWFlat` that `hnsw` stores and every FAISS reads."""
    plain = _faiss.IndexHNSWFlat(graph.d, 2, faiss.METRIC_INNER_PRODUCT)
    plain.hnsw = graph.hnsw
    _faiss.downcast_index(plain.storage).add(_faiss.downcast_index(graph.storage).reconstruct_n(0, graph.ntotal))
    plain.ntotal = graph.ntotal
    if plain.hnsw.entry_point < 0:  # no item came to stand on a coarse level
        plain.hnsw.entry_point, plain.hnsw.max_level = 0, 0
    return plain


def as_cagra(plain: Any) -> Any:
    """FAISS's `IndexHNSWFlat` as the kind that its GPU index takes; the vectors stay with `plain`, which has to live as
    long."""
    graph = _faiss.IndexHNSWCagra()
    graph.d, graph.metric_type, graph.hnsw = plain.d, faiss.METRIC_INNER_PRODUCT, plain.hnsw
    graph.storage, graph.own_fields, graph.ntotal = plain.storage, False, plain.ntotal
    graph.keep_max_size_level0 = True
    graph.referenced_objects = [plain]
    return graph


def _walking(breadth: int) -> Any:
    return _faiss.SearchParametersCagra(itopk_size=-(-breadth // _STEP) * _STEP)
