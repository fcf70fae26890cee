"""AUC, ECE and Brier score, worked by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.metric.calibration import area_under_curve, brier, expected_calibration_error

FORECASTS = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), st.integers(0, 1)), max_size=40)


def test_auc_counts_the_pairs_in_the_right_order() -> None:
    # .8 beats .7 and .1, .4 beats .1 only: 3 of 4 pairs.
    assert area_under_curve(np.array([0.1, 0.4, 0.7, 0.8]), np.array([0, 1, 0, 1])) == 3 / 4


def test_a_tie_counts_half() -> None:
    # .5 against .5 and .2: half a pair and a whole one of two.
    assert area_under_curve(np.array([0.5, 0.5, 0.2]), np.array([1, 0, 0])) == 1.5 / 2
    assert area_under_curve(np.full(7, 0.3), np.array([1, 0, 0, 1, 0, 0, 0])) == 0.5


def test_auc_of_one_outcome_alone_is_no_number() -> None:
    assert math.isnan(area_under_curve(np.array([0.1, 0.2]), np.array([1, 1])))
    assert math.isnan(area_under_curve(np.empty(0), np.empty(0)))


@given(FORECASTS)
def test_auc_is_the_share_of_pairs_one_by_one(forecasts: list[tuple[float, int]]) -> None:
    score, outcome = np.array([f[0] for f in forecasts]), np.array([f[1] for f in forecasts])
    pairs = [(a > b) + (a == b) / 2 for a in score[outcome == 1] for b in score[outcome == 0]]
    found = area_under_curve(score, outcome)
    assert math.isnan(found) if not pairs else found == pytest.approx(np.mean(pairs), abs=1e-12)


def test_ece_is_the_mean_distance_of_bins_of_equal_mass() -> None:
    # Bins {.1, .2} and {.6, .9}: said .15, came .5; said .75, came 1.
    said, came = np.array([0.9, 0.1, 0.6, 0.2]), np.array([1, 0, 1, 1])
    assert expected_calibration_error(said, came, bins=2) == pytest.approx((0.35 + 0.25) / 2)


def test_ece_within_a_bin_lets_too_much_and_too_little_cancel() -> None:
    assert expected_calibration_error(np.array([0.0, 1.0]), np.array([1, 0]), bins=1) == 0
    assert expected_calibration_error(np.array([0.0, 1.0]), np.array([1, 0]), bins=2) == 1


def test_a_rate_said_of_all_is_off_by_its_distance_from_what_came() -> None:
    assert expected_calibration_error(np.full(10, 0.3), np.repeat([1, 0], [5, 5])) == pytest.approx(0.2)


def test_an_outcome_may_be_a_share() -> None:
    assert expected_calibration_error(np.array([0.5, 0.5]), np.array([0.25, 0.75]), bins=1) == 0


@given(FORECASTS.filter(len), st.randoms(use_true_random=False))
def test_the_order_of_forecasts_changes_no_ece(forecasts: list[tuple[float, int]], random: object) -> None:
    shuffled = list(forecasts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, two = (
        expected_calibration_error(np.array([f[0] for f in some]), np.array([f[1] for f in some]))
        for some in (forecasts, shuffled)
    )
    assert one == pytest.approx(two, abs=1e-12)


def test_brier_is_the_mean_square() -> None:
    assert brier(np.array([0.2, 0.9]), np.array([0, 1])) == pytest.approx((0.04 + 0.01) / 2)


def test_nothing_said_is_no_number() -> None:
    assert math.isnan(expected_calibration_error(np.empty(0), np.empty(0)))
    assert math.isnan(brier(np.empty(0), np.empty(0)))


def test_single_precision_is_reckoned_in_double() -> None:
    said = np.full(3_000_000, 0.1, np.float32)
    assert brier(said, np.zeros(len(said))) == pytest.approx(float(np.float32(0.1)) ** 2, rel=1e-12)
