"""What slates look like lately: how much of the catalogue they show, and whether scores moved since the release began.

Recording is one append to a ring; whatever takes work is done when somebody looks.
"""

import math
from collections import deque
from collections.abc import Sequence
from itertools import chain

import numpy as np

BUCKETS = 10


def stability_index(reference: Sequence[float], window: Sequence[float], *, buckets: int = BUCKETS) -> float:
    """How far two samples are apart: the population stability index, sum over buckets of (p - q) ln(p / q).

    The buckets are the quantiles of the reference, so they stay where they are while the window moves; half an
    observation is added to each, so that an empty one is no infinity. Below 0.1 nothing happened, above 0.25 much did;
    that is the usual reading. NaN where a sample is empty.

    Source: Siddiqi, "Credit Risk Scorecards" (2006), system stability; the sum is Jeffreys' divergence (1946).
    """
    if not reference or not window:
        return math.nan
    at = np.linspace(0, 1, buckets + 1)[1:-1]
    edges = np.unique(np.quantile(np.asarray(reference), at, method="inverted_cdf"))  # each is one of the sample
    p, q = (_shares(np.searchsorted(edges, np.asarray(one)), len(edges) + 1) for one in (window, reference))
    return float(np.sum((p - q) * np.log(p / q)))


def _shares(bucket: np.ndarray, buckets: int) -> np.ndarray:
    counts = np.bincount(bucket, minlength=buckets) + 0.5
    return np.asarray(counts / counts.sum())


class SlatesLately:
    """The latest `remembered` slates of one release.

    The best scores of the first `remembered` slates after a release began are what later ones are compared with.
    """

    def __init__(self, remembered: int = 1_000) -> None:
        self._remembered = remembered
        self._items: deque[Sequence[str]] = deque(maxlen=remembered)
        self._scores: deque[float] = deque(maxlen=remembered)
        self._first: list[float] = []

    def show(self, item_ids: Sequence[str], top_score: float) -> None:
        """Take note of one slate."""
        self._items.append(item_ids)
        self._scores.append(top_score)
        if len(self._first) < self._remembered:
            self._first.append(top_score)

    def begin(self) -> None:
        """Forget: another release answers from now on."""
        self._items.clear()
        self._scores.clear()
        self._first = []

    def distinct(self) -> int:
        """How many items stand in the latest slates."""
        return len(set(chain.from_iterable(list(self._items))))

    def drift(self) -> float:
        """How far the best scores of the latest slates are from those of the first; NaN until there are enough."""
        first, lately = list(self._first), list(self._scores)
        return stability_index(first, lately) if len(first) == self._remembered else math.nan
