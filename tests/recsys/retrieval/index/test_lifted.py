"""Inner products as directions, worked out by hand."""

import numpy as np

from recsys.retrieval.index.lifted import flat, lifted, longest, width


def test_lifted_items_are_equally_long_and_fit_a_query_as_before() -> None:
    items, query = np.array([[3.0, 4.0], [0.0, 3.0], [0.0, 0.0]]), np.array([[2.0, 1.0]])
    assert longest(items) == 5
    rows = lifted(items, 4, length=5)
    assert rows.tolist() == [[3, 4, 0, 0], [0, 3, 4, 0], [0, 0, 5, 0]]
    assert flat(query, 4).tolist() == [[2, 1, 0, 0]]
    assert (flat(query, 4) @ rows.T).tolist() == [[10, 3, 0]]


def test_an_item_that_is_longer_than_all_before_lacks_nothing() -> None:
    assert lifted(np.array([[6.0, 8.0]]), 3, length=5).tolist() == [[6, 8, 0]]
    assert longest(np.empty((0, 2))) == 0


def test_there_is_room_for_what_is_lacking_and_for_whole_steps() -> None:
    assert [width(dim) for dim in (1, 8)] == [2, 9]
    assert [width(dim, 4) for dim in (3, 4, 7, 8)] == [4, 8, 8, 12]
