"""Lists of four-bit codes, and the little that they follow from: centres, a codebook and each item's list.

Four-bit codes are compared in registers, thirty-two at a time (André et al., "Quicker ADC: unlocking the hidden
potential of product quantization with SIMD", TPAMI 2021, https://arxiv.org/abs/1812.09162), so that a tenth of a
catalogue is read in less time than lists of bytes take for a hundredth. A file holds no codes: they are made anew from
the encoder's vectors, and so always fit them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import faiss
import numpy as np

from recsys.errors import BundleError

_DAMAGED = (
    OSError,
    ValueError,
    LookupError,
    EOFError,
    BadZipFile,
    RuntimeError,
    MemoryError,
    TypeError,
    AttributeError,
)
_LEVELS = 16
_WHOLE = 96
"""Up to so many dimensions each has a code of its own, beyond that two share one."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What codes and lists follow from.

    Attributes:
        centres: of the lists [L, D]; list L is the head.
        codebook: levels of each code [M, 16, D / M].
        list_of: of each item [V] int32; -1 for none.
    """

    centres: np.ndarray
    codebook: np.ndarray
    list_of: np.ndarray

    def index(self, vectors: np.ndarray) -> tuple[Any, Any]:
        """FAISS's index of `vectors` [V, D], and its centres, which must live as long."""
        dim, lists = vectors.shape[1], len(self.centres) + 1
        quantizer: Any = faiss.IndexFlatL2(dim)
        quantizer.add(np.concatenate([self.centres, np.zeros((1, dim), np.float32)]))
        plain: Any = faiss.IndexIVFPQ(quantizer, dim, lists, len(self.codebook), 4, faiss.METRIC_INNER_PRODUCT)
        plain.by_residual = False
        faiss.copy_array_to_vector(self.codebook.ravel(), plain.pq.centroids)
        plain.is_trained = True
        ids = np.flatnonzero(self.list_of >= 0)
        rows, place = np.ascontiguousarray(vectors[ids]), self.list_of[ids].astype(np.int64)
        plain.add_core(len(ids), faiss.swig_ptr(rows), faiss.swig_ptr(ids), faiss.swig_ptr(place))
        return faiss.IndexIVFPQFastScan(plain), quantizer


def codebook_of(vectors: np.ndarray) -> np.ndarray:
    """Sixteen levels for each code [M, 16, D / M]."""
    dim = vectors.shape[1]
    codes = dim if dim <= _WHOLE or dim % 2 else dim // 2
    quantizer: Any = faiss.ProductQuantizer(dim, codes, 4)
    quantizer.cp.min_points_per_centroid = 1
    quantizer.train(np.resize(vectors, (max(len(vectors), _LEVELS), dim)))
    levels: np.ndarray = faiss.vector_to_array(quantizer.centroids).reshape(codes, _LEVELS, dim // codes)
    return levels.copy()


def read_layout(path: Path) -> Layout:
    try:
        with np.load(path, allow_pickle=False) as held:
            layout = Layout(held["centres"], held["codebook"], held["list_of"])
    except _DAMAGED as error:
        raise BundleError(f"{path} is not a norm-ranged index ({error}); fetch the bundle again") from error
    centres, codebook, list_of = layout.centres, layout.codebook, layout.list_of
    sound = (
        all(isinstance(part, np.ndarray) for part in (centres, codebook, list_of))  # numpy gives bytes for what is none
        and [array.dtype.str for array in (centres, codebook, list_of)] == ["<f4", "<f4", "<i4"]
        and (centres.ndim, codebook.ndim, list_of.ndim) == (2, 3, 1)
        and centres.size > 0
        and codebook.shape[1] == _LEVELS
        and codebook.shape[0] * codebook.shape[2] == centres.shape[1]
        and bool(np.isfinite(centres).all() and np.isfinite(codebook).all())
        and len(list_of) > 0
        and list_of[0] == -1
        and -1 <= list_of.min() <= list_of.max() <= len(centres)
    )
    if not sound:
        raise BundleError(f"{path} holds lists, codes or centres that do not fit together; fetch the bundle again")
    return layout
