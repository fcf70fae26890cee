"""Bootstrap intervals and paired tests that resample shoppers, since one shopper's questions are alike.

Efron & Tibshirani, "An introduction to the bootstrap" (1993), with shoppers as clusters.
"""

from dataclasses import dataclass

import numpy as np

_DRAWN_AT_ONCE = 2_000_000


def resampled_means(value: np.ndarray, shopper: np.ndarray, *, seed: int, draws: int) -> np.ndarray:
    """Means [draws, M] of the columns of `value` [Q, M] under redrawing whole shoppers `shopper` [Q] (any integers).

    Every column sees the same draws, so that differences of columns are paired.
    """
    _, owner = np.unique(shopper, return_inverse=True)
    shoppers = int(owner.max()) + 1
    columns = [np.bincount(owner, weights=column) for column in value.T]
    total = np.stack([*columns, np.bincount(owner).astype(np.float64)], axis=1)
    rng = np.random.default_rng(seed)
    sums = np.empty((draws, total.shape[1]))
    step = max(1, _DRAWN_AT_ONCE // shoppers)
    for begin in range(0, draws, step):
        count = min(step, draws - begin)
        drawn = rng.integers(0, shoppers, (count, shoppers)) + np.arange(count)[:, np.newaxis] * shoppers
        times = np.bincount(drawn.ravel(), minlength=count * shoppers).reshape(count, shoppers)
        sums[begin : begin + count] = times.astype(np.float64) @ total
    return np.asarray(sums[:, :-1] / sums[:, -1:])


def shopper_intervals(
    value: np.ndarray, shopper: np.ndarray, *, seed: int, draws: int = 1_000, level: float = 0.95
) -> list[tuple[float, float]]:
    """Percentile intervals of the mean of every column of `value` [Q, M]; without draws both ends are the mean."""
    if draws < 1:
        return [(mean, mean) for mean in value.mean(0).tolist()]
    means = resampled_means(value, shopper, seed=seed, draws=draws)
    ends = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return [(low, high) for low, high in ends.T.tolist()]


def shopper_bootstrap(
    value: np.ndarray, shopper: np.ndarray, *, seed: int, draws: int = 1_000, level: float = 0.95
) -> tuple[float, float]:
    """Percentile interval of the mean of `value` [Q], resampling whole shoppers `shopper` [Q] (any integers).
    Without draws both ends are the mean."""
    return shopper_intervals(value[:, np.newaxis], shopper, seed=seed, draws=draws, level=level)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """How much better one way of ranking is than another, on the same questions.

    Attributes:
        difference: mean of the differences, question by question.
        low, high: ends of its 95 % interval.
        p_value: chance of a difference at least as far from nothing if there were none in truth; two-sided.
    """

    difference: float
    low: float
    high: float
    p_value: float


def paired_test(ours: np.ndarray, theirs: np.ndarray, shopper: np.ndarray, *, seed: int, draws: int = 10_000) -> Paired:
    """Test the mean of `ours` - `theirs` [Q] against nothing, resampling shoppers.

    The null distribution is that of the redrawn means about their own centre; the p-value counts the draws at least as
    far out as what was seen, plus one. Sakai, "Evaluating evaluation metrics based on the bootstrap" (SIGIR 2006).
    """
    each = ours - theirs
    difference = float(each.mean())
    means = resampled_means(each[:, np.newaxis], shopper, seed=seed, draws=draws)[:, 0]
    low, high = np.quantile(means, [0.025, 0.975]).tolist()
    beyond = np.abs(means - difference) >= abs(difference) * (1 - 1e-12)
    p_value = (int(np.count_nonzero(beyond)) + 1) / (draws + 1)
    return Paired(difference=difference, low=low, high=high, p_value=p_value)
