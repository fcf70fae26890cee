"""A view steers the answer to its category, also where the log holds purchases only."""

import numpy as np
import pytest

from recsys.clock import DAY, MINUTE
from recsys.event import EventType
from recsys.retrieval.category_popular import CategoryPopular
from recsys.slate import Reason
from recsys.state import ShopperState
from tests.recsys.by_hand import histories, state

VIEW, ADD, BUY = EventType.VIEW, EventType.ADD_TO_CART, EventType.PURCHASE
CATEGORY = np.array([0, 1, 1, 2, 2, 0])
"""Items 1 and 2 are bread, 3 and 4 are milk, 5 has no category."""
LOG = histories([(1, 1), (1, 2), (1, 3), (2, 4), (3, 5), (5, 6)], unit=DAY)


def source() -> CategoryPopular:
    made = CategoryPopular(days=90)
    made.fit(LOG, items=6, until=50 * DAY, category=CATEGORY)
    return made


def found(*rows: tuple[int, int, EventType], at: int) -> dict[int, float]:
    answer = source().candidates(state(*rows, at=at, unit=MINUTE))
    return dict(zip(answer.item.tolist(), answer.score.tolist(), strict=True))


def test_a_view_brings_its_category_by_share_of_the_categorys_sales() -> None:
    assert found((2, 1, VIEW), at=2) == pytest.approx({1: 3 / 4, 2: 1 / 4})


def test_two_categories_share_the_answer_by_what_their_events_say() -> None:
    assert found((3, 1, VIEW), (2, 1, VIEW), at=2) == pytest.approx({3: 1 / 2, 1: 3 / 4 / 2, 2: 1 / 4 / 2})


def test_a_category_is_settled_by_what_goes_into_the_basket_until_it_is_looked_at_again() -> None:
    assert found((1, 1, VIEW), (2, 2, ADD), at=3) == {}
    assert found((1, 1, VIEW), (2, 2, ADD), (1, 3, VIEW), at=4) == pytest.approx({1: 3 / 4, 2: 1 / 4})


def test_what_was_looked_at_and_then_bought_is_done_with() -> None:
    assert found((1, 1, VIEW), (3, 2, VIEW), (3, 3, BUY), at=4) == pytest.approx({1: 3 / 4, 2: 1 / 4})


def test_purchases_alone_say_nothing_here() -> None:
    assert found((1, 1, BUY), at=2) == {}


def test_a_session_that_is_over_says_nothing() -> None:
    assert found((1, 1, VIEW), at=31) != {}
    assert found((1, 1, VIEW), at=32) == {}


def test_items_without_a_category_lead_nowhere() -> None:
    assert found((5, 1, VIEW), at=2) == {}


def test_what_nobody_took_in_the_window_is_not_proposed() -> None:
    assert 4 not in found((3, 1, VIEW), at=2)


def test_the_reason_names_the_latest_item_of_the_category_that_was_looked_at() -> None:
    shopper: ShopperState = state((2, 1, VIEW), (1, 2, VIEW), (3, 3, VIEW), at=4, unit=MINUTE)
    assert source().reasons(shopper, np.array([2])) == [Reason("because you looked at {title}", 1)]


def test_what_was_learnt_can_be_handed_to_the_constructor() -> None:
    first = source()
    again = CategoryPopular(**first.settings(), **first.arrays())  # type: ignore[arg-type]
    shopper = state((2, 1, VIEW), at=2, unit=MINUTE)
    assert again.candidates(shopper).item.tolist() == first.candidates(shopper).item.tolist() == [1, 2]
