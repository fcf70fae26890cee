"""Histograms for the hot path: recording is one append, whatever takes work is done for a thousand values at once.

A recording of `prometheus_client.Histogram` takes most of a microsecond (a lock and a search among buckets), and an
answer makes eight. The latest values stay at hand as well, for percentiles of what happened just now.
"""

import threading
from collections import deque
from collections.abc import Iterable, Sequence

import numpy as np
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

_AT_ONCE = 1_024


class Series:
    """Values of one kind; any thread may record, any may look."""

    def __init__(self, bounds: np.ndarray, *, remembered: int) -> None:
        self._bounds = bounds
        self._remembered = remembered
        self._new: deque[float] = deque()
        self._folding = threading.Lock()
        self._counts = np.zeros(len(bounds) + 1, np.int64)
        self._sum = 0.0
        self._latest: list[float] = []

    def observe(self, value: float) -> None:
        """Record a value."""
        new = self._new
        new.append(value)
        if len(new) >= _AT_ONCE:
            self._fold()

    def latest(self) -> list[float]:
        """The latest values, oldest first."""
        self._fold()
        return list(self._latest)

    def cumulative(self) -> tuple[list[int], float]:
        """How many values are at most each bound, all values last; and their sum."""
        self._fold()
        return np.cumsum(self._counts).tolist(), self._sum

    def _fold(self) -> None:
        with self._folding:
            values = [self._new.popleft() for _ in range(len(self._new))]
            if values:
                places = np.searchsorted(self._bounds, values)
                self._counts += np.bincount(places, minlength=len(self._counts))
                self._sum += sum(values)
                self._latest = (self._latest + values)[-self._remembered :]


class Distribution(Collector):
    """A histogram as Prometheus knows it, one series for each combination of labels.

    Args:
        name, documentation: of the family; `labels` are the names of its labels.
        bounds: the buckets' upper bounds, ascending; values above the last are counted, too.
        remembered: how many of the latest values each series keeps.
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        *,
        bounds: Sequence[float],
        registry: CollectorRegistry,
        labels: tuple[str, ...] = (),
        remembered: int = 1_000,
    ) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = labels
        self._bounds = np.asarray(bounds, np.float64)
        self._remembered = remembered
        self._series: dict[tuple[str, ...], Series] = {}
        if not labels:
            self.of()
        registry.register(self)

    def of(self, *values: str) -> Series:
        """The series with these values of the labels."""
        return self._series.setdefault(values, Series(self._bounds, remembered=self._remembered))

    def collect(self) -> Iterable[Metric]:
        """The family as it is now."""
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        names = [*map(floatToGoString, self._bounds.tolist()), "+Inf"]
        for values, series in list(self._series.items()):
            counts, total = series.cumulative()
            family.add_metric(values, list(zip(names, counts, strict=True)), total)
        yield family
