"""Quantiles in little memory."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.card.sketch import Sketch, Spread

NUMBERS = st.lists(st.floats(0, 1e12), min_size=1, max_size=50)


def sketch(*values: float, whole: bool = False, unit: float = 1.0) -> Sketch:
    out = Sketch(whole=whole, unit=unit)
    out.add(np.array(values))
    return out


def test_whole_numbers_below_a_hundred_are_exact() -> None:
    for number in range(100):
        assert sketch(0, number, 1_000, whole=True).quantile(0.5) == number


def test_the_lower_of_two_middles_is_the_median() -> None:
    assert sketch(1, 2, 3, 4, whole=True).quantile(0.5) == 2
    assert sketch(5, whole=True).quantile(0.99) == 5
    assert np.isnan(Sketch().quantile(0.5))


@given(values=NUMBERS, share=st.floats(0.01, 1))
def test_a_quantile_is_within_half_a_percent_of_the_true_one(values: list[float], share: float) -> None:
    true = sorted(values)[max(int(np.ceil(share * len(values))), 1) - 1]
    found = sketch(*values, unit=0.001).quantile(share)
    assert found == pytest.approx(true, rel=0.0051, abs=0.001)


@given(first=NUMBERS, second=NUMBERS)
def test_merging_is_the_same_as_adding_all_to_one(first: list[float], second: list[float]) -> None:
    merged = sketch(*first)
    merged.merge(sketch(*second))
    together = sketch(*second, *first)
    assert merged.count == len(first) + len(second)
    assert [merged.quantile(q) for q in (0.1, 0.5, 1)] == [together.quantile(q) for q in (0.1, 0.5, 1)]


def test_bars_count_what_lies_up_to_their_upper_edge_and_keep_what_lies_outside() -> None:
    bars = sketch(0, 1, 2, 3, 10, 70, whole=True).bars((0.5, 2.5, 5.5, 20.5))
    assert bars.edge == (0.5, 2.5, 5.5, 20.5)
    assert bars.count == (3, 1, 2), "0, 1, 2; 3; 10 and 70"


def test_share_up_to_a_value() -> None:
    found = sketch(0, 5, 10, 20, whole=True)
    assert [found.share_up_to(value) for value in (0, 4, 5, 19, 20)] == [0.25, 0.25, 0.5, 0.75, 1.0]
    assert Sketch().share_up_to(1) == 0.0


def test_a_spread_is_told_in_another_unit() -> None:
    minutes = Spread.of(sketch(60, 60, 120, 600), edge=(0, 1.5, 20), per=60)
    assert (minutes.count, minutes.least, minutes.most) == (4, 1.0, 10.0)
    assert minutes.median == pytest.approx(1.0, rel=0.005)
    assert minutes.p90 == pytest.approx(10.0, rel=0.005)
    assert minutes.bars.count == (2, 2)
    assert Spread.of(Sketch(), edge=(0, 1)).median == 0.0
