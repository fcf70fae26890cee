"""Many shoppers side by side are told apart exactly as one by one."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys.clock import MINUTE
from recsys.event import EventType
from recsys.retrieval.anchors import latest_session, latest_sessions, looked_at, open_questions
from recsys.shoppers import Shoppers
from recsys.state import ShopperState
from tests.recsys.by_hand import state

CATEGORY = np.array([0, 1, 1, 2, 0, 3])
ROWS = st.tuples(st.integers(0, 5), st.integers(0, 150), st.sampled_from(EventType))
STATES = st.builds(
    lambda rows, at, hidden: state(*sorted(rows, key=lambda r: r[1]), at=at, unit=MINUTE, exclude=frozenset(hidden)),
    st.lists(ROWS, max_size=15),
    st.integers(0, 160),
    st.sets(st.integers(1, 5), max_size=2),
)
MANY = st.lists(STATES, max_size=5)


def parts(start: np.ndarray, values: np.ndarray) -> list[list[float]]:
    return [values[first:end].tolist() for first, end in pairwise(start)]


@given(MANY)
def test_what_they_acted_on_and_bought_is_each_ones_own(states: list[ShopperState]) -> None:
    shoppers = Shoppers(states)
    for found, own in (
        (shoppers.seen, [one.history.interactions() for one in states]),
        (shoppers.bought, [one.history.purchases() for one in states]),
    ):
        assert parts(found.start, found.item) == [history.item.tolist() for history in own]
        assert parts(found.start, found.time) == [history.time.tolist() for history in own]
        assert parts(found.start, found.type) == [history.type.tolist() for history in own]


@given(MANY)
def test_how_well_they_are_known_and_what_is_hidden_is_each_ones_own(states: list[ShopperState]) -> None:
    shoppers = Shoppers(states)
    assert shoppers.knowledge == [one.knowledge for one in states]
    assert [set(items) for items in parts(shoppers.hidden.start, shoppers.hidden.item)] == [
        one.exclude | one.basket for one in states
    ]


@given(MANY)
def test_their_latest_sessions_are_each_ones_own(states: list[ShopperState]) -> None:
    found = latest_sessions(Shoppers(states))
    own = [latest_session(one) for one in states]
    assert parts(found.start, found.item) == [item.tolist() for item, _ in own]
    np.testing.assert_allclose(found.weight, np.concatenate([np.empty(0), *(weight for _, weight in own)]), rtol=1e-6)


@given(MANY)
def test_what_they_left_open_is_each_ones_own(states: list[ShopperState]) -> None:
    found = looked_at(Shoppers(states), CATEGORY)
    own = [latest_session(open_questions(one, CATEGORY)) for one in states]
    assert parts(found.start, found.item) == [item.tolist() for item, _ in own]
    np.testing.assert_allclose(found.weight, np.concatenate([np.empty(0), *(weight for _, weight in own)]), rtol=1e-6)


def test_some_of_them_are_those_that_were_named() -> None:
    one, two, three = (state((item, 1), at=2) for item in (1, 2, 3))
    assert Shoppers([one, two, three]).chosen([2, 0]).bought.item.tolist() == [3, 1]
