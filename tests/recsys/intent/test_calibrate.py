"""Calibration finds what the logits were distorted by."""

import numpy as np
import pytest

from recsys.intent.calibrate import platt, rates, sigmoid, softmax, softplus, temperature


def drawn(logit: np.ndarray, seed: int = 0) -> np.ndarray:
    """Outcomes that the logits foretell rightly."""
    return (np.random.default_rng(seed).random(len(logit)) < sigmoid(logit)).astype(int)


def test_platt_scaling_finds_scale_and_shift() -> None:
    true = np.random.default_rng(1).normal(size=40_000) - 1
    scale, shift = platt((true + 0.7) / 0.4, drawn(true))
    assert scale == pytest.approx(0.4, abs=0.02)
    assert shift == pytest.approx(-0.7, abs=0.05)


def test_logits_that_say_nothing_become_the_rate() -> None:
    outcome = np.repeat([1, 0], [250, 750])
    scale, shift = platt(np.full(1_000, 5.0), outcome)
    assert sigmoid(np.array(scale * 5.0 + shift)) == pytest.approx(251 / 1_002 * 1, abs=1e-3)


def test_logits_that_are_the_wrong_way_round_become_nearly_the_rate_and_keep_their_order() -> None:
    true = np.random.default_rng(2).normal(size=2_000)
    outcome = drawn(true)
    scale, shift = platt(-true, outcome)
    said = sigmoid(scale * -true + shift)
    assert scale > 0
    np.testing.assert_allclose(said, outcome.mean(), atol=2e-3)


def test_outcomes_that_are_told_apart_without_fail_give_no_certainty() -> None:
    scale, shift = platt(np.repeat([-1.0, 1.0], 30), np.repeat([0, 1], 30))
    assert sigmoid(np.array(scale + shift)) == pytest.approx(31 / 32, abs=1e-4), "Platt's target, not 1"


def test_too_few_of_one_outcome_fit_nothing() -> None:
    assert platt(np.arange(100.0), np.repeat([0, 1], [81, 19])) == (1.0, 0.0)
    assert temperature(np.ones((19, 3)), np.ones(19)) == 1.0


def test_rates_are_found_from_what_came_in_the_time_that_passed() -> None:
    rng = np.random.default_rng(4)
    true = rng.normal(size=60_000) * 0.5 - 2
    exposure = rng.uniform(0.1, 1.0, len(true))
    wait = rng.exponential(np.exp(-true))
    came = (wait < exposure).astype(float)
    scale, shift = rates((true - 0.3) / 0.5, np.minimum(wait, exposure), came)
    assert scale == pytest.approx(0.5, abs=0.05)
    assert shift == pytest.approx(0.3, abs=0.1)


def test_temperature_finds_how_much_too_sure_the_logits_are() -> None:
    rng = np.random.default_rng(3)
    true = rng.normal(size=(20_000, 5)) * 1.5
    chosen = (softmax(true).cumsum(1) < rng.random((len(true), 1))).sum(1)
    logit = true * 2.5
    assert temperature(logit, logit[np.arange(len(logit)), chosen]) == pytest.approx(1 / 2.5, rel=0.03)


def test_nothing_overflows() -> None:
    far = np.array([-1_000.0, 0.0, 1_000.0])
    assert sigmoid(far).tolist() == [0.0, 0.5, 1.0]
    assert softplus(far).tolist() == [0.0, np.log(2), 1_000.0]
    assert softmax(far).tolist() == [0.0, 0.0, 1.0]
