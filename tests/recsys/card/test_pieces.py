"""No shopper's date in two tables."""

import itertools

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from recsys.card.pieces import whole_dates
from recsys.clock import DAY, HOUR
from tests.recsys.card.logs import START, act, table

ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40)), min_size=1, max_size=20)


def test_rows_of_a_shopper_cut_in_two_go_to_the_next_table() -> None:
    events = table([act(0, "ann"), act(1, "bob"), act(2, "bob"), act(3, "bob"), act(4, "cem")])
    parts = [events.slice(0, 2), events.slice(2, 1), events.slice(3), events.slice(0, 0)]
    found = [part["shopper"].to_pylist() for part in whole_dates(parts)]
    assert found == [["ann"], ["bob", "bob", "bob", "cem"]]


def test_a_shopper_on_two_dates_stays_in_two_tables() -> None:
    parts = [table([act(0, "ann")]), table([act(DAY, "ann")])]
    assert [part.num_rows for part in whole_dates(parts)] == [1, 1]


@given(rows=ROWS, cuts=st.lists(st.integers(0, 20), max_size=4))
def test_all_rows_stay_in_order_and_no_date_of_a_shopper_is_cut(rows: list[tuple[int, int]], cuts: list[int]) -> None:
    days = [table([act(day * DAY + hour * HOUR % DAY, f"s{shopper}") for shopper, hour in rows]) for day in range(2)]
    parts = []
    for day in days:
        edges = sorted({0, day.num_rows, *(min(cut, day.num_rows) for cut in cuts)})
        parts += [day.slice(low, high - low) for low, high in itertools.pairwise(edges)]
    found = list(whole_dates(parts))
    assert pa.concat_tables(found).equals(pa.concat_tables(days))
    seen = [
        {(row["shopper"], (row["occurred_at"].timestamp() * 1e6 - START) // DAY) for row in part.to_pylist()}
        for part in found
    ]
    assert sum(map(len, seen)) == len(set().union(*seen))
