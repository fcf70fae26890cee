"""Distinct pairs and repurchases."""

import pytest

from recsys.card.pairs import Pairs, PairsMeasure
from recsys.clock import DAY, HOUR
from tests.recsys.card.logs import Row, act, bought, card, pieces


def pairs(*rows: Row, most: int = 1_000) -> Pairs:
    crowd, days = pieces(rows)
    measure = PairsMeasure(crowd, most=most)
    for day in days:
        measure.add(day.interactions())
    return measure.result()


def test_a_pair_counts_once_however_often_it_meets() -> None:
    found = pairs(act(0), act(1), bought(DAY), act(0, "bob"), act(0, item="b"), act(0, item="c", type="impression"))
    assert (found.distinct, found.sampled) == (3, 1.0)


def test_days_until_the_same_item_is_bought_again() -> None:
    coffee = [bought(day * DAY, item="coffee") for day in (0, 7, 21)]
    found = pairs(*coffee, act(3 * DAY, item="coffee"), bought(0, "bob", "coffee"), bought(DAY, "bob", "tea"))
    assert (found.purchases, found.repeats) == (5, 2)
    assert found.repeat_share == 0.4
    assert found.gap_days is not None
    assert (found.gap_days.least, found.gap_days.most) == (7.0, 14.0)


def test_two_lines_of_an_item_in_one_moment_are_one_purchase() -> None:
    found = pairs(bought(0), bought(0), bought(HOUR))
    assert (found.purchases, found.repeats) == (2, 1)
    assert found.gap_days is not None
    assert found.gap_days.median == pytest.approx(1 / 24, rel=0.006)


def test_beyond_the_limit_a_sample_of_shoppers_is_looked_at_in_full() -> None:
    rows = [bought(day * DAY, f"s{shopper}", item) for shopper in range(400) for day in (0, 10) for item in "abcde"]
    exact, found = pairs(*rows, most=10_000), pairs(*rows, most=500)
    assert (exact.sampled, exact.distinct, exact.purchases, exact.repeats) == (1.0, 2_000, 4_000, 2_000)
    assert 0.05 < found.sampled <= 0.25
    assert found.distinct == 2_000, "every shopper has five pairs, so any sample tells the truth"
    assert found.purchases == 4_000 * found.sampled
    assert found.repeat_share == 0.5
    assert found.gap_days is not None
    assert (found.gap_days.count, found.gap_days.most) == (found.repeats, 10.0)


def test_density_is_the_share_of_pairs_that_met() -> None:
    rows = [act(0, "ann", "a"), act(0, "ann", "b"), act(0, "bob", "a"), act(1, "bob", "a"), act(0, "cem", None)]
    assert card(rows).density == 3 / (3 * 2)
    assert card().density == 0.0
    assert card(rows, order_only=True).pairs.gap_days is None
