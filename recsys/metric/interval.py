"""Bootstrap intervals that resample shoppers, since one shopper's queries are alike."""

import numpy as np


def shopper_bootstrap(
    value: np.ndarray, shopper: np.ndarray, *, seed: int, draws: int = 1_000, level: float = 0.95
) -> tuple[float, float]:
    """Percentile interval of the mean of `value` [Q], resampling whole shoppers `shopper` [Q] (any integers).
    Without draws both ends are the mean.

    Efron & Tibshirani, "An introduction to the bootstrap" (1993), with shoppers as clusters.
    """
    if draws < 1:
        return float(value.mean()), float(value.mean())
    _, owner = np.unique(shopper, return_inverse=True)
    count = np.bincount(owner).astype(np.float64)
    total = np.bincount(owner, weights=value)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(count), np.full(len(count), 1 / len(count)), size=draws)
    means = (drawn @ total) / (drawn @ count)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
