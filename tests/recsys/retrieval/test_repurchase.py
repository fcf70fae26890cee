"""Intervals by hand, and what is learnt from shops whose habits are known."""

from functools import cache

import numpy as np
import pytest

from recsys.clock import DAY
from recsys.event import EventType
from recsys.retrieval.repurchase import ELAPSED_DAYS, INTERVAL_DAYS, Repurchase, category_intervals
from recsys.sequence.histories import Histories
from tests.recsys.by_hand import Row, histories, state

STAPLE, DURABLE, EXTRA = 1, 2, 3
CATEGORY = np.array([0, 1, 2, 3])


def test_the_usual_interval_is_exposure_over_repeats_with_a_prior_of_the_whole_shop() -> None:
    log = histories([(1, 0), (1, 10), (1, 10), (2, 20)], [(1, 40)], unit=DAY)
    exposure = {1: 100 + 60, 2: 80}
    usual = (240 + 365) / (1 + 1)
    found = category_intervals(log, np.array([0, 1, 2]), until=100 * DAY)
    assert found.tolist() == pytest.approx(
        [5 * usual / 5, (exposure[1] + 5 * usual) / (1 + 5), (exposure[2] + 5 * usual) / 5]
    )


def test_what_was_never_bought_again_is_exposure_that_counts() -> None:
    once = category_intervals(histories([(1, 0), (1, 10)], unit=DAY), np.array([0, 1]), until=20 * DAY)
    many = category_intervals(
        histories([(1, 0), (1, 10)], *([(1, 0)] for _ in range(50)), unit=DAY), np.array([0, 1]), until=20 * DAY
    )
    assert many[1] > 2 * once[1], "fifty who never came back make the interval longer"


@cache
def shop() -> Histories:
    """Many shoppers for 40 weeks: a staple every week, a durable bought once, an extra now and then."""
    rng = np.random.default_rng(0)
    shoppers: list[list[Row]] = []
    for _ in range(400):
        begin, durable = int(rng.integers(7)), int(rng.integers(40))
        rows: list[Row] = []
        for week in range(40):
            rows += [(STAPLE, begin + 7 * week)]
            rows += [(DURABLE, begin + 7 * week)] if week == durable else []
            rows += [(EXTRA, begin + 7 * week + 2)] if rng.random() < 0.3 else []
        shoppers.append(rows)
    return histories(*shoppers, unit=DAY)


@pytest.fixture(scope="module")
def model() -> Repurchase:
    return Repurchase.learn(shop(), category=CATEGORY, until=290 * DAY, window=60 * DAY, seed=0)


def chance(model: Repurchase, item: int, days_ago: float) -> float:
    shopper = state((item, 0), at=int(days_ago * 24), unit=DAY // 24)
    return float(model.chances(shopper, np.array([item]))[0])


def test_a_weekly_staple_has_an_interval_of_about_a_week_and_a_durable_a_long_one(model: Repurchase) -> None:
    assert model.usual_days(STAPLE) == pytest.approx(7, rel=0.1)
    assert model.usual_days(DURABLE) > 250


def test_a_staple_is_less_likely_two_days_after_than_when_it_is_due(model: Repurchase) -> None:
    assert chance(model, STAPLE, 2) < 0.5 * chance(model, STAPLE, 7)


def test_a_durable_sinks_deeper_than_a_staple_that_is_due(model: Repurchase) -> None:
    assert chance(model, DURABLE, 7) < 0.5 * chance(model, STAPLE, 7)


def test_what_was_never_bought_keeps_its_whole_chance(model: Repurchase) -> None:
    shopper = state((STAPLE, 0), (DURABLE, 0, EventType.VIEW), at=1, unit=DAY)
    assert model.chances(shopper, np.array([DURABLE, EXTRA])).tolist() == [1.0, 1.0]
    assert model.chances(state(at=1), np.array([STAPLE])).tolist() == [1.0]


def test_the_latest_purchase_counts(model: Repurchase) -> None:
    shopper = state((STAPLE, 0), (EXTRA, 3), (STAPLE, 5), at=7, unit=DAY)
    assert model.chances(shopper, np.array([STAPLE]))[0] == chance(model, STAPLE, 2)


def test_multipliers_are_relative_to_the_best_class(model: Repurchase) -> None:
    assert model.multiplier.shape == (len(INTERVAL_DAYS) + 1, len(ELAPSED_DAYS) + 1)
    assert model.multiplier.max() == 1.0
    assert model.multiplier.min() > 0.0


def test_nothing_from_the_cut_on_is_learnt_from(model: Repurchase) -> None:
    early = shop().before(200 * DAY)
    one, two = (
        Repurchase.learn(log, category=CATEGORY, until=200 * DAY, window=60 * DAY, seed=0) for log in (early, shop())
    )
    np.testing.assert_array_equal(one.multiplier, two.multiplier)
    np.testing.assert_array_equal(one.interval_days, two.interval_days)


def test_a_log_without_purchases_teaches_nothing_and_breaks_nothing() -> None:
    views = histories([(1, 1, EventType.VIEW), (1, 5, EventType.VIEW)], unit=DAY)
    made = Repurchase.learn(views, category=CATEGORY, until=9 * DAY, window=5 * DAY, seed=0)
    assert made.multiplier.tolist() == np.ones((5, 7)).tolist()
