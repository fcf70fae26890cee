"""Inverted lists on a GPU, with FAISS."""

from typing import Any

import numpy as np

from recsys.errors import ConfigError
from recsys.registry import registered
from recsys.retrieval.index import file
from recsys.retrieval.index.gpu import MOST, Copy, OnGpu, cloned
from recsys.retrieval.index.ivf import Codes, IvfIndex


@registered
class GpuIvfIndex(OnGpu[IvfIndex]):
    """Inverted lists that a GPU reads; learnt, measured and stored as those of `ivf`. Its authors have not run it on
    one.

    Args:
        codes, lists, probes, recall, refine, seed: see `IvfIndex`. Product codes stay on the CPU: GPUs take few shapes.
        device: number of the GPU.
        gpu_to_serve: whether loading is refused without one; else the CPU searches there.
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
        device: int = 0,
        gpu_to_serve: bool = False,
    ) -> None:
        cpu = IvfIndex(codes=codes, lists=lists, probes=probes, recall=recall, refine=refine, seed=seed)
        if cpu.codes is Codes.PQ:
            raise ConfigError("index.codes is 'pq', which index=gpu_ivf does not take; take flat or sq8, or index=ivf")
        refined = 1 if cpu.codes is Codes.FLAT else refine
        super().__init__(cpu, device=device, gpu_to_serve=gpu_to_serve, refine=refined)

    def copied(self) -> Copy:
        """The lists, on the GPU."""
        index, resources = cloned(self.cpu.made, self.device)
        probes = min(self.cpu.probes or 1, MOST)
        items = np.arange(self.cpu.size)  # its ids are catalogue indices already
        return Copy(index, items, params=lambda count: file.reading(probes), keep=resources)

    def renewed(self, vectors: np.ndarray, *, changed: np.ndarray, gone: np.ndarray) -> "GpuIvfIndex":
        """An index of `vectors` [V, D], in which the rows `changed` are others and those `gone` are no more."""
        other = GpuIvfIndex(**self.settings())
        other.cpu = self.cpu.renewed(vectors, changed=changed, gone=gone)
        other.follow(self, vectors)
        return other

    def settings(self) -> dict[str, Any]:
        """Lists and probes as they were found, for the bundle."""
        return {**self.cpu.settings(), "device": self.device, "gpu_to_serve": self.gpu_to_serve}
