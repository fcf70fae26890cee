"""Exact inner-product search on a GPU, with FAISS."""

from typing import Any

import numpy as np

from recsys.registry import registered
from recsys.retrieval.index.flat import FlatIndex
from recsys.retrieval.index.gpu import Copy, OnGpu, cloned


@registered
class GpuFlatIndex(OnGpu[FlatIndex]):
    """Compares a query with every item, on a GPU; stored as `flat` is. Its authors have not run it on one.

    Args:
        device: number of the GPU.
        gpu_to_serve: whether loading is refused without one; else the CPU searches there.
    """

    def __init__(self, *, device: int = 0, gpu_to_serve: bool = False) -> None:
        super().__init__(FlatIndex(), device=device, gpu_to_serve=gpu_to_serve)

    def copied(self) -> Copy:
        """All vectors, on the GPU."""
        index, resources = cloned(self.cpu.made, self.device)
        return Copy(index, self.cpu.items, keep=resources)

    def renewed(self, vectors: np.ndarray, *, changed: np.ndarray, gone: np.ndarray) -> "GpuFlatIndex":
        """An index of `vectors` [V, D], in which the rows `changed` are others and those `gone` are no more."""
        other = GpuFlatIndex(**self.settings())
        other.cpu = self.cpu.renewed(vectors, changed=changed, gone=gone)
        other.follow(self, vectors)
        return other

    def settings(self) -> dict[str, Any]:
        """Plain constructor arguments, for the bundle."""
        return {"device": self.device, "gpu_to_serve": self.gpu_to_serve}
