"""How well probabilities are ranked, and how far they can be believed. All in float64.

Shapes: N forecasts, each with an outcome: 0 or 1, or a share between where what happened is several things at once.
"""

import numpy as np


def area_under_curve(score: np.ndarray, outcome: np.ndarray) -> float:
    """The chance that one that happened was scored above one that did not; a tie counts half. NaN if all or none did.

    Hanley & McNeil, "The meaning and use of the area under a receiver operating characteristic curve" (Radiology 1982):
    the Mann-Whitney statistic over mean ranks.

    Args:
        score: any numbers [N], higher for likelier.
        outcome: 0 or 1 [N].
    """
    happened = np.asarray(outcome, bool)
    yes, no = int(happened.sum()), int((~happened).sum())
    if not yes or not no:
        return float("nan")
    _, place, count = np.unique(np.asarray(score, np.float64), return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(count) - (count - 1) / 2
    return float((mean_rank[place][happened].sum() - yes * (yes + 1) / 2) / (yes * no))


def expected_calibration_error(probability: np.ndarray, outcome: np.ndarray, *, bins: int = 15) -> float:
    """How far what was said lies from what happened, on average; 0 is right, NaN where nothing was said.

    Naeini, Cooper & Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning" (AAAI 2015), over bins
    of equal mass as in Nixon et al., "Measuring calibration in deep learning" (CVPR workshops 2019,
    https://arxiv.org/abs/1904.01685). Equal probabilities always share a bin, so the order of forecasts is nothing.

    Args:
        probability: what was said [N].
        outcome: what happened, 0 to 1 [N].
        bins: at most so many, of about N / bins forecasts each.
    """
    said, came = np.asarray(probability, np.float64), np.asarray(outcome, np.float64)
    if not len(said):
        return float("nan")
    ascending = np.sort(said)
    number = np.searchsorted(ascending, said) * bins // len(said)
    gaps = np.bincount(number, weights=said - came, minlength=bins)
    return float(np.abs(gaps).sum() / len(said))


def brier(probability: np.ndarray, outcome: np.ndarray) -> float:
    """Mean squared distance of what was said [N] from what happened [N]; NaN where nothing was said.

    Brier, "Verification of forecasts expressed in terms of probability" (Monthly Weather Review 1950), for one event.
    """
    if not len(probability):
        return float("nan")
    return float(np.mean((np.asarray(probability, np.float64) - np.asarray(outcome, np.float64)) ** 2))
