"""Habit without learning: counts, halved by age."""

import numpy as np
import pytest

from recsys.clock import DAY
from recsys.event import EventType
from recsys.retrieval.buy_again import BuyAgain
from recsys.slate import Reason
from tests.recsys.by_hand import state


def test_each_purchase_counts_half_after_each_half_life() -> None:
    shopper = state((1, 0), (1, 90), (2, 90), (0, 90), at=180, unit=DAY)
    found = BuyAgain(half_life_days=90).candidates(shopper)
    assert found.item.tolist() == [1, 2]
    assert found.score.tolist() == pytest.approx([0.25 + 0.5, 0.5])


def test_without_a_half_life_it_is_the_plain_count() -> None:
    source = BuyAgain(half_life_days=None)
    found = source.candidates(state((3, 0), (1, 5), (3, 9), at=180, unit=DAY))
    assert (found.item.tolist(), found.score.tolist()) == ([3, 1], [2.0, 1.0])
    assert source.name == "buy_again_frequency"


def test_only_purchases_count_and_ties_go_to_the_smaller_index() -> None:
    shopper = state((3, 1), (2, 1), (1, 1, EventType.VIEW), (1, 1, EventType.ADD_TO_CART), at=2)
    assert BuyAgain().candidates(shopper).item.tolist() == [2, 3]
    assert BuyAgain().candidates(shopper, 1).item.tolist() == [2]


def test_the_reason_counts_the_purchases() -> None:
    shopper = state((3, 0), (1, 5), (3, 9), at=180, unit=DAY)
    assert BuyAgain().reasons(shopper, np.array([3])) == [Reason("you bought it 2 times")]
    assert BuyAgain().reasons(shopper, np.array([1])) == [Reason("you bought it before")]


def test_a_shopper_who_never_bought_gets_nothing() -> None:
    assert len(BuyAgain().candidates(state((1, 1, EventType.VIEW), at=2))) == 0
