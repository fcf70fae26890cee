"""FAISS at arm's length: indexes in files, read back only as what they were said to be, and parameters of a search.

FAISS describes its own interface in parts only, so what comes from it is `Any` here and typed by whoever asks.
"""

from pathlib import Path
from typing import Any

import faiss
import numpy as np

from recsys.errors import BundleError
from recsys.retrieval.index.layout import Layout, Walk

_faiss: Any = faiss


def insist_built(index: Any) -> Any:
    """The index, refused where there is none yet."""
    if index is None:
        raise BundleError("the index is empty; build or load it before searching or saving")
    return index


def write(index: Any, path: Path, layout: Layout) -> None:
    """Write to one file, and make sure that it can be read again; an empty index is refused."""
    faiss.write_index(insist_built(index), str(path))
    layout(Walk(path, None))


def read(path: Path, layout: Layout, vectors: np.ndarray | None) -> Any:
    """The index in a file that has the `layout` and was built of `vectors` [V, D]; any other raises BundleError, before
    FAISS sees it."""
    layout(Walk(path, vectors))
    try:
        return faiss.read_index(str(path))
    except (RuntimeError, MemoryError) as error:
        raise BundleError(f"{path} is not a FAISS index ({str(error).splitlines()[0]})") from error


def chosen(mask: np.ndarray) -> Any:
    """FAISS's way of being told that only rows of `mask` [N] bool count."""
    return among(np.packbits(mask, bitorder="little"))


def among(bits: np.ndarray) -> Any:
    """The same, of a mask packed eight to a byte, the lowest bit first."""
    return _faiss.IDSelectorBitmap(bits)


def reading(probes: int, only: Any = None) -> Any:
    """A search that reads so many lists, and of them `only` what is chosen."""
    return _faiss.SearchParametersIVF(nprobe=probes, sel=only)


def walking(breadth: int, only: Any = None) -> Any:
    """A search that keeps so many candidates, and of them `only` what is chosen."""
    return _faiss.SearchParametersHNSW(efSearch=breadth, sel=only)


def comparing(only: Any) -> Any:
    """A search through everything that is chosen."""
    return _faiss.SearchParameters(sel=only)


def search_lists(
    index: Any, query: np.ndarray, count: int, lists: np.ndarray, near: np.ndarray, only: Any
) -> tuple[np.ndarray, np.ndarray]:
    """What the `lists` [B, P], `near` [B, P] to each query, hold of what is chosen: scores and ids [B, K], -1 for none.

    FAISS's own wrapper of this call does not take a choice, the call does.
    """
    lists, near = np.ascontiguousarray(lists, np.int64), np.ascontiguousarray(near, np.float32)
    scores = np.empty((len(query), count), np.float32)
    ids = np.empty((len(query), count), np.int64)
    pointers = [_faiss.swig_ptr(array) for array in (query, lists, near, scores, ids)]
    asked, listed, nearness, scored, found = pointers
    params = reading(lists.shape[1], only)
    index.search_preassigned_c(len(query), asked, count, listed, nearness, scored, found, False, params)
    return scores, ids


def inside(index: Any, number: int) -> np.ndarray:
    """The ids in one of the lists."""
    size = index.invlists.list_size(number)
    if not size:
        return np.empty(0, np.int64)
    ids: np.ndarray = _faiss.rev_swig_ptr(index.invlists.get_ids(number), size).copy()
    return ids


def flat_rows(index: Any) -> np.ndarray:
    """The vectors inside a flat index [N, D], not copied."""
    rows: np.ndarray = _faiss.rev_swig_ptr(index.get_xb(), index.ntotal * index.d)
    return rows.reshape(index.ntotal, index.d)
