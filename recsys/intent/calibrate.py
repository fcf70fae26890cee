"""Calibration: what turns a head's outputs into probabilities that can be believed. All in float64."""

from collections.abc import Callable

import numpy as np

LEAST_OUTCOMES = 20
"""With fewer of either outcome nothing is fitted."""
_LEAST_SCALE = 1e-3
_MOST_LOG_RATE = 50.0
_STEPS = 100
_Slope = tuple[float, np.ndarray, np.ndarray]
"""A loss, and its first and second derivative by each of the numbers it is summed over [N]."""


def platt(logit: np.ndarray, outcome: np.ndarray, weight: np.ndarray | None = None) -> tuple[float, float]:
    """Scale and shift such that sigmoid(scale * logit + shift) is calibrated; (1, 0) where too little is known.

    Platt, "Probabilistic outputs for support vector machines" (1999), with his smoothed targets, found by damped Newton
    steps as in Lin, Lin & Weng, "A note on Platt's probabilistic outputs for support vector machines" (Machine Learning
    2007, https://doi.org/10.1007/s10994-007-5018-6). The scale stays positive, so that no order is turned round.

    Args:
        logit: [N].
        outcome: 0 or 1 [N].
        weight: what each outcome counts for [N]; None for all alike.
    """
    happened = np.asarray(outcome, bool)
    yes, no = int(happened.sum()), int((~happened).sum())
    if min(yes, no) < LEAST_OUTCOMES:
        return 1.0, 0.0
    target = np.where(happened, (yes + 1) / (yes + 2), 1 / (no + 2))
    counts = np.ones(len(target)) if weight is None else np.asarray(weight, np.float64)

    def at(said: np.ndarray) -> _Slope:
        chance = sigmoid(said)
        loss = float((counts * (softplus(said) - target * said)).sum())
        return loss, counts * (chance - target), counts * chance * (1 - chance)

    given = np.asarray(logit, np.float64)
    level, spread = float(given.mean()), float(given.std()) or 1.0
    scale, shift = _fitted((given - level) / spread, at)  # far from zero, Newton's steps would lose their way
    if scale < _LEAST_SCALE:
        rate = float(np.average(target, weights=counts))
        scale, shift = _LEAST_SCALE, float(np.log(rate / (1 - rate)))
    return scale / spread, shift - scale * level / spread


def rates(log_rate: np.ndarray, exposure: np.ndarray, came: np.ndarray) -> tuple[float, float]:
    """Scale and shift such that exp(scale * log_rate + shift) is what comes per unit of exposure, on average; (1, 0)
    where too little came. The likelihood is that of a Poisson regression; its scale stays positive.

    Args:
        log_rate: [N].
        exposure: above 0 [N].
        came: 1 where it came, else 0 [N].
    """
    if came.sum() < LEAST_OUTCOMES:
        return 1.0, 0.0

    def at(said: np.ndarray) -> _Slope:
        expected = np.exp(np.minimum(said, _MOST_LOG_RATE)) * exposure
        return float((expected - came * said).sum()), expected - came, expected

    given = np.asarray(log_rate, np.float64)
    scale, shift = _fitted(given, at)
    if scale >= _LEAST_SCALE:
        return scale, shift
    return _LEAST_SCALE, float(np.log(came.sum() / (np.exp(_LEAST_SCALE * given) * exposure).sum()))


def temperature(logit: np.ndarray, wanted: np.ndarray) -> float:
    """What the logits are multiplied with, one over the temperature, so that their softmax is calibrated.

    Guo et al., "On calibration of modern neural networks" (ICML 2017, https://arxiv.org/abs/1706.04599). The loss is
    convex in this factor; its slope is followed to zero by halving, between 1/20 and 20.

    Args:
        logit: [N, C].
        wanted: mean logit of what happened, of each row [N]: one class, or several with equal share.
    """
    if len(logit) < LEAST_OUTCOMES:
        return 1.0
    low, high = -np.log(20.0), np.log(20.0)
    for _ in range(40):
        middle = (low + high) / 2
        expected = (softmax(logit * np.exp(middle)) * logit).sum(1)
        low, high = (low, middle) if (expected - wanted).mean() > 0 else (middle, high)
    return float(np.exp((low + high) / 2))


def sigmoid(logit: np.ndarray) -> np.ndarray:
    """Elementwise, without overflow."""
    chance: np.ndarray = 0.5 * (1 + np.tanh(0.5 * np.asarray(logit, np.float64)))
    return chance


def softplus(logit: np.ndarray) -> np.ndarray:
    """log(1 + exp(logit)), elementwise, without overflow."""
    return np.logaddexp(0.0, np.asarray(logit, np.float64))


def softmax(logit: np.ndarray) -> np.ndarray:
    """Over the last axis."""
    raised = np.exp(logit - logit.max(-1, keepdims=True))
    shares: np.ndarray = raised / raised.sum(-1, keepdims=True)
    return shares


def _fitted(logit: np.ndarray, at: Callable[[np.ndarray], _Slope]) -> tuple[float, float]:
    """Scale and shift of the least loss, which is convex: Newton steps, halved while they lead upwards."""
    given = np.stack([logit, np.ones(len(logit))], axis=1)
    found = np.array([1.0, 0.0])
    value, slope, curve = at(given @ found)
    for _ in range(_STEPS):
        step = np.linalg.solve((given.T * curve) @ given + 1e-9 * np.eye(2), given.T @ slope)
        length = 1.0
        while length > 1e-6 and not at(given @ (found - length * step))[0] <= value:
            length /= 2
        found, before = found - length * step, value
        value, slope, curve = at(given @ found)
        if before - value < 1e-10 * len(given):
            break
    return float(found[0]), float(found[1])
