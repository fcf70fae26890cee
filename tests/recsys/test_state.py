"""What is known about a shopper: history, basket, session, knowledge."""

import pytest

from recsys.clock import HOUR, MINUTE
from recsys.event import EventType
from recsys.sequence.coding import Coding
from recsys.state import Context, History, Knowledge, ShopperState
from tests.recsys.by_hand import SECOND, catalogue_of, event, history, state

VIEW, ADD, REMOVE, BUY = EventType.VIEW, EventType.ADD_TO_CART, EventType.REMOVE_FROM_CART, EventType.PURCHASE


def test_a_state_holds_only_what_happened_before_it_is_asked() -> None:
    assert state((1, 1), (2, 5), (3, 5), (4, 6), at=5).history.item.tolist() == [1]


def test_events_are_ordered_by_time_and_ties_by_id() -> None:
    events = [event("z", 2, "a"), event("b", 1, "b"), event("a", 2, "c"), event("y", 3, "a"), event("x", 1, None)]
    known = Coding(catalogue_of(2)).of_events(events, before=3 * SECOND)
    assert known.item.tolist() == [2, 0, 0, 1]
    assert known.time.tolist() == [1 * SECOND, 1 * SECOND, 2 * SECOND, 2 * SECOND]


def test_the_last_moment_is_all_that_shares_the_latest_instant() -> None:
    assert history((1, 1), (2, 2), (3, 2)).last_moment().item.tolist() == [2, 3]
    assert len(History.empty().last_moment()) == 0


@pytest.mark.parametrize(
    ("rows", "inside"),
    [
        ([(1, 1, ADD)], {1}),
        ([(1, 1, ADD), (1, 2, REMOVE)], set()),
        ([(1, 1, ADD), (1, 2, BUY)], set()),
        ([(1, 1, ADD), (1, 2, REMOVE), (1, 3, ADD)], {1}),
        ([(1, 1, BUY), (1, 2, ADD)], {1}),
        ([(1, 1, ADD), (2, 2, ADD), (1, 3, BUY)], {2}),
        ([(1, 1, ADD), (1, 2, VIEW)], {1}),
        ([(1, 1, REMOVE), (2, 1, VIEW)], set()),
        ([(0, 1, ADD)], set()),
    ],
)
def test_the_basket_is_what_was_added_and_since_neither_removed_nor_bought(
    rows: list[tuple[int, int, EventType]], inside: set[int]
) -> None:
    assert state(*rows, at=9).basket == inside


def test_a_session_ends_with_a_gap_of_more_than_half_an_hour() -> None:
    seen = history((1, 0), (2, 31), (3, 61), (4, 91), unit=MINUTE)
    assert seen.session_start(100 * MINUTE) == 31 * MINUTE, "thirty minutes still belong together, thirty-one do not"
    assert seen.session_start(121 * MINUTE) == 31 * MINUTE
    assert seen.session_start(122 * MINUTE) == 122 * MINUTE, "nothing is running"
    assert History.empty().session_start(7) == 7


@pytest.mark.parametrize(
    ("rows", "knowledge"),
    [
        ([], Knowledge.COLD),
        ([(1, 50, EventType.SEARCH)], Knowledge.COLD),
        ([(0, 50, VIEW)], Knowledge.COLD),
        ([(1, 50, VIEW)], Knowledge.SESSION),
        ([(1, 40, VIEW), (2, 55, BUY)], Knowledge.SESSION),
        ([(1, 10, VIEW), (2, 55, VIEW)], Knowledge.KNOWN),
        ([(1, 10, VIEW)], Knowledge.KNOWN),
        ([(0, 10, VIEW), (2, 55, VIEW)], Knowledge.SESSION),
    ],
)
def test_knowledge_is_nothing_this_session_or_earlier_ones(
    rows: list[tuple[int, int, EventType]], knowledge: Knowledge
) -> None:
    assert state(*rows, at=60, unit=MINUTE).knowledge is knowledge


def test_more_items_can_be_excluded() -> None:
    one = ShopperState(History.empty(), Context(at=HOUR), frozenset({1}))
    assert one.excluding([2, 3]).exclude == {1, 2, 3}
    assert one.exclude == {1}
