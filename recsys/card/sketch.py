"""Quantiles and histograms of any number of values in a fixed few kilobytes."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

_GAMMA = 1.01
_LOG_GAMMA = float(np.log(_GAMMA))
_BUCKETS = 4_000
_MIDDLE = 2.0 / (1.0 + _GAMMA)


@dataclass(frozen=True, slots=True)
class Bars:
    """A histogram: `count` [b] values lie above `edge` [b] and at most at `edge` [b + 1]."""

    edge: tuple[float, ...]
    count: tuple[int, ...]


class Sketch:
    """Counts values on a logarithmic scale, each within 0.5 % of its size; merging and adding commute.

    Values are zero or positive; they are counted in units of `unit`, which is also the smallest that is told from zero.
    Whole numbers below 100 stay exact if `whole`. After Masson, Rim and Lee, "DDSketch: a fast and fully-mergeable
    quantile sketch with relative-error guarantees", https://arxiv.org/abs/1908.10693.
    """

    def __init__(self, *, unit: float = 1.0, whole: bool = False) -> None:
        self._unit = unit
        self._whole = whole
        self._zeros = 0
        self._buckets = np.zeros(_BUCKETS, np.int64)
        self.least = np.inf
        self.most = -np.inf

    @property
    def count(self) -> int:
        """How many values were added."""
        return self._zeros + int(self._buckets.sum())

    def add(self, values: np.ndarray) -> None:
        """Count `values` [N], none of which is negative or NaN."""
        if not len(values):
            return
        self.least = min(self.least, float(values.min()))
        self.most = max(self.most, float(values.max()))
        scaled = values[values >= self._unit] / self._unit
        bucket = np.ceil(np.log(scaled) / _LOG_GAMMA - 1e-9).astype(np.int64)
        self._buckets += np.bincount(np.minimum(bucket, _BUCKETS - 1), minlength=_BUCKETS)
        self._zeros += len(values) - len(scaled)

    def merge(self, other: "Sketch") -> None:
        """Add all that `other`, of the same unit, has counted."""
        self._zeros += other._zeros
        self._buckets += other._buckets
        self.least, self.most = min(self.least, other.least), max(self.most, other.most)

    def quantile(self, share: float) -> float:
        """The value that `share` of all values do not exceed (the lower one of two); NaN without values."""
        if not self.count:
            return float("nan")
        place = max(int(np.ceil(share * self.count)), 1) - 1
        if place < self._zeros:
            return max(0.0, self.least)
        bucket = int(np.searchsorted(np.cumsum(self._buckets), place - self._zeros, side="right"))
        value = float(self._values[bucket])
        return min(max(value, self.least), self.most)

    def share_up_to(self, value: float) -> float:
        """Share of the values that are at most `value`; 0 without values."""
        if not self.count:
            return 0.0
        within = self._zeros + int(self._buckets[self._values <= value * (1 + 1e-9)].sum())
        return within / self.count

    def bars(self, edge: "np.ndarray | tuple[float, ...]") -> Bars:
        """Counts between ascending edges; what lies outside of them counts in the first and the last bar."""
        edges = np.asarray(edge, float)
        inner = edges[1:-1]
        place = np.searchsorted(inner, self._values * (1 - 1e-9), side="left")
        count = np.bincount(place, weights=self._buckets, minlength=len(inner) + 1).astype(np.int64)
        count[0] += self._zeros
        return Bars(tuple(edges.tolist()), tuple(count.tolist()))

    @cached_property
    def _values(self) -> np.ndarray:
        """The value that stands for each bucket."""
        value = self._unit * _GAMMA ** np.arange(_BUCKETS) * _MIDDLE
        value[0] = self._unit
        return np.where(value < 100, np.round(value), value) if self._whole else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """What is told about a distribution: its size, its ends and the quantiles between (within 0.5 %)."""

    count: int
    least: float
    p10: float
    median: float
    p90: float
    p99: float
    most: float
    bars: Bars

    @classmethod
    def of(cls, sketch: Sketch, *, edge: "np.ndarray | tuple[float, ...]", per: float = 1.0) -> "Spread":
        """From a sketch, in units of `per`; `edge` of the bars in the new unit too. Without values, all is 0."""
        found = [sketch.quantile(share) / per for share in (0.1, 0.5, 0.9, 0.99)] if sketch.count else [0.0] * 4
        least, most = (sketch.least / per, sketch.most / per) if sketch.count else (0.0, 0.0)
        bars = sketch.bars(np.asarray(edge, float) * per)
        return cls(
            count=sketch.count,
            least=least,
            p10=found[0],
            median=found[1],
            p90=found[2],
            p99=found[3],
            most=most,
            bars=Bars(tuple(float(e) for e in edge), bars.count),
        )
