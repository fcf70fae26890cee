"""What a shopper took, by hand and against going through the purchases."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.clock import DAY, HOUR
from recsys.ranker.taken import LONG_DAYS, taken
from recsys.retrieval.best import Sums

HALF_LIVES = np.array([10.0])
PURCHASES = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 30)), max_size=12)


def told(*purchases: tuple[int, int], asked: list[int], at: int, unit: int = DAY) -> tuple[np.ndarray, np.ndarray]:
    """Facts by column [7, N], and the halved counts."""
    ordered = sorted(purchases, key=lambda row: row[1])
    key, time = (np.array([row[column] for row in ordered], np.int64) for column in (0, 1))
    room, facts = Sums(9), np.empty((len(asked), 7), np.float32)
    halved = taken(
        facts, key, time * unit, np.array(asked), at * unit, HALF_LIVES * DAY, room.place, room.stamp, room.tick
    )
    return facts.T, halved


def test_counts_elapsed_times_and_intervals_of_an_item_bought_thrice() -> None:
    (count, elapsed, interval, *_), halved = told((1, 0), (1, 10), (1, 30), (2, 5), asked=[1, 2, 3], at=40)
    assert np.expm1(count).tolist() == pytest.approx([3, 1, 0])
    assert np.exp(elapsed).tolist() == pytest.approx([10, 35, LONG_DAYS], rel=1e-5)
    assert np.exp(interval).tolist() == pytest.approx([15, LONG_DAYS, LONG_DAYS], rel=1e-5)
    assert halved.tolist() == pytest.approx([1 / 16 + 1 / 8 + 1 / 2, 2**-3.5, 0])


def test_two_lines_of_one_basket_count_once() -> None:
    (count, *_), _ = told((1, 3), (1, 3), asked=[1], at=9)
    assert count.tolist() == pytest.approx([math.log(2)])


def test_the_shortest_time_is_an_hour() -> None:
    (_, elapsed, *_), _ = told((1, 5), asked=[1], at=6, unit=1)
    assert elapsed.tolist() == pytest.approx([math.log(HOUR / DAY)])


def test_due_is_the_log_of_elapsed_over_interval_and_nothing_for_what_was_bought_once() -> None:
    (count, elapsed, interval, due, ever, often, halved), _ = told((1, 0), (1, 10), (2, 5), asked=[1, 2, 3], at=30)
    assert count.tolist() == pytest.approx([math.log(3), math.log(2), 0])
    assert elapsed.tolist() == pytest.approx([math.log(20), math.log(25), math.log(400)])
    assert interval.tolist() == pytest.approx([math.log(10), math.log(400), math.log(400)])
    assert due.tolist() == pytest.approx([math.log(2), 0, 0])
    assert (ever.tolist(), often.tolist()) == ([1, 1, 0], [1, 0, 0])
    assert halved.tolist() == pytest.approx([math.log(1 / 8 + 1 / 4 + 1e-3), math.log(2**-2.5 + 1e-3), math.log(1e-3)])


def test_who_never_bought_took_nothing() -> None:
    facts, halved = told(asked=[1, 2], at=9)
    assert facts[0].tolist() == [0, 0]
    assert halved.tolist() == [0, 0]
    assert np.isfinite(facts).all()


@given(PURCHASES)
def test_the_counts_are_those_of_going_through_the_purchases(purchases: list[tuple[int, int]]) -> None:
    (count, elapsed, interval, *_), halved = told(*purchases, asked=[1, 2, 3, 4, 5], at=40)
    for place, key in enumerate([1, 2, 3, 4, 5]):
        days = sorted({day for what, day in purchases if what == key})
        gap = np.mean(np.diff(days)) if len(days) > 1 else LONG_DAYS
        assert np.expm1(count[place]) == pytest.approx(len(days), rel=1e-5)
        assert np.exp(elapsed[place]) == pytest.approx(40 - days[-1] if days else LONG_DAYS, rel=1e-5)
        assert np.exp(interval[place]) == pytest.approx(gap, rel=1e-5)
        assert halved[place] == pytest.approx(sum(0.5 ** ((40 - day) / 10) for day in days))
