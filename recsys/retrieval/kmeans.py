"""Clusters of points: Lloyd's iterations from a k-means++ start.

Lloyd, "Least squares quantization in PCM" (1982); Arthur & Vassilvitskii, "k-means++: the advantages of careful
seeding" (SODA 2007, https://theory.stanford.edu/~sergei/papers/kMeansPP-soda.pdf).
"""

import numpy as np

_CHUNK = 16_384


def clustered(points: np.ndarray, clusters: int, *, rng: np.random.Generator, rounds: int = 20) -> np.ndarray:
    """Centres [K, D] float32 of `points` [N, D]; K is `clusters`, or the number of distinct points if that is smaller.

    A cluster that loses all of its points starts again at the point that lies furthest from its centre."""
    centres = _spread(points, clusters, rng)
    for _ in range(rounds if len(centres) else 0):
        member, gap = nearest(points, centres)
        size = np.bincount(member, minlength=len(centres))
        belongs = (member == np.arange(len(centres))[:, np.newaxis]).astype(np.float32)
        moved = belongs @ points / np.maximum(size, 1)[:, np.newaxis].astype(np.float32)
        lost = np.flatnonzero(size == 0)
        moved[lost] = points[np.argsort(-gap, kind="stable")[: len(lost)]]
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres


def nearest(points: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest of `centres` [K, D] to each of `points` [N, D]: its number [N] int64 and squared distance [N]."""
    member, gap = np.empty(len(points), np.int64), np.empty(len(points), np.float32)
    length = (centres**2).sum(1)
    for first in range(0, len(points), _CHUNK):
        part = points[first : first + _CHUNK]
        apart = length - 2 * part @ centres.T
        chosen = apart.argmin(1)
        member[first : first + _CHUNK] = chosen
        gap[first : first + _CHUNK] = apart[np.arange(len(part)), chosen] + (part**2).sum(1)
    return member, np.maximum(gap, 0)


def _spread(points: np.ndarray, clusters: int, rng: np.random.Generator) -> np.ndarray:
    """First centres: each next one is drawn with a chance that grows with the squared distance to those before."""
    if not len(points):
        return np.empty((0, points.shape[1]), np.float32)
    chosen = [points[rng.integers(len(points))]]
    gap = ((points - chosen[0]) ** 2).sum(1)
    while len(chosen) < clusters and gap.max() > 0:
        chosen.append(points[rng.choice(len(points), p=gap / gap.sum())])
        gap = np.minimum(gap, ((points - chosen[-1]) ** 2).sum(1))
    return np.array(chosen, np.float32)
