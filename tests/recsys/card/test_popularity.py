"""Popularity, and what is new after the cut-off."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.card.popularity import gini
from recsys.clock import DAY
from tests.recsys.card.logs import START, act, bought, card

MONDAY = START // DAY


def test_gini_of_equal_shares_is_nothing_and_of_one_taker_nearly_all() -> None:
    assert gini(np.array([3, 3, 3])) == 0.0
    assert gini(np.array([0, 0, 0, 8])) == 0.75
    assert gini(np.array([1, 3])) == 0.25
    assert gini(np.array([], np.int64)) == 0.0


@given(count=st.lists(st.integers(1, 50), min_size=1, max_size=20))
def test_gini_is_half_the_mean_difference_over_the_mean(count: list[int]) -> None:
    differences = np.abs(np.subtract.outer(count, count)).mean()
    assert gini(np.array(count)) == pytest.approx(differences / (2 * np.mean(count)))


def test_the_top_items_and_the_curve() -> None:
    rows = [act(number, item="star") for number in range(6)] + [act(0, item=item) for item in "abcd"]
    found = card(rows).popularity
    assert (found.items, found.interactions, found.five) == (5, 10, 1)
    assert found.top["20%"] == 0.6
    assert found.top["1%"] == 0.6, "of five items, the top 1 % is one item"
    assert found.top["50%"] == pytest.approx(0.8), "2.5 items, rounded up to three"
    assert found.curve == ((0.0, 0.0), (0.2, 0.6), (0.4, 0.7), (0.6, 0.8), (0.8, 0.9), (1.0, 1.0))
    assert found.ranks == ((1, 6), (2, 1), (3, 1), (5, 1)), "evenly spaced on a logarithmic scale"
    assert (found.each.median, found.each.most) == (1.0, 6.0)


def test_impressions_returns_and_searches_do_not_make_popular() -> None:
    rows = [act(0), act(1, item="b", type="impression"), act(2, item="b", type="return"), act(3, item=None)]
    assert card(rows).popularity.interactions == 1


def test_items_and_shoppers_first_seen_at_the_cut_off_or_later_are_cold() -> None:
    early = [act(0, "ann", "a"), act(DAY, "bob", "b"), act(DAY, "bob", "gone")]
    late = [
        act(2 * DAY, "ann", "new"),
        act(3 * DAY, "ann", "a"),
        bought(3 * DAY, "cem", "new"),
        act(4 * DAY, "cem", "b"),
    ]
    found = card(early + late, cutoff=START + 2 * DAY)
    items, shoppers = found.cold_items, found.cold_shoppers
    assert items is not None
    assert shoppers is not None
    assert (items.active, items.new, items.events, items.new_events) == (3, 1, 4, 2)
    assert (items.share, items.event_share) == (1 / 3, 0.5)
    assert items.first_days == {MONDAY: 1, MONDAY + 1: 2, MONDAY + 2: 1}
    assert (shoppers.active, shoppers.new, shoppers.events, shoppers.new_events) == (2, 1, 4, 2)
    assert shoppers.first_days == {MONDAY: 1, MONDAY + 1: 1, MONDAY + 3: 1}


def test_a_cut_off_outside_of_the_log_leaves_all_or_nothing_cold() -> None:
    rows = [act(0), act(DAY, "bob", "b")]
    after, before = card(rows).cold_items, card(rows, cutoff=START).cold_items
    assert after is not None
    assert before is not None
    assert (after.active, after.share, after.event_share) == (0, 0.0, 0.0)
    assert (before.active, before.share, before.event_share) == (2, 1.0, 1.0)
