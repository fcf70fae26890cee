"""What the indexes on a GPU share: the copy there, the form on the CPU that is stored, and what to say without a GPU.

FAISS for GPUs is another build of the same module (`faiss-gpu-cuvs`, https://pypi.org/project/faiss-gpu-cuvs/; 1.15 is
for CUDA 13) and cannot lie beside `faiss-cpu`: both own the folder `faiss`, and removing the one takes files of the
other. `REMEDY` is an order that leaves the right one. The authors had no GPU: what touches one follows FAISS's sources
(faiss/gpu/GpuCloner.h, GpuIndexCagra.h) and was never run; what goes without one is tested.
"""

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import faiss
import numpy as np

from recsys.errors import ConfigError
from recsys.protocols import Index
from recsys.retrieval.allowed import Allowed
from recsys.retrieval.index.exact import NOWHERE, rescored
from recsys.retrieval.index.lifted import flat

REMEDY = (
    "pip install 'attune-recsys[gpu-index]' && pip uninstall -y faiss-cpu && "
    "pip install --force-reinstall --no-deps faiss-gpu-cuvs"
)
"""The extra brings the libraries; `faiss-cpu` goes; what its removal took of the other is put back."""
MOST = 2048
"""FAISS selects no more than so many results, and reads no more lists, on a GPU."""
_SHARE = 0.5
"""Where fewer of the items than this are allowed, the form on the CPU is asked: a GPU's search takes no filter."""
_SPARE = 1.2

Form = TypeVar("Form", bound=Index)
"""The index on the CPU."""

_faiss: Any = faiss
_log = logging.getLogger(__name__)


def gpus() -> int:
    """How many GPUs FAISS can use; none in a build without them."""
    try:
        return int(_faiss.get_num_gpus()) if hasattr(_faiss, "StandardGpuResources") else 0
    except RuntimeError as error:  # CUDA's way of saying that there is no driver
        _log.warning("no GPU for FAISS: %s", str(error).splitlines()[0])
        return 0


def insist_gpu(device: int) -> None:
    """Refuse where FAISS cannot use the GPU `device`, with the remedy."""
    if not hasattr(_faiss, "StandardGpuResources"):
        raise ConfigError(
            f"this index needs FAISS for GPUs, and {_faiss.__version__} here is the build without: {REMEDY}; or take "
            "index=auto"
        )
    if not 0 <= device < gpus():
        raise ConfigError(
            f"index.device is {device}, and FAISS (gpu-index is installed) sees {gpus()} GPUs; check nvidia-smi and "
            "CUDA_VISIBLE_DEVICES, or take index=auto"
        )


class Copy:
    """An index on a GPU. FAISS answers one caller at a time there, so the others wait.

    Args:
        index: FAISS's.
        items: the catalogue index of each of its ids.
        params: what a search that wants so many results is given besides.
        keep: what has to live as long as it: FAISS holds its resources by address.
    """

    def __init__(
        self, index: Any, items: np.ndarray, *, params: Callable[[int], Any] = lambda count: None, keep: Any = None
    ) -> None:
        self._index, self._items, self._params, self._keep = index, items, params, keep
        self._one_at_a_time = threading.Lock()

    def search(self, query: np.ndarray, count: int) -> np.ndarray:
        """The items [B, `count`] nearest to each `query` [B, D]; 0 where there are no more."""
        with self._one_at_a_time:
            _, ids = self._index.search(flat(query, self._index.d), count, params=self._params(count))
        return np.where(ids >= 0, self._items[ids], NOWHERE)


class OnGpu(ABC, Generic[Form]):
    """An index in two forms: a copy on a GPU answers; the one on the CPU is stored, and does what a GPU cannot.

    A bundle holds the form on the CPU alone. So what was trained on a machine with a GPU is served on one without, by
    that form, which the log says; with `gpu_to_serve` loading is refused there instead.

    Args:
        cpu: the form on the CPU.
        device: number of the GPU.
        gpu_to_serve: whether loading insists on a GPU, as building always does.
        refine: so many times as many as asked for are found on the GPU and compared again exactly.
    """

    def __init__(self, cpu: Form, *, device: int, gpu_to_serve: bool, refine: int = 1) -> None:
        self.cpu, self.device, self.gpu_to_serve, self._refine = cpu, device, gpu_to_serve, refine
        self._copy: Copy | None = None
        self._vectors = np.empty((0, 0), np.float32)

    @abstractmethod
    def copied(self) -> Copy:
        """The form on the CPU as it is now, copied to the GPU."""

    def build(self, vectors: np.ndarray, queries: np.ndarray | None = None) -> None:
        """As the form on the CPU does, then copied; without a GPU it raises ConfigError with the remedy."""
        insist_gpu(self.device)
        self.cpu.build(vectors, queries)
        self._place(vectors)

    def __len__(self) -> int:
        return len(self.cpu)

    def search(self, query: np.ndarray, count: int, allowed: Allowed | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Scores [B, K] and items [B, K], best first: of what the GPU finds, by exact scores.

        Where not all is allowed the GPU is asked for more than `count`; if too few of them are left for anybody, or if
        few are allowed at all, the form on the CPU answers.
        """
        query = np.ascontiguousarray(query, np.float32)
        share = 1.0 if allowed is None else min(1.0, allowed.count / max(1, len(self)))
        count = min(count, len(self))
        wanted = count if allowed is None else int(_SPARE * count / max(share, _SHARE)) + 1
        fetched = min(len(self), self._refine * wanted)
        if self._copy is None or share < _SHARE or not 0 < fetched <= MOST:
            return self.cpu.search(query, count, allowed)
        found = self._copy.search(query, fetched)
        if allowed is not None:
            found = np.where(allowed.at(found), found, NOWHERE)
        if ((found > NOWHERE).sum(1) < count).any():
            return self.cpu.search(query, count, allowed)
        return rescored(self._vectors, found, query, count)

    def nbytes(self) -> int:
        """Of the machine's memory, in bytes; the copy takes about as much of the GPU's."""
        return self.cpu.nbytes()

    def save(self, path: Path) -> None:
        """Write the form on the CPU to one file."""
        self.cpu.save(path)

    def load(self, path: Path, vectors: np.ndarray | None = None) -> None:
        """Read what `save` wrote, and copy it to the GPU where there is one; see the class for where there is none."""
        if self.gpu_to_serve:
            insist_gpu(self.device)
        self.cpu.load(path, vectors)
        if vectors is None or self.device >= gpus():
            _log.warning("%s: no GPU %d for it here; searched on the CPU. For one: %s", path, self.device, REMEDY)
            return
        self._place(vectors)

    def follow(self, other: "OnGpu[Form]", vectors: np.ndarray) -> None:
        """Be on the GPU where the `other` is, with the form on the CPU and the `vectors` [V, D] as they are now."""
        if other._copy is not None:
            self._place(vectors)

    def _place(self, vectors: np.ndarray) -> None:
        self._vectors, self._copy = np.ascontiguousarray(vectors, np.float32), self.copied()


def cloned(index: Any, device: int) -> tuple[Any, Any]:
    """FAISS's `index` on a GPU, and the resources that have to live as long."""
    resources = _faiss.StandardGpuResources()
    return _faiss.index_cpu_to_gpu(resources, device, index), resources
