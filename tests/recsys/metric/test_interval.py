"""Intervals that resample shoppers."""

import numpy as np

from recsys.metric.interval import shopper_bootstrap


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
