"""What the latest session was about."""

import pytest

from recsys.clock import MINUTE
from recsys.event import EventType
from recsys.retrieval.anchors import latest_session
from tests.recsys.by_hand import state

VIEW, ADD, BUY = EventType.VIEW, EventType.ADD_TO_CART, EventType.PURCHASE


def test_each_moment_weighs_four_fifths_of_the_next_and_a_basket_weighs_alike() -> None:
    item, weight = latest_session(state((1, 1, VIEW), (2, 2, ADD), (3, 2, VIEW), (4, 3, BUY), at=9))
    assert item.tolist() == [1, 2, 3, 4]
    assert weight.tolist() == pytest.approx([0.64 * 1, 0.8 * 2, 0.8 * 1, 2])


def test_a_session_that_is_over_still_is_the_latest() -> None:
    item, _ = latest_session(state((1, 0, VIEW), (2, 40, VIEW), at=999, unit=MINUTE))
    assert item.tolist() == [2]


def test_nothing_was_done_so_there_is_nothing_to_start_from() -> None:
    item, weight = latest_session(state((1, 0, EventType.IMPRESSION), at=9))
    assert (len(item), len(weight)) == (0, 0)
