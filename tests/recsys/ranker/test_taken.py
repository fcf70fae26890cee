"""What a shopper took, by hand and against going through the purchases."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.clock import DAY, HOUR
from recsys.ranker.taken import Taken

HALF_LIVES = np.array([10.0])
PURCHASES = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 30)), max_size=12)


def taken(*purchases: tuple[int, int], asked: list[int], day: int) -> Taken:
    key, time = (np.array([row[column] for row in purchases], np.int64) for column in (0, 1))
    return Taken.of(key, time * DAY, asked=np.array(asked), at=day * DAY, half_lives=HALF_LIVES)


def test_counts_elapsed_times_and_intervals_of_an_item_bought_thrice() -> None:
    found = taken((1, 0), (1, 10), (1, 30), (2, 5), asked=[1, 2, 3], day=40)
    assert found.count.tolist() == [3, 1, 0]
    assert found.elapsed_days.tolist() == [10, 35, 0]
    assert found.interval_days.tolist() == [15, 0, 0]
    assert found.halved[0].tolist() == pytest.approx([1 / 16 + 1 / 8 + 1 / 2, 2**-3.5, 0])


def test_two_lines_of_one_basket_count_once() -> None:
    assert taken((1, 3), (1, 3), asked=[1], day=9).count.tolist() == [1]


def test_the_shortest_time_is_an_hour() -> None:
    found = Taken.of(np.array([1]), np.array([5]), asked=np.array([1]), at=6, half_lives=HALF_LIVES)
    assert found.elapsed_days.tolist() == [HOUR / DAY]


def test_due_is_the_log_of_elapsed_over_interval_and_nothing_for_what_was_bought_once() -> None:
    count, elapsed, interval, due, ever, often, halved = taken(
        (1, 0), (1, 10), (2, 5), asked=[1, 2, 3], day=30
    ).columns()
    assert count.tolist() == pytest.approx([math.log(3), math.log(2), 0])
    assert elapsed.tolist() == pytest.approx([math.log(20), math.log(25), math.log(400)])
    assert interval.tolist() == pytest.approx([math.log(10), math.log(400), math.log(400)])
    assert due.tolist() == pytest.approx([math.log(2), 0, 0])
    assert (ever.tolist(), often.tolist()) == ([1, 1, 0], [1, 0, 0])
    assert halved.tolist() == pytest.approx([math.log(1 / 8 + 1 / 4 + 1e-3), math.log(2**-2.5 + 1e-3), math.log(1e-3)])


def test_who_never_bought_took_nothing() -> None:
    found = taken(asked=[1, 2], day=9)
    assert found.count.tolist() == [0, 0]
    assert found.halved.shape == (1, 2)
    assert all(np.isfinite(column).all() for column in found.columns())


@given(PURCHASES)
def test_the_counts_are_those_of_going_through_the_purchases(purchases: list[tuple[int, int]]) -> None:
    found = taken(*purchases, asked=[1, 2, 3, 4, 5], day=40)
    for place, key in enumerate([1, 2, 3, 4, 5]):
        days = sorted({day for what, day in purchases if what == key})
        assert found.count[place] == len(days)
        assert found.elapsed_days[place] == (40 - days[-1] if days else 0)
        assert found.interval_days[place] == pytest.approx(np.mean(np.diff(days)) if len(days) > 1 else 0)
        assert found.halved[0, place] == pytest.approx(sum(0.5 ** ((40 - day) / 10) for day in days))
