"""Prices within their category, against the shopper's habit and against the list price."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.feature.past import Past
from recsys.feature.price import (
    DISCOUNTS,
    HABIT_BORDERS,
    LEAST_PURCHASES,
    SHOPPER_BORDERS,
    PriceHabit,
    UsualPrices,
    discount_class,
    level_class,
    medians,
    steps,
)
from tests.recsys.feature.plain import LOGS, Columns, PlainEvent, before

NAN = float("nan")


def usual() -> UsualPrices:
    """Items 1 and 2 of category 1 cost 2 and 4, item 3 of category 2 costs 10, item 4 of no category costs 5."""
    return UsualPrices.learn(
        item=np.array([1, 1, 1, 2, 0]),
        price=np.array([1.0, 2.0, 9.0, 3.0, 50.0], np.float32),
        list_price=np.array([NAN, NAN, NAN, 4.0, NAN], np.float32),
        catalogue_price=np.array([NAN, 7.0, 7.0, 10.0, 5.0]),
        category=np.array([0, 1, 1, 2, 0]),
    )


def test_a_usual_price_is_the_median_of_list_prices_and_the_catalogue_fills_in() -> None:
    learnt = usual()
    assert learnt.item[1:].tolist() == [2.0, 4.0, 10.0, 5.0]
    assert np.isnan(learnt.item[0])
    assert learnt.level[1:].tolist() == [2.0, 10.0], "the lower of the two middles 2 and 4"
    assert np.isnan(learnt.level[0])


def test_a_ratio_is_the_price_over_the_median_of_its_category() -> None:
    ratio = usual().ratio(np.array([2, 2, 3, 4, 0]), np.array([3.0, NAN, 5.0, 5.0, 5.0], np.float32))
    assert ratio[:3].tolist() == [1.5, 2.0, 0.5]
    assert np.isnan(ratio[3:]).all(), "no category, no ratio"


def test_nothing_known_is_no_price() -> None:
    nothing = np.empty(0)
    learnt = UsualPrices.learn(
        item=nothing.astype(np.int64),
        price=nothing,
        list_price=nothing,
        catalogue_price=np.full(3, NAN),
        category=np.zeros(3, np.int64),
    )
    assert np.isnan(learnt.ratio(np.array([1, 2]), np.array([1.0, NAN]))).all()


@pytest.mark.parametrize(
    ("ratio", "expected"), [(NAN, 0), (0.1, 1), (0.25, 2), (0.9, 5), (1.0, 6), (1.05, 7), (1.99, 9), (4.0, 11)]
)
def test_levels_are_unknown_or_from_far_below_to_far_above_the_median(ratio: float, expected: int) -> None:
    assert level_class(np.array([ratio])).tolist() == [expected]


@pytest.mark.parametrize(
    ("price", "list_price", "expected"),
    [
        (NAN, 2.0, 0),
        (2.0, NAN, 0),
        (2.0, 0.0, 0),
        (2.0, 2.0, 1),
        (3.0, 2.0, 1),
        (1.9, 2.0, 2),
        (1.7, 2.0, 3),
        (1.5, 2.0, 4),
        (1.1, 2.0, 5),
        (0.9, 2.0, 6),
        (0.0, 2.0, 6),
    ],
)
def test_a_discount_is_unknown_none_or_in_classes_up_to_more_than_half(
    price: float, list_price: float, expected: int
) -> None:
    found = discount_class(np.array([price], np.float32), np.array([list_price], np.float32))
    assert found.tolist() == [expected]
    assert expected < DISCOUNTS


def test_a_doubling_is_sixteen_steps() -> None:
    assert steps(np.array([1.0, 2.0, 0.5, 1.02, 1.03, 1e9, 1e-9])).tolist() == [0, 16, -16, 0, 1, 128, -128]


def test_two_purchases_are_no_habit_and_three_are() -> None:
    ratio, bought = np.array([2.0, 2.0, 2.0, 2.0, NAN]), np.array([True, True, False, True, True])
    habit = PriceHabit.of(Past(np.zeros(2, np.int64), np.array([3, 5])), ratio=ratio, bought=bought)
    assert habit.count.tolist() == [2, 3]
    assert habit.shopper_class().tolist() == [0, 9], "twice the median is far above it"
    assert habit.habit_class(np.array([2.0, 2.0])).tolist() == [0, 5], "and as usual for this shopper"
    assert habit.habit_class(np.array([1.0, 1.0])).tolist() == [0, 2], "while the median is 16 steps below"
    assert habit.habit_class(np.array([NAN, NAN])).tolist() == [0, 0]


@given(groups=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=20))
def test_medians_are_those_of_sorting(groups: list[tuple[int, int]]) -> None:
    found = medians(np.array([g for g, _ in groups], np.int64), np.array([float(v) for _, v in groups]), 4)
    for group in range(4):
        values = sorted(v for g, v in groups if g == group)
        assert np.isnan(found[group]) if not values else found[group] == values[(len(values) - 1) // 2]


@given(log=LOGS, lookback=st.integers(1, 9))
def test_every_event_gets_the_habit_that_a_loop_finds(log: list[list[PlainEvent]], lookback: int) -> None:
    columns, prices = Columns.of(log, unit=1, lookback=lookback), usual()
    ratio = prices.ratio(columns.item, columns.price)
    habit = PriceHabit.of(columns.past, ratio=ratio, bought=columns.bought)
    of_shopper, of_event = habit.shopper_class().tolist(), habit.habit_class(ratio).tolist()
    row = 0
    for shopper in log:
        for event in shopper:
            known = [step_of(one, prices) for one in before(shopper, event.time, lookback=lookback) if one.bought]
            paid = [step for step in known if step is not None]
            own = step_of(event, prices)
            if len(paid) < LEAST_PURCHASES:
                assert (of_shopper[row], of_event[row]) == (0, 0)
            else:
                mean = Fraction(sum(paid), len(paid))
                assert of_shopper[row] == 1 + sum(mean >= int(border) for border in SHOPPER_BORDERS)
                expected = 0 if own is None else 1 + sum(own - mean >= int(border) for border in HABIT_BORDERS)
                assert of_event[row] == expected
            row += 1


def step_of(event: PlainEvent, prices: UsualPrices) -> int | None:
    """The step of an event's price, None where it has none."""
    ratio = prices.ratio(np.array([event.item]), np.array([event.price]))
    return None if np.isnan(ratio[0]) else round(16 * float(np.log2(ratio[0])))
