"""Intervals that resample shoppers."""

import math

import numpy as np
import pytest

from recsys.metric.interval import paired_test, shopper_bootstrap, shopper_intervals


def test_the_same_seed_gives_the_same_interval_which_holds_the_mean():
    rng = np.random.default_rng(0)
    value, shopper = rng.random(200), rng.integers(0, 40, 200)
    low, high = shopper_bootstrap(value, shopper, seed=1)
    assert low < value.mean() < high
    assert (low, high) == shopper_bootstrap(value, shopper, seed=1) != shopper_bootstrap(value, shopper, seed=2)


def test_a_shopper_who_asks_often_widens_the_interval():
    value = np.repeat([0.0, 1.0] * 5, 20)
    clustered = shopper_bootstrap(value, np.repeat(np.arange(10), 20), seed=0)
    independent = shopper_bootstrap(value, np.arange(200), seed=0)
    assert clustered[1] - clustered[0] > 3 * (independent[1] - independent[0])


def test_the_mean_is_over_queries_not_over_shoppers():
    value, shopper = np.array([1.0] * 99 + [0.0]), np.array([0] * 99 + [1])
    assert shopper_bootstrap(value, shopper, seed=0, draws=0) == (0.99, 0.99)


def test_one_shopper_alone_leaves_no_room():
    assert shopper_bootstrap(np.array([0.2, 0.4]), np.array([7, 7]), seed=0) == (
        0.30000000000000004,
        0.30000000000000004,
    )


def test_the_interval_of_fifty_fair_coins_is_that_of_the_binomial():
    value = np.array([0.0, 1.0] * 25)
    low, high = shopper_bootstrap(value, np.arange(50), seed=0, draws=20_000)
    assert (round(low, 2), round(high, 2)) == (0.36, 0.64)


def test_columns_are_redrawn_together_so_that_each_gets_the_interval_it_would_get_alone():
    rng = np.random.default_rng(0)
    value, shopper = rng.random((60, 2)), rng.integers(0, 20, 60)
    together = shopper_intervals(value, shopper, seed=3)
    assert together == [shopper_bootstrap(value[:, column], shopper, seed=3) for column in range(2)]


def test_more_shoppers_than_are_drawn_at_once_change_nothing_but_the_memory(monkeypatch):
    value, shopper = np.random.default_rng(0).random(50), np.arange(50)
    whole = shopper_bootstrap(value, shopper, seed=0)
    monkeypatch.setattr("recsys.metric.interval._DRAWN_AT_ONCE", 70)
    assert shopper_bootstrap(value, shopper, seed=0) == pytest.approx(whole, abs=1e-12)


def test_the_same_answers_differ_by_nothing_and_surely_so():
    value = np.random.default_rng(0).random(30)
    found = paired_test(value, value, np.arange(30), seed=0, draws=500)
    assert (found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)


def test_a_small_lead_on_every_question_is_sure_although_the_questions_differ_much():
    value = np.random.default_rng(0).random(40)
    found = paired_test(value + 0.01, value, np.arange(40), seed=0, draws=999)
    assert found.difference == pytest.approx(0.01)
    assert found.low == pytest.approx(0.01)
    assert found.p_value == 1 / 1000


def test_the_p_value_of_coin_tosses_is_that_of_the_binomial():
    each = np.array([1.0] * 59 + [-1.0] * 41)
    found = paired_test(each, np.zeros(100), np.arange(100), seed=0, draws=20_000)
    exact = sum(math.comb(100, k) * 0.59**k * 0.41 ** (100 - k) for k in range(101) if abs(k - 59) >= 9)
    assert found.difference == pytest.approx(0.18)
    assert found.p_value == pytest.approx(exact, abs=0.005)
    assert found.low < 0 < found.high
    again = paired_test(-each, np.zeros(100), np.arange(100), seed=0, draws=20_000)
    assert again.p_value == found.p_value
