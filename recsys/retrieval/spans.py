"""Many slices of a flat array at once."""

import numpy as np


def rows_of_spans(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows of the N slices [low, high), one after the other [R], and which slice each row is of [R]."""
    size = high - low
    owner = np.repeat(np.arange(len(size)), size)
    return np.arange(len(owner)) + np.repeat(low - (np.cumsum(size) - size), size), owner
