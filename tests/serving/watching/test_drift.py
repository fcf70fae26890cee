"""Drift of scores and coverage of slates, by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.watching.drift import SlatesLately, stability_index

SCORES = st.lists(st.floats(-1e3, 1e3, allow_nan=False), min_size=1, max_size=40)


def test_two_buckets_worked_by_hand() -> None:
    # Half of the reference is up to 2: two are, two are above; of the window none and four. With half of one more in
    # each: shares .5 and .5 against .1 and .9.
    index = stability_index([1, 2, 3, 4], [3, 4, 4, 4], buckets=2)
    assert index == pytest.approx((0.1 - 0.5) * math.log(0.1 / 0.5) + (0.9 - 0.5) * math.log(0.9 / 0.5))


def test_without_observations_there_is_no_index() -> None:
    assert math.isnan(stability_index([], [1.0]))
    assert math.isnan(stability_index([1.0], []))


@given(reference=SCORES, window=SCORES)
def test_it_is_never_negative_and_zero_between_a_sample_and_itself(reference: list[float], window: list[float]) -> None:
    assert stability_index(reference, window) >= 0
    assert stability_index(reference, reference) == 0


@given(reference=SCORES, window=SCORES, shift=st.integers(-100, 100))
def test_scores_that_all_move_together_do_not_drift_apart(
    reference: list[float], window: list[float], shift: int
) -> None:
    rounded, other = [round(one) for one in reference], [round(one) for one in window]
    moved = stability_index([one + shift for one in rounded], [one + shift for one in other])
    assert moved == pytest.approx(stability_index(rounded, other))


def test_scores_that_jump_stand_out_and_a_new_release_begins_anew() -> None:
    lately = SlatesLately(remembered=100)
    for number in range(100):
        lately.show(("a", "b"), number / 100)
    assert lately.drift() == 0
    for number in range(100):
        lately.show((f"item-{number % 7}",), 5 + number / 100)
    assert lately.drift() > 1
    assert lately.distinct() == 7
    lately.begin()
    assert math.isnan(lately.drift())
    assert lately.distinct() == 0
