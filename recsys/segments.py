"""Many sorted segments in one flat array: searched all at once."""

import numpy as np


def bisect_segments(
    values: np.ndarray, low: np.ndarray, high: np.ndarray, wanted: np.ndarray, *, right: bool = False
) -> np.ndarray:
    """For each query [Q] the first row in [low, high) whose value is not below `wanted`; `high` if there is none.

    `values` [N] ascend within each segment. With `right`, the first row whose value is above `wanted`.
    """
    low, high = low.astype(np.int64), high.astype(np.int64)
    while True:
        open_ = low < high
        if not open_.any():
            return low
        middle = np.where(open_, (low + high) // 2, 0)
        below = values[middle] <= wanted if right else values[middle] < wanted
        low = np.where(open_ & below, middle + 1, low)
        high = np.where(open_ & ~below, middle, high)
