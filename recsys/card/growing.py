"""Arrays that grow as more ids become known."""

import numpy as np


def grown(array: np.ndarray, size: int, *, fill: int = 0) -> np.ndarray:
    """`array` itself if it holds `size` values, or a copy with room for half as many more, the new ones `fill`."""
    if len(array) >= size:
        return array
    out = np.full(max(size, len(array) + len(array) // 2, 16), fill, array.dtype)
    out[: len(array)] = array
    return out
