"""How vectors lie: along which directions they spread, how evenly, and whether they all lean to one side."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Space:
    """Principal components (Hotelling, "Analysis of a complex of statistical variables into principal components",
    Journal of Educational Psychology 1933).

    Attributes:
        centre: the mean [D].
        axes: directions of length one [D, D], that of the largest variance first; each leans to its largest component's
            positive side, so that pictures of the same vectors look the same.
        variance: along each axis [D], descending.
    """

    centre: np.ndarray
    axes: np.ndarray
    variance: np.ndarray

    @classmethod
    def of(cls, vectors: np.ndarray) -> "Space":
        """From `vectors` [N, D], N at least 2."""
        centre = vectors.mean(0, dtype=np.float64)
        centred = vectors - centre
        variance, axes = np.linalg.eigh(centred.T @ centred / (len(vectors) - 1))
        variance, axes = np.maximum(variance[::-1], 0), axes.T[::-1]
        lean = np.sign(np.take_along_axis(axes, np.abs(axes).argmax(1)[:, np.newaxis], 1))
        return cls(centre, axes * lean, variance)

    @property
    def shares(self) -> np.ndarray:
        """Of all variance the share along each axis [D]."""
        shares: np.ndarray = self.variance / max(float(self.variance.sum()), np.finfo(np.float64).tiny)
        return shares

    @property
    def dimensions(self) -> float:
        """How many axes of equal variance would spread as much: the participation ratio, D where all are equal and 1
        where all lies on one line (Gao et al., "A theory of multineuronal dimensionality, dynamics and measurement",
        bioRxiv 2017)."""
        return 1 / max(float((self.shares**2).sum()), np.finfo(np.float64).tiny)

    def coordinates(self, vectors: np.ndarray, count: int = 2) -> np.ndarray:
        """Where `vectors` [N, D], these or others, lie along the first axes [N, count]."""
        along: np.ndarray = (vectors - self.centre) @ self.axes[:count].T
        return along


def mean_cosine(vectors: np.ndarray) -> float:
    """Of two different ones of `vectors` [N, D] the cosine, on average over all pairs: 0 where they point everywhere
    alike, above where all lean to one side (Ethayarajh, "How contextual are contextualized word representations?",
    EMNLP 2019, calls that anisotropy). Vectors of length 0 are left out; NaN for fewer than two others."""
    length = np.linalg.norm(vectors, axis=1)
    unit = vectors[length > 0] / length[length > 0, np.newaxis]
    count = len(unit)
    if count < 2:
        return float("nan")
    return float((np.square(unit.sum(0, dtype=np.float64)).sum() - count) / (count * (count - 1)))
