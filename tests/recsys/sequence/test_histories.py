"""Histories as flat arrays."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys.event import EventType
from recsys.sequence.histories import Histories
from tests.recsys.by_hand import SECOND, catalogue_of, event_table, histories

LOGS = st.lists(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), min_size=1, max_size=6), max_size=4)


def test_a_table_becomes_one_slice_for_each_shopper() -> None:
    rows = [
        {"event_id": "1", "occurred_at": 1, "item_id": "b", "quantity": 2.0, "price": 3.5},
        {"event_id": "2", "occurred_at": 2, "item_id": "unheard-of"},
        {"event_id": "3", "occurred_at": 1, "type": "search"},
    ]
    table = event_table(rows).append_column("shopper", [["ann", "ann", "bob"]])
    log = Histories.of_table(table, catalogue_of(3))
    assert log.shopper.to_pylist() == ["ann", "bob"]
    assert [len(one) for one in log] == [2, 1]
    assert log.events.item.tolist() == [2, 0, 0]
    assert log.events.type.tolist() == [EventType.PURCHASE.code] * 2 + [EventType.SEARCH.code]
    assert log.events.quantity.tolist() == [2.0, 1.0, 1.0]
    assert log.events.price[0] == 3.5
    assert np.isnan(log.events.price[1:]).all()


def test_before_drops_shoppers_that_have_nothing_left() -> None:
    log = histories([(1, 5)], [(2, 1), (3, 2), (4, 3)]).before(3 * SECOND)
    assert log.shopper.to_pylist() == ["s1"]
    assert log.events.item.tolist() == [2, 3]
    assert log.start.tolist() == [0, 2]


def test_interactions_leave_out_unknown_items_and_what_nobody_did() -> None:
    log = histories([(1, 1), (0, 2), (2, 3, EventType.IMPRESSION), (3, 4, EventType.VIEW)]).interactions()
    assert log.events.item.tolist() == [1, 3]


def test_one_instant_of_two_shoppers_is_two_moments() -> None:
    log = histories([(1, 1), (2, 1), (3, 2)], [(4, 2), (5, 2)])
    assert log.moments().tolist() == [0, 2, 3]
    assert log.owner().tolist() == [0, 0, 0, 1, 1]


@given(log=LOGS, at=st.integers(0, 10))
def test_filters_keep_exactly_what_a_loop_keeps(log: list[list[tuple[int, int]]], at: int) -> None:
    shoppers = [sorted(rows, key=lambda row: row[1]) for rows in log]
    kept = [[row for row in rows if row[1] < at] for rows in shoppers]
    filtered = histories(*shoppers).before(at * SECOND)
    assert [one.item.tolist() for one in filtered] == [[row[0] for row in rows] for rows in kept if rows]
    assert len(filtered.moments()) == sum(len({row[1] for row in rows}) for rows in kept)
