"""A range of numbers, open or closed at either end."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Bounds as in JSON; None where there is none. Bounds are rounded to the precision of what they are held against,
    so that an item of 19.99 lies in the range up to 19.99."""

    gte: float | None = None
    gt: float | None = None
    lte: float | None = None
    lt: float | None = None

    def holds(self, values: np.ndarray) -> np.ndarray:
        """Which of `values` [N] lie within, [N] bool; NaN never does."""
        tests = ((np.greater_equal, self.gte), (np.greater, self.gt), (np.less_equal, self.lte), (np.less, self.lt))
        inside: np.ndarray = ~np.isnan(values)
        with np.errstate(over="ignore"):  # what is too large for a price is infinite, which compares as it should
            for holds, bound in tests:
                if bound is not None:
                    inside &= holds(values, values.dtype.type(bound))
        return inside

    def to_json(self) -> dict[str, float]:
        """The bounds that there are."""
        return {name: bound for name in BOUNDS if (bound := getattr(self, name)) is not None}


BOUNDS = ("gte", "gt", "lte", "lt")
