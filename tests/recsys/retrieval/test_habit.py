"""Learnt habit, on a shop whose habits are known."""

import numpy as np
import pytest

from recsys.clock import DAY
from recsys.event import EventType
from recsys.retrieval.habit import Habit
from tests.recsys.by_hand import histories, state
from tests.recsys.retrieval.test_repurchase import CATEGORY, DURABLE, EXTRA, STAPLE, shop


@pytest.fixture(scope="module")
def habit() -> Habit:
    source = Habit()
    source.fit(shop(), items=4, until=290 * DAY, category=CATEGORY)
    return source


def test_a_staple_comes_before_what_was_bought_once(habit: Habit) -> None:
    shopper = state((DURABLE, 0), *((STAPLE, 7 * week) for week in range(6)), at=42, unit=DAY)
    found = habit.candidates(shopper)
    assert found.item.tolist() == [STAPLE, DURABLE]
    assert found.score[0] > 10 * found.score[1], "one comes every week, the other never"


def test_only_the_shoppers_own_purchases_are_proposed(habit: Habit) -> None:
    assert habit.candidates(state((EXTRA, 1), (STAPLE, 1, EventType.VIEW), (0, 1), at=2)).item.tolist() == [EXTRA]
    assert len(habit.candidates(state(at=2))) == 0
    assert len(habit.candidates(state((EXTRA, 1), (STAPLE, 2), at=3), 1)) == 1


def test_nothing_from_the_cut_on_is_learnt_from() -> None:
    one, two = Habit(), Habit()
    one.fit(shop(), items=4, until=200 * DAY, category=CATEGORY)
    two.fit(shop().before(200 * DAY), items=4, until=200 * DAY, category=CATEGORY)
    for name, values in one.arrays().items():
        np.testing.assert_array_equal(values, two.arrays()[name], err_msg=name)


def test_where_nothing_was_ever_taken_twice_the_latest_purchase_comes_first_with_a_small_chance() -> None:
    source = Habit()
    source.fit(histories([(1, 1), (2, 2)], [(3, 3)], unit=DAY), items=4, until=9 * DAY, category=CATEGORY)
    found = source.candidates(state((1, 1), (2, 60), at=120, unit=DAY))
    assert found.item.tolist() == [2, 1]
    assert found.score.max() < 0.05


def test_a_log_without_purchases_teaches_nothing_and_breaks_nothing() -> None:
    source = Habit()
    source.fit(histories([(1, 1, EventType.VIEW)], unit=DAY), items=4, until=9 * DAY, category=CATEGORY)
    assert len(source.candidates(state((1, 1, EventType.VIEW), at=2))) == 0
    assert np.isfinite(source.candidates(state((1, 1), at=2)).score).all()


def test_habits_without_exception_are_learnt_without_overflow() -> None:
    """Item 1 always comes again and item 2 never: no logistic curve is steep enough."""
    shoppers = [[(2, 0), *((1, 7 * week) for week in range(1, 30))] for _ in range(30)]
    source = Habit()
    source.fit(histories(*shoppers, unit=DAY), items=4, until=210 * DAY, category=CATEGORY)
    found = source.candidates(state((2, 0), (1, 7), (1, 14), at=21, unit=DAY))
    assert found.item.tolist() == [1, 2]
    assert np.isfinite(found.score).all()


def test_what_was_learnt_can_be_handed_to_the_constructor(habit: Habit) -> None:
    again = Habit(**habit.settings(), **habit.arrays())  # type: ignore[arg-type]
    shopper = state((DURABLE, 0), (STAPLE, 7), at=14, unit=DAY)
    assert again.candidates(shopper).score.tolist() == habit.candidates(shopper).score.tolist()
