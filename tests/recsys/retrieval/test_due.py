"""What is due, by hand: item 1 is milk, item 2 soap, item 3 a pan."""

import numpy as np
import pytest

from recsys.clock import DAY
from recsys.errors import ConfigError
from recsys.event import EventType
from recsys.retrieval.due import Due
from recsys.slate import Reason
from tests.recsys.by_hand import Row, histories, state

CATEGORY = np.array([0, 1, 2, 3])
MILK: list[Row] = [(1, day) for day in range(0, 91, 7)]
SOAP: list[Row] = [(2, day) for day in range(0, 91, 30)]


def fitted(**settings: float) -> Due:
    source = Due(**settings)  # type: ignore[arg-type]
    log: list[list[Row]] = [sorted([*MILK, *SOAP, (3, 0)], key=lambda row: row[1])] * 5
    source.fit(histories(*log, unit=DAY), items=4, until=91 * DAY, category=CATEGORY)
    return source


def shopper(*rows: Row) -> list[Row]:
    return sorted(rows, key=lambda row: row[1])


def best(*rows: Row, at: int) -> list[int]:
    """In a shop where intervals are kept to: of shape 4."""
    return fitted(shape=4).candidates(state(*shopper(*rows), at=at, unit=DAY)).item.tolist()


def test_what_comes_every_week_is_due_after_a_week_and_what_comes_every_month_after_a_month() -> None:
    weekly: list[Row] = [(1, 60), (1, 67), (1, 74)]
    monthly: list[Row] = [(2, 14), (2, 44), (2, 74)]
    assert best(*weekly, *monthly, at=81) == [1, 2]
    assert best(*weekly, (1, 81), (1, 88), (1, 95), (1, 102), *monthly, at=103) == [2, 1]


def test_the_chance_is_that_of_an_interval_of_shape_two_over_the_time_between_moments() -> None:
    """Bought on days 0 and 10: the interval is 10 days where the category does not count, and it is day 15; two moments
    lie 10 days apart, with the crowd's gap for the one that is still running."""
    source = fitted(prior_repeats=0.0, shape=2)
    gap = (10 + float(source.arrays()["gap_days"][0])) / 2
    rate, since = 2 / 10, 5
    hazard = rate * rate * since / (1 + rate * since)
    found = source.candidates(state((1, 0), (1, 10), at=15, unit=DAY))
    assert found.score.tolist() == pytest.approx([1 - np.exp(-hazard * gap)], rel=1e-5)


def test_right_after_a_purchase_little_is_due_and_what_is_long_overdue_was_given_up() -> None:
    source = fitted(shape=4)
    milk: list[Row] = [(1, 0), (1, 7), (1, 14)]
    chance = [float(source.candidates(state(*milk, at=day, unit=DAY)).score[0]) for day in (15, 21, 28, 300)]
    assert chance[0] < chance[1] / 4
    assert chance[1] < chance[2]
    assert chance[3] < chance[1]


def test_an_item_bought_once_has_the_interval_of_its_category() -> None:
    assert best((1, 0), (2, 0), (3, 0), at=20) == [1, 2, 3]


def test_without_memory_every_day_has_the_same_chance() -> None:
    source = fitted(shape=1)
    milk: list[Row] = [(1, 0), (1, 10)]
    found = [float(source.candidates(state(*milk, at=day, unit=DAY)).score[0]) for day in (11, 18)]
    assert found[0] == pytest.approx(found[1])


def test_the_reason_tells_the_usual_interval() -> None:
    asked = state((1, 0), (1, 7), (1, 15), (2, 15), at=20, unit=DAY)
    assert fitted().reasons(asked, np.array([1, 2])) == [
        Reason("you buy it about every 8 days"),
        Reason("you bought it before"),
    ]


def test_only_own_purchases_are_due_and_nothing_before_it_learnt() -> None:
    assert len(fitted().candidates(state((1, 0, EventType.VIEW), at=9, unit=DAY))) == 0
    assert len(Due().candidates(state((1, 0), at=9, unit=DAY))) == 0
    with pytest.raises(TypeError, match="weights"):
        Due(weights=np.zeros(1))
    with pytest.raises(ConfigError, match="shape=0"):
        Due(shape=0)
