"""Counts different texts with bounded memory: every text is stood for by 128 bits of hash."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from recsys.log.text_hash import hashes

_ROWS_AT_ONCE = 2_000_000
_SEEDS = (1, 2)


def note(path: Path, texts: pa.StringArray) -> None:
    """Put aside which texts there are, sorted by hash."""
    values = np.stack([hashes(texts, seed) for seed in _SEEDS])
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values[:, np.argsort(values[0])])


def count(paths: Sequence[Path]) -> int:
    """How many different texts were put aside in these files."""
    rows = sum(np.load(path, mmap_mode="r").shape[1] for path in paths)
    steps = max(-(-rows // _ROWS_AT_ONCE), 1)
    bounds = [(number << 64) // steps for number in range(steps)]
    upper = [np.uint64(bound) for bound in bounds[1:]]
    total = 0
    for low, high in zip([np.uint64(0), *upper], [*upper, None], strict=True):
        total += _count_between(paths, low, high)
    return total


def _count_between(paths: Sequence[Path], low: np.uint64, high: np.uint64 | None) -> int:
    pieces = []
    for path in paths:
        values = np.load(path, mmap_mode="r")
        end = values.shape[1] if high is None else int(np.searchsorted(values[0], high))
        pieces.append(np.array(values[:, int(np.searchsorted(values[0], low)) : end]))
    if not pieces:
        return 0
    first, second = np.concatenate(pieces, axis=1)
    order = np.argsort(first)
    same, other = np.diff(first[order]) == 0, np.diff(second[order]) != 0
    if (same & other).any():  # two texts agree in 64 bits
        order = np.lexsort((second, first))
        same, other = np.diff(first[order]) == 0, np.diff(second[order]) != 0
    return len(order) - int((same & ~other).sum())
